package org.frkeras.archive

import java.io.OutputStream
import java.nio.ByteBuffer
import java.nio.ByteOrder

private const val MOST_TEXT = 1 shl 22
private const val CHUNK = 1 shl 16
private const val IDENTIFIER = 0x334c4654 // TFL3, little-endian
private const val IDENTIFIER_AT = 1

/** A flatbuffer without its numbers, and the recipes that fill it. */
internal class Skeleton(text: ByteArray, private val source: Source) {
    private val program = ProgramReader(text).program()
    private val shapes = Shapes(program, source)
    private val layout = Layout(program, shapes)

    /**
     * Writes the file; nothing where it is refused.
     *
     * @param memory Refuses to hold more bytes of arrays than these.
     */
    fun expand(output: OutputStream, memory: Long) {
        val scales = DoubleArray(program.sites.size) { layout.scale(program.sites[it]) }
        val evaluator = Evaluator(program, shapes, source)
        val needed = evaluator.peakBytes() + layout.partBytes
        if (needed > memory) {
            throw ArchiveException(
                "This archive takes $needed bytes of memory to expand. `memory` allows $memory",
            )
        }
        val wanted = program.gaps.groupBy({ it.site }, { it.part })
        val parts = Array(program.sites.size) { arrayOfNulls<ByteArray>(Part.entries.size) }
        evaluator.run { number, site, kernel, bias ->
            val filling = Filling(kernel, bias, scales[number], site.byChannel)
            for (part in wanted[number].orEmpty().distinct()) {
                parts[number][part.ordinal] = filling.data(part)
            }
        }
        val data = program.gaps.map { checkNotNull(parts[it.site][it.part.ordinal]) }
        if (layout.word(IDENTIFIER_AT, data) != IDENTIFIER) {
            throw ArchiveException("What a skeleton makes is no TFLite flatbuffer")
        }
        layout.write(output, data)
    }
}

/** The text of a skeleton, which is compressed in an archive. */
internal fun skeletonText(section: Section): ByteArray = SkeletonText(section).read()

/**
 * The text of a skeleton, which is compressed in an archive.
 *
 * @param before That of the network before, in a file of several networks.
 */
internal class SkeletonText(
    private val section: Section,
    private val before: SkeletonText? = null,
) {
    /** Reads it; all that it follows may have as many bytes with it as one may have alone. */
    fun read(): ByteArray {
        val chain = generateSequence(this) { it.before }.toList().reversed()
        var text = ByteArray(0)
        var left = MOST_TEXT
        for (one in chain) {
            text = decompress(one.section.decoder(), left, byteArrayOf(0) + text)
            left -= text.size
        }
        return text
    }
}

/** Where the gaps of a file are, and the words between them. */
private class Layout(private val program: Program, shapes: Shapes) {
    private val words = program.size / 4

    /** Of each gap, its first word, the word behind it, and the words in the gaps up to it. */
    private val starts = IntArray(program.gaps.size)
    private val ends = IntArray(program.gaps.size)
    private val inside = IntArray(program.gaps.size + 1)
    private val template =
        ByteBuffer.wrap(program.template).order(ByteOrder.LITTLE_ENDIAN)

    /** The bytes that fill all gaps. */
    val partBytes: Long get() = 4L * inside.last()

    init {
        var end = 0L
        program.gaps.forEachIndexed { place, gap ->
            val site = program.sites[gap.site]
            val bytes = partBytes(gap.part, shapes[site.kernel], site.byChannel)
            val start = end + gap.skipped
            end = start + bytes / 4
            if (end > words) {
                throw ArchiveException(
                    "Gaps follow one another inside of the $words words of a file, not up to $end",
                )
            }
            starts[place] = start.toInt()
            ends[place] = end.toInt()
            inside[place + 1] = inside[place] + ends[place] - starts[place]
        }
        val kept = words - inside.last()
        val found = program.template.size - program.templateAt
        if (found != 4 * kept) {
            throw ArchiveException(
                "A skeleton with these gaps has $kept words outside of them, not $found bytes",
            )
        }
    }

    /** The scale of the input of a site. */
    fun scale(site: Site): Double {
        if (site.scaleAt !in 0 until words) {
            throw ArchiveException("The scale of a site is outside of the file, at ${site.scaleAt}")
        }
        val word = site.scaleAt.toInt()
        val scale = if (gapAt(word) == null) Float.fromBits(kept(word)) else 0f
        if (!(scale > 0 && scale.isFinite())) {
            throw ArchiveException("The scale of the input of a kernel must be above 0, not $scale")
        }
        return scale.toDouble()
    }

    /** A word of the file, of which [data] are the gaps, or `null` where it has none such. */
    fun word(word: Int, data: List<ByteArray>): Int? {
        if (word >= words) return null
        val gap = gapAt(word) ?: return kept(word)
        val bytes = ByteBuffer.wrap(data[gap]).order(ByteOrder.LITTLE_ENDIAN)
        return bytes.getInt(4 * (word - starts[gap]))
    }

    fun write(output: OutputStream, data: List<ByteArray>) {
        var word = 0
        for (gap in starts.indices) {
            writeKept(output, word, starts[gap])
            output.write(data[gap])
            word = ends[gap]
        }
        writeKept(output, word, words)
    }

    private fun writeKept(output: OutputStream, from: Int, to: Int) {
        val chunk = ByteBuffer.allocate(minOf(CHUNK, 4 * (to - from)))
        chunk.order(ByteOrder.LITTLE_ENDIAN)
        for (word in from until to) {
            if (!chunk.hasRemaining()) {
                output.write(chunk.array())
                chunk.clear()
            }
            chunk.putInt(kept(word, gapsBefore = inside[gapAfter(from)]))
        }
        output.write(chunk.array(), 0, chunk.position())
    }

    /** A word of the template, turned back: by these, the tables of a flatbuffer point. */
    private fun kept(word: Int, gapsBefore: Int = inside[gapAfter(word)]): Int {
        val stored = template.getInt(program.templateAt + 4 * (word - gapsBefore))
        val size = program.size
        if (stored < -size || stored >= 0) return stored
        return -1 - Math.floorMod(1 + stored - 4 * word, size)
    }

    private fun gapAt(word: Int): Int? =
        (gapAfter(word) - 1).takeIf { it >= 0 && word < ends[it] }

    /** The first gap that begins behind a word. */
    private fun gapAfter(word: Int): Int {
        var low = 0
        var high = starts.size
        while (low < high) {
            val middle = (low + high) / 2
            if (starts[middle] <= word) low = middle + 1 else high = middle
        }
        return low
    }
}
