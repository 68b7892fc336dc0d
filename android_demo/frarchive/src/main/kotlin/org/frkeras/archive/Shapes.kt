package org.frkeras.archive

private const val MOST_ELEMENTS = 1L shl 23
private const val MOST_HELD = 1L shl 25
private const val MOST_WORK = 1L shl 31
private const val MOST_AXES = 32
private const val LONGEST_VECTOR = 1L shl 12
private const val HEAVIEST_AXIS = 1L shl 20
private const val SEGMENT_ROWS = 3

/** Beyond every limit, and small enough to be multiplied by another length. */
private const val TOO_MANY = 1L shl 40

/**
 * The shapes of all arrays of a program, found before any is computed: they follow from the numbers
 * of the steps. Refuses steps that do not fit one another, or take too much.
 */
internal class Shapes(
    program: Program,
    private val source: Source,
) {
    private val shapes = mutableListOf<IntArray>()
    private var work = 0L
    private var held = 0L

    init {
        for (step in program.steps) {
            when (step) {
                is Node -> add(step)
                is Site -> check(step)
            }
        }
    }

    /** The shape of the array that a node gives. */
    operator fun get(node: Int): IntArray = shapes[node]

    private fun add(node: Node) {
        val shape = try {
            shape(node, node.inputs.map { shapes[it] })
        } catch (error: MisfitException) {
            throw ArchiveException("No recipe: ${node.op} on these: ${error.message}")
        }
        if (shape.size > MOST_AXES || size(shape.map { maxOf(1, it) }) > MOST_ELEMENTS) {
            throw ArchiveException(
                "Arrays have at most $MOST_AXES axes and $MOST_ELEMENTS numbers, not $shape",
            )
        }
        held += size(shape)
        if (held > MOST_HELD) throw ArchiveException("Recipes hold at most $MOST_HELD numbers")
        shapes += IntArray(shape.size) { shape[it].toInt() }
    }

    private fun check(site: Site) {
        val kernel = shapes[site.kernel]
        val bias = site.bias?.let { shapes[it] }
        if (kernel.isEmpty() || kernel.count() == 0) {
            throw ArchiveException("A kernel must have an output channel")
        }
        if (bias != null && !(bias.size == 1 && bias[0] == kernel[0])) {
            throw ArchiveException("A bias must have ${kernel[0]} numbers, one for each channel")
        }
        spend(listOf(kernel.count().toLong()))
    }

    private fun shape(node: Node, inputs: List<IntArray>): List<Long> {
        val numbers = node.numbers
        return when (node.op) {
            Op.COEFFICIENTS -> coefficients(numbers)
            Op.VECTORS, Op.VARIANCES -> vectors(numbers)
            Op.COSINES -> cosines(numbers)
            Op.SCALAR -> scalar(numbers)
            Op.SEGMENTS -> segments(numbers)
            Op.CONTRACT -> contract(axis(numbers, inputs[0]), inputs[0], inputs[1])
            Op.TRANSPOSE -> transpose(numbers, inputs[0])
            Op.RESHAPE -> reshape(numbers, inputs[0])
            Op.KRON -> kron(inputs[0], inputs[1])
            Op.ADD, Op.SUBTRACT, Op.MULTIPLY, Op.DIVIDE -> broadcast(inputs[0], inputs[1])
            Op.SQRT -> inputs[0].lengths()
            Op.GATHER -> gather(axis(numbers, inputs[0]), inputs[0], inputs[1])
            Op.STARTS -> listOf(segmentCount(inputs[0]))
            Op.TILE -> tile(numbers, inputs[0])
            Op.CONCATENATE -> concatenate(axis(numbers, inputs[0]), inputs[0], inputs[1])
            Op.KERNEL -> kernel(numbers)
        }
    }

    private fun coefficients(numbers: LongArray): List<Long> {
        val rank = (numbers.size - 1) / 2
        fits(rank > 0 && numbers.size % 2 == 1) { "a corner has one length and one weight an axis" }
        val corner = numbers.slice(1..rank)
        val weights = numbers.drop(1 + rank)
        fits(corner.all { it > 0 } && weights.all { it in 1..HEAVIEST_AXIS }) {
            "lengths and weights are at least 1, and weights at most $HEAVIEST_AXIS"
        }
        spend(listOf(rank.toLong()) + corner)
        fits(numbers[0] < source.tensors.size) { "there is no tensor ${numbers[0]}" }
        val tensor = source.tensors[numbers[0].toInt()]
        fits(tensor.size <= size(corner)) { "more coefficients than places" }
        return corner
    }

    private fun vectors(numbers: LongArray): List<Long> {
        fits(numbers.size == 3) { "it has three numbers" }
        val (first, length, total) = numbers
        fits(length in 1..LONGEST_VECTOR) { "a vector has from 1 to $LONGEST_VECTOR numbers" }
        spend(listOf(total), length)
        for (start in 0 until total step length) {
            val number = first + start / length
            fits(number < source.vectors.size) { "there is no vector $number" }
            fits(source.vectors[number.toInt()].fits(minOf(length, total - start).toInt())) {
                "vector $number has more coefficients than numbers"
            }
        }
        return listOf(total)
    }

    private fun cosines(numbers: LongArray): List<Long> {
        fits(numbers.size == 4) { "it has four numbers" }
        val (length, rows, start, stop) = numbers
        fits(start < stop && stop <= length && rows in 1..length) { "there is no such part" }
        spend(listOf(rows, length))
        return listOf(rows, stop - start)
    }

    private fun scalar(numbers: LongArray): List<Long> {
        fits(numbers.size == 1 && real(numbers[0]).isFinite()) { "a number is finite" }
        return emptyList()
    }

    private fun segments(numbers: LongArray): List<Long> {
        fits(numbers.isNotEmpty() && numbers.size % 2 == 0) { "there are two numbers a channel" }
        val shape = listOf(SEGMENT_ROWS.toLong(), numbers.sum())
        spend(shape)
        return shape
    }

    private fun contract(axis: Int, a: IntArray, matrix: IntArray): List<Long> {
        fits(matrix.size == 2 && matrix[0] == a[axis]) { "an axis needs a matrix of as many rows" }
        val shape = a.lengths().with(axis, matrix[1].toLong())
        spend(shape, maxOf(1L, matrix[0].toLong()))
        return shape
    }

    private fun transpose(numbers: LongArray, a: IntArray): List<Long> {
        fits(numbers.sorted() == a.indices.map { it.toLong() }) { "that is no permutation of axes" }
        return numbers.map { a[it.toInt()].toLong() }
    }

    private fun reshape(numbers: LongArray, a: IntArray): List<Long> {
        val shape = numbers.toList()
        fits(size(shape) == a.count().toLong()) { "another number of numbers" }
        return shape
    }

    private fun kron(a: IntArray, b: IntArray): List<Long> {
        fits(a.size == 2 && b.size == 2) { "it takes two matrices" }
        return a.indices.map { a[it].toLong() * b[it] }.also { spend(it) }
    }

    private fun broadcast(a: IntArray, b: IntArray): List<Long> {
        val rank = maxOf(a.size, b.size)
        val shape = List(rank) { axis ->
            val x = a.getOrElse(axis - rank + a.size) { 1 }
            val y = b.getOrElse(axis - rank + b.size) { 1 }
            fits(x == y || x == 1 || y == 1) { "the lengths $x and $y of an axis" }
            (if (x == 1) y else x).toLong()
        }
        return shape.also { spend(it) }
    }

    private fun gather(axis: Int, a: IntArray, segments: IntArray): List<Long> =
        a.lengths().with(axis, segmentCount(segments)).also { spend(it) }

    private fun tile(numbers: LongArray, a: IntArray): List<Long> {
        fits(numbers.size == 1 && a.size == 1) { "it repeats a vector" }
        return listOf(capped(a[0].toLong(), numbers[0])).also { spend(it) }
    }

    private fun concatenate(axis: Int, a: IntArray, b: IntArray): List<Long> {
        val others = { shape: IntArray -> shape.lengths().with(axis, 0) }
        fits(b.size == a.size && others(a) == others(b)) { "the lengths of another axis differ" }
        val shape = a.lengths().with(axis, a[axis].toLong() + b[axis])
        spend(listOf(a.count().toLong() + b.count()))
        return shape
    }

    private fun kernel(numbers: LongArray): List<Long> {
        fits(numbers.isNotEmpty()) { "it has the number of a kernel, and a shape" }
        val shape = numbers.drop(1)
        spend(shape)
        fits(numbers[0] < source.kernels.size) { "there is no kernel ${numbers[0]}" }
        val kernel = source.kernels[numbers[0].toInt()]
        fits(kernel.size.toLong() == size(shape)) { "its kernel has ${kernel.size} numbers" }
        return shape
    }

    private fun axis(numbers: LongArray, a: IntArray): Int {
        fits(numbers.size == 1 && numbers[0] < a.size) { "there is no such axis" }
        return numbers[0].toInt()
    }

    private fun segmentCount(segments: IntArray): Long {
        fits(segments.size == 2 && segments[0] == SEGMENT_ROWS) { "segments are three rows" }
        return segments[1].toLong()
    }

    /** Refuses an array that is too large, and work beyond the limit, before it is done. */
    private fun spend(shape: List<Long>, terms: Long = 1) {
        val size = size(shape)
        work += capped(size, terms)
        if (size > MOST_ELEMENTS || work > MOST_WORK) {
            throw ArchiveException(
                "Recipes make arrays of at most $MOST_ELEMENTS numbers in at most $MOST_WORK " +
                    "operations, not one of shape $shape",
            )
        }
    }

    private inline fun fits(rule: Boolean, message: () -> String) {
        if (!rule) throw MisfitException(message())
    }
}

/** The number of a SCALAR, by its bits. */
internal fun real(bits: Long): Double = Float.fromBits(bits.toInt()).toDouble()

private class MisfitException(message: String) : Exception(message)

private fun IntArray.lengths(): List<Long> = map { it.toLong() }

private fun List<Long>.with(axis: Int, length: Long): List<Long> =
    mapIndexed { place, own -> if (place == axis) length else own }

/** The product of lengths, or [TOO_MANY] where it is more. */
private fun size(shape: List<Long>): Long = if (0L in shape) 0 else shape.fold(1L, ::capped)

private fun capped(a: Long, b: Long): Long =
    if (a != 0L && b > TOO_MANY / a) TOO_MANY else a * b
