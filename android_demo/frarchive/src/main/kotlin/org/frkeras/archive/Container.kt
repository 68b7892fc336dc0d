package org.frkeras.archive

import java.io.InputStream
import java.util.zip.CRC32

private const val HEADER_BYTES = 8
private const val LONGEST_VARINT = 4
private const val CHUNK = 1 shl 16
private const val OF_SEVERAL = 3
private val VERSIONS = 1..2

/** How many bytes tell of which version a file is. */
internal const val HEAD_BYTES = 4
private val MAGIC = byteArrayOf(0xf7.toByte(), 'F'.code.toByte(), 'R'.code.toByte())

/** What a section holds. Sections come in this order; 4 to 6 are skipped. */
internal enum class Kind(val code: Int) {
    ARCHITECTURE(0),
    VECTORS(1),
    SKELETON(2),
    KERNELS(3),
    COEFFICIENTS(7),
}

/** The payload of a section, and the byte of the file at which it begins. */
internal class Section(val payload: ByteArray, val start: Long) {
    fun decoder() = RangeDecoder(payload, start)
}

/** Whether a file that begins so holds several networks. */
internal fun isNested(head: ByteArray): Boolean =
    head.size == HEAD_BYTES && head.copyOf(MAGIC.size).contentEquals(MAGIC) &&
        head.last().toInt() == OF_SEVERAL

/**
 * Reads the frame of a file of one network to the end of [input], and checks it and its checksum.
 *
 * @param head What has been read of the file.
 */
internal fun readSections(
    input: InputStream,
    head: ByteArray = ByteArray(0),
): Map<Kind, Section> {
    val header = head + input.take(HEADER_BYTES - head.size)
    if (header.size < HEADER_BYTES || !header.copyOf(MAGIC.size).contentEquals(MAGIC)) {
        throw ArchiveException("This is no .fr archive: it must begin with F7 46 52 and 5 bytes", 0)
    }
    val version = header[3].toInt()
    if (version !in VERSIONS) {
        throw ArchiveException("Only versions 1 to 3 of the format are known, not $version", 3)
    }
    val frame = Frame(input)
    val sections = frame.sections()
    val expected = (4 until HEADER_BYTES).fold(0L) { sum, at -> sum shl 8 or header.unsigned(at) }
    if (frame.checksum != expected) {
        throw ArchiveException("The checksum is wrong: the file is damaged", 4)
    }
    if ((version == 2) != (Kind.KERNELS in sections)) {
        throw ArchiveException("A file has version 2 if it holds kernels in space, else 1", 3)
    }
    return sections
}

private class Frame(private val input: InputStream) {
    private val crc = CRC32()
    private var position = HEADER_BYTES.toLong()

    val checksum: Long get() = crc.value

    fun sections(): Map<Kind, Section> {
        val sections = mutableMapOf<Kind, Section>()
        var last = -1
        while (last != Kind.COEFFICIENTS.code) {
            val begin = position
            val head = head(begin)
            val code = head and 7
            if (code <= last) {
                throw ArchiveException("Section $code must not follow section $last", begin)
            }
            last = code
            val start = position
            val kind = Kind.entries.find { it.code == code }
            val payload = payload(code, head shr 3, keep = kind != null)
            if (kind != null) sections[kind] = Section(payload, start)
        }
        if (input.read() >= 0) {
            throw ArchiveException("Nothing may follow the coefficients", position)
        }
        if (Kind.ARCHITECTURE !in sections) {
            throw ArchiveException("The architecture must come first", HEADER_BYTES.toLong())
        }
        return sections
    }

    /** The varint in front of a section: eight times its length, plus its kind. */
    private fun head(begin: Long): Int {
        var number = 0
        for (place in 0 until LONGEST_VARINT) {
            val byte = input.read()
            if (byte < 0) {
                throw ArchiveException("The file is cut before the coefficients", position)
            }
            crc.update(byte)
            position++
            number = number or ((byte and 127) shl 7 * place)
            if (byte < 128) {
                if (place > 0 && byte == 0) break
                return number
            }
        }
        throw ArchiveException(
            "A section must begin with its kind and length in fewest bytes", begin,
        )
    }

    private fun payload(code: Int, size: Int, keep: Boolean): ByteArray {
        var payload = ByteArray(0)
        var read = 0
        // In chunks, so that memory is taken for what is there, not for what a file declares.
        while (read < size) {
            val chunk = input.take(minOf(CHUNK, size - read))
            crc.update(chunk, 0, chunk.size)
            if (keep) {
                if (read + chunk.size > payload.size) {
                    payload = payload.copyOf(minOf(size, maxOf(2 * read, read + chunk.size)))
                }
                chunk.copyInto(payload, read)
            }
            read += chunk.size
            position += chunk.size
            if (read < size && chunk.size < CHUNK) {
                throw ArchiveException("Section $code ends too early: the file is cut", position)
            }
        }
        return payload
    }
}

internal fun ByteArray.unsigned(at: Int) = this[at].toLong() and 0xff

/** Returns the next [size] bytes, or fewer where the stream ends. */
internal fun InputStream.take(size: Int): ByteArray {
    val bytes = ByteArray(size)
    var filled = 0
    while (filled < size) {
        val count = read(bytes, filled, size - filled)
        if (count < 0) return bytes.copyOf(filled)
        filled += count
    }
    return bytes
}

/** As [take]; memory is taken for what is there, not for what a file declares. */
internal fun InputStream.takeAll(size: Int): ByteArray {
    var bytes = ByteArray(0)
    var read = 0
    while (read < size) {
        val chunk = take(minOf(CHUNK, size - read))
        if (read + chunk.size > bytes.size) {
            bytes = bytes.copyOf(minOf(size, maxOf(2 * read, read + chunk.size)))
        }
        chunk.copyInto(bytes, read)
        read += chunk.size
        if (chunk.size < CHUNK) break
    }
    return if (read == bytes.size) bytes else bytes.copyOf(read)
}
