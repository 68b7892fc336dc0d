package org.frkeras.archive

private const val MOST_NUMBERS = 1 shl 22
private const val FREE_NUMBERS = 1 shl 16
private const val MOST_NUMBERS_A_BYTE = 1 shl 6

/** How many tensors, vectors or kernels a section has at most. */
internal const val MOST_SERIES = 1 shl 12

/** The chance that the exponent of a length goes on: lengths repeat, or differ by much. */
internal const val LENGTHS = 3 shl 14

/** In which order the numbers of a section come: calls its argument with a series for each. */
internal typealias Order = (counts: IntArray, next: (Int) -> Unit) -> Unit

/** Reads a section of series of numbers behind a table of their counts and steps. */
internal fun readSeries(section: Section, order: Order): List<Quantized> {
    val decoder = section.decoder()
    val (counts, steps) = readTable(decoder, section.payload.size)
    val states = Array(counts.size) { Scale(counts[it]) }
    val values = Array(counts.size) { IntArray(counts[it]) }
    val coefficients = Coefficients()
    order(counts) { one ->
        val state = states[one]
        val place = state.count
        values[one][place] = coefficients.read(decoder, state)
    }
    decoder.finish()
    return List(counts.size) { Quantized(values[it], steps[it]) }
}

/** Reads a section of vectors. */
internal fun readVectors(section: Section): List<Quantized> {
    val vectors = readSeries(section, ::oneByOne)
    if (vectors.isEmpty()) {
        throw ArchiveException("A section of vectors holds one or more", section.start)
    }
    return vectors
}

private fun readTable(decoder: RangeDecoder, size: Int): Pair<IntArray, IntArray> {
    val number = Numbers().magnitude(decoder)
    if (number > MOST_SERIES) {
        throw decoder.refused("A section has at most $MOST_SERIES tensors or vectors, not $number")
    }
    val most = mostNumbers(MOST_NUMBERS, size)
    val counts = IntArray(number)
    val steps = IntArray(number)
    val countNumbers = Numbers(LENGTHS)
    val stepNumbers = Numbers()
    var count = 0L
    var step = 0L
    var total = 0L
    for (one in 0 until number) {
        count += countNumbers.signed(decoder)
        step += stepNumbers.signed(decoder)
        total += count
        if (count < 0 || step < STEPS.first || step > STEPS.last) {
            throw decoder.refused("A series has no count of $count or no step $step")
        }
        if (total > most) {
            throw decoder.refused("$size bytes hold at most $most numbers, not $total")
        }
        counts[one] = count.toInt()
        steps[one] = step.toInt()
    }
    return counts to steps
}

/** How many numbers, [limit] at most, a payload of [size] bytes may hold. */
internal fun mostNumbers(limit: Int, size: Int): Long =
    minOf(limit.toLong(), FREE_NUMBERS + MOST_NUMBERS_A_BYTE * size.toLong())

/** All numbers of the first series, then those of the second. */
internal fun oneByOne(counts: IntArray, next: (Int) -> Unit) {
    for (one in counts.indices) repeat(counts[one]) { next(one) }
}

/**
 * Number `j` of a series of `n` comes at the time `(j + 1/2) / n`; at the same time the earlier
 * series comes first. In this order every prefix of a file is a network.
 */
internal fun interleaved(counts: IntArray, next: (Int) -> Unit) {
    val queue = TimeQueue(counts)
    while (queue.isNotEmpty()) next(queue.next())
}

/** A heap of series by the time of their next number. */
private class TimeQueue(private val counts: IntArray) {
    private val done = IntArray(counts.size)
    private val heap = counts.indices.filter { counts[it] > 0 }.toIntArray()
    private var size = heap.size

    init {
        for (place in size / 2 - 1 downTo 0) sink(place)
    }

    fun isNotEmpty() = size > 0

    fun next(): Int {
        val first = heap[0]
        if (++done[first] == counts[first]) heap[0] = heap[--size]
        sink(0)
        return first
    }

    private fun sink(start: Int) {
        var place = start
        while (true) {
            var child = 2 * place + 1
            if (child >= size) return
            if (child + 1 < size && isBefore(heap[child + 1], heap[child])) child++
            if (!isBefore(heap[child], heap[place])) return
            heap[place] = heap[child].also { heap[child] = heap[place] }
            place = child
        }
    }

    private fun isBefore(a: Int, b: Int): Boolean {
        val left = (2L * done[a] + 1) * counts[b]
        val right = (2L * done[b] + 1) * counts[a]
        return if (left == right) a < b else left < right
    }
}
