package org.frkeras.archive

import java.io.InputStream
import java.util.zip.CRC32

private const val CHECK_BYTES = 4
private const val VARINT_BYTES = 4
private const val MOST_FILE_BYTES = 1L shl 27
private const val RESERVED = 6

/** What a section of a frame holds; 6 is skipped. */
internal enum class FrameKind { ARCHITECTURE, VECTORS, SKELETON, KERNELS, PROFILE, GROWTH }

/** The frames of a file of several networks, each with its own checksum. */
internal class Frames(private val input: InputStream, private var position: Long) {
    /** The sections of the next frame; `null` if the file ends before the end of one. */
    fun next(): Map<FrameKind, Section>? {
        val head = head() ?: return null
        val (size, length) = readVarint(head, 0, position)
        val check = input.take(CHECK_BYTES)
        val body = input.takeAll(size)
        if (check.size < CHECK_BYTES || body.size < size) return null
        val start = position + length + CHECK_BYTES
        val expected = check.indices.fold(0L) { sum, at -> sum shl 8 or check.unsigned(at) }
        if (CRC32().apply { update(body, 0, body.size) }.value != expected) {
            throw ArchiveException("The checksum is wrong: the network is damaged", start)
        }
        position = start + size
        if (position > MOST_FILE_BYTES) {
            throw ArchiveException("A file has at most $MOST_FILE_BYTES bytes", start)
        }
        return split(body, start)
    }

    /** Checks that nothing follows. */
    fun end() {
        if (input.read() >= 0) {
            throw ArchiveException("Nothing may follow the largest network", position)
        }
    }

    private fun head(): ByteArray? {
        val head = ByteArray(VARINT_BYTES)
        for (place in head.indices) {
            val byte = input.read()
            if (byte < 0) return null
            head[place] = byte.toByte()
            if (byte < 128) return head.copyOf(place + 1)
        }
        return head
    }

    private fun split(body: ByteArray, start: Long): Map<FrameKind, Section> {
        val sections = mutableMapOf<FrameKind, Section>()
        var last = -1
        var place = 0
        while (place < body.size) {
            val begin = start + place
            val (head, length) = readVarint(body, place, begin)
            val code = head and 7
            val from = place + length
            if (code <= last || code > RESERVED) {
                throw ArchiveException("Section $code must not follow section $last here", begin)
            }
            last = code
            place = from + (head shr 3)
            if (place > body.size) {
                throw ArchiveException("Section $code ends where its frame ends", begin)
            }
            val kind = FrameKind.entries.getOrNull(code)
            if (kind != null) {
                sections[kind] = Section(body.copyOfRange(from, place), start + from)
            }
        }
        return sections
    }
}

/** A varint, and how many bytes it has. */
private fun readVarint(bytes: ByteArray, from: Int, offset: Long): Pair<Int, Int> {
    var number = 0
    for (place in 0 until VARINT_BYTES) {
        if (from + place >= bytes.size) break
        val byte = bytes[from + place].toInt() and 0xff
        number = number or ((byte and 127) shl 7 * place)
        if (byte < 128) {
            if (place > 0 && byte == 0) break
            return number to place + 1
        }
    }
    throw ArchiveException("A length must be there, in fewest bytes", offset)
}
