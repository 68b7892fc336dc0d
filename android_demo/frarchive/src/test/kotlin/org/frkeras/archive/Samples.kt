package org.frkeras.archive

import java.io.ByteArrayOutputStream
import java.util.zip.CRC32
import org.junit.jupiter.api.Assertions.assertThrows

/** The worked example of `docs/archive-format.md`. */
internal val EXAMPLE = bytes(
    "F7 46 52 01 93 0F 48 FC 30 3D 02 22 5F A6 23 21 6E EA 95 50 57 4A 9F 7C A4 51 46 DB AD 82 6B",
)

/** The payload of a section of three kernels, of which the second has no rows. */
internal val KERNELS = bytes(
    "3b ef 25 6e b7 27 f8 30 ee 57 f2 82 d8 00 00 00 00 00 00 00 00 00 00 00 00 00 00 2f 2f",
)

internal fun bytes(hexadecimal: String): ByteArray =
    hexadecimal.split(' ').map { it.toInt(16).toByte() }.toByteArray()

/** A file with a right checksum. */
internal fun framed(body: ByteArray, version: Int = 1): ByteArray {
    val crc = CRC32().apply { update(body, 0, body.size) }.value
    val head = bytes("F7 46 52") + version.toByte()
    return head + ByteArray(4) { (crc shr 24 - 8 * it).toByte() } + body
}

internal fun section(kind: Int, payload: ByteArray): ByteArray =
    varint(8L * payload.size + kind) + payload

internal fun varint(number: Long): ByteArray {
    val out = ByteArrayOutputStream()
    var rest = number
    while (rest > 127) {
        out.write((rest and 127 or 128).toInt())
        rest = rest shr 7
    }
    out.write(rest.toInt())
    return out.toByteArray()
}

/** The text of a skeleton, from numbers: words of the file, steps, gaps, and the template. */
internal fun skeleton(
    words: Long,
    steps: List<List<Long>>,
    gaps: List<List<Long>> = emptyList(),
    template: ByteArray = ByteArray(0),
): ByteArray {
    val numbers = listOf(words, steps.size.toLong()) + steps.flatten() + gaps.size.toLong()
    val program = (numbers + gaps.flatten()).map(::varint).reduce(ByteArray::plus)
    return program + ByteArray(-program.size and 3) + template
}

/** A step of a skeleton. */
internal fun step(op: Op, vararg inputs: Long, numbers: List<Long> = emptyList()): List<Long> =
    listOf(op.ordinal.toLong()) + inputs.toList() + numbers.size.toLong() + numbers

/** The message with which [action] is refused. */
internal fun refusal(action: () -> Unit): String =
    checkNotNull(assertThrows(ArchiveException::class.java) { action() }.message)
