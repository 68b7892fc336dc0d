package org.frkeras.archive

private const val SITE = 31L
private const val MOST_STEPS = 1L shl 14
private const val MOST_NUMBERS = 1L shl 12
private const val LONGEST_VARINT = 5
private const val LARGEST = (1L shl 32) - 1

/** The largest file that a skeleton makes. */
internal const val MOST_BYTES = 1 shl 26

/** What a node does; its place here is its code in a file. */
internal enum class Op(val inputs: Int) {
    COEFFICIENTS(0),
    VECTORS(0),
    VARIANCES(0),
    COSINES(0),
    SCALAR(0),
    SEGMENTS(0),
    CONTRACT(2),
    TRANSPOSE(1),
    RESHAPE(1),
    KRON(2),
    ADD(2),
    SUBTRACT(2),
    MULTIPLY(2),
    DIVIDE(2),
    SQRT(1),
    GATHER(2),
    STARTS(1),
    TILE(1),
    CONCATENATE(2),
    KERNEL(0),
}

/** A step of a program. */
internal sealed interface Step

/** One operation on the arrays of earlier nodes, with whole numbers of its own. */
internal class Node(val op: Op, val inputs: IntArray, val numbers: LongArray) : Step

/**
 * An op with a kernel `(out, ...)`, a node, and a bias, a node or `null` for zeros.
 *
 * @property scaleAt The word of the file at which the scale of its input is, a float32.
 * @property byChannel Whether each output channel has a scale of its own.
 */
internal class Site(
    val kernel: Int,
    val bias: Int?,
    val scaleAt: Long,
    val byChannel: Boolean,
) : Step

/** What of a site's constants fills a gap; its place here is its code in a file. */
internal enum class Part { KERNEL, SCALES, BIAS, BIAS_SCALES }

/** Words of the file that follow from a site, so many words behind the gap before. */
internal class Gap(val skipped: Long, val site: Int, val part: Part)

/**
 * What a skeleton says.
 *
 * @property size The bytes of the file that it makes.
 * @property template The words of that file that lie in no gap, from [templateAt] on.
 */
internal class Program(
    val size: Int,
    val steps: List<Step>,
    val gaps: List<Gap>,
    val template: ByteArray,
    val templateAt: Int,
) {
    val sites: List<Site> = steps.filterIsInstance<Site>()
}

/** Reads the text of a skeleton. */
internal class ProgramReader(private val text: ByteArray) {
    private var position = 0
    private val steps = mutableListOf<Step>()
    private var nodes = 0

    fun program(): Program {
        val size = number(MOST_BYTES / 4L).toInt() * 4
        steps()
        val gaps = gaps(steps.count { it is Site })
        while (position % 4 != 0 && position < text.size) {
            if (text[position++].toInt() != 0) {
                throw refused("Zeros must follow the program of a skeleton up to a whole word")
            }
        }
        return Program(size, steps, gaps, text, position)
    }

    private fun steps() {
        var scaleAt = 0L
        repeat(number(MOST_STEPS).toInt()) {
            val code = number(SITE)
            if (code == SITE) {
                val kernel = node(number())
                val bias = number()
                scaleAt += difference()
                val biasNode = if (bias == 0L) null else node(bias)
                steps += Site(kernel, biasNode, scaleAt, number(1) == 1L)
            } else {
                steps += node(code.toInt())
                nodes++
            }
        }
    }

    private fun node(code: Int): Node {
        val op = Op.entries.getOrNull(code) ?: throw refused("A recipe has no operation $code")
        val inputs = IntArray(op.inputs) { node(number()) }
        return Node(op, inputs, LongArray(number(MOST_NUMBERS).toInt()) { number() })
    }

    private fun gaps(sites: Int): List<Gap> {
        var site = 0L
        return List(number(MOST_STEPS).toInt()) { place ->
            val skipped = number()
            site += difference()
            if (site !in 0 until sites) throw refused("Gap $place belongs to no op: $site")
            Gap(skipped, site.toInt(), Part.entries[number(Part.entries.size - 1L).toInt()])
        }
    }

    /** The node that lies so far back. */
    private fun node(distance: Long): Int {
        if (distance !in 1..nodes) {
            throw refused("A recipe points $distance back, outside of the skeleton")
        }
        return nodes - distance.toInt()
    }

    private fun difference(): Long {
        val number = number()
        return if (number and 1 == 1L) -(number + 1) / 2 else number / 2
    }

    private fun number(most: Long = LARGEST): Long {
        var number = 0L
        for (place in 0 until LONGEST_VARINT) {
            if (position >= text.size) break
            val byte = text[position++].toLong()
            number = number or (byte and 127 shl 7 * place)
            if (byte >= 0) {
                if ((place > 0 && byte == 0L) || number > most) break
                return number
            }
        }
        throw refused("A skeleton has no number up to $most")
    }

    private fun refused(message: String) =
        ArchiveException("$message, at byte $position of its text")
}
