package org.frkeras.archive

private const val MOST_RUNS = 1 shl 14
private const val PLACES = 3

/** What is new in a network: nothing of a vector or kernel, parts along axes, or all (`null`). */
internal typealias Entry = List<Axis>?

/** How the vectors and kernels of a network contain those of the one before. */
internal class Growth(val vectors: List<Entry>, val kernels: List<Entry>)

/** Reads the section that says how a network contains the one before. */
internal fun readGrowth(section: Section): Growth {
    val decoder = section.decoder()
    val numbers = Numbers()
    val counts = List(2) { numbers.magnitude(decoder) }
    if (counts.max() > MOST_SERIES) {
        throw decoder.refused("A network has at most $MOST_SERIES vectors or kernels, not $counts")
    }
    val growth = try {
        val map = GrowthMap(decoder)
        Growth(List(counts[0]) { map.vector() }, List(counts[1]) { map.kernel() })
    } catch (error: GrowthException) {
        throw decoder.refused(checkNotNull(error.message))
    }
    decoder.finish()
    return growth
}

/** The number of an axis; axes often follow one another. */
private class Pointer {
    private val numbers = Numbers()
    private var next = 0L

    fun read(decoder: RangeDecoder): Long {
        val number = next + numbers.signed(decoder)
        next = number + 1
        return number
    }
}

private class GrowthMap(private val decoder: RangeDecoder) {
    private val vectorKinds = Numbers()
    private val kernelKinds = Numbers()
    private val ofVectors = Pointer()

    /** By the place from the last axis. */
    private val ofKernels = List(PLACES) { Pointer() }

    /** Of the last axis, and of the others. */
    private val makes = Chances(2)
    private val runNumbers = Numbers()
    private val lengths = List(3) { Numbers(LENGTHS) }
    private val known = mutableListOf<List<Run>>()
    private val distinct = mutableSetOf<List<Run>>()
    private var left = MOST_RUNS

    fun vector(): Entry = entry(vectorKinds.magnitude(decoder), most = 1) { Axis(runs(ofVectors)) }

    fun kernel(): Entry {
        val axes = entry(kernelKinds.magnitude(decoder), MOST_GROWN_AXES, ::axis)
        if (!axes.isNullOrEmpty()) checkAxes(axes)
        return axes
    }

    private fun entry(kind: Int, most: Int, axis: (fromLast: Int) -> Axis): Entry {
        val count = kind - 1
        if (count > most) throw GrowthException("Nothing grows along $count axes")
        return if (kind == 0) null else List(count) { axis(count - 1 - it) }
    }

    private fun axis(fromLast: Int): Axis {
        val runs = runs(ofKernels[minOf(fromLast, PLACES - 1)])
        if (runs.all { it.new == 0 }) return Axis(runs)
        return Axis(runs, decoder.learned(makes, if (fromLast == 0) 1 else 0) == 1)
    }

    private fun runs(pointer: Pointer): List<Run> {
        val number = pointer.read(decoder)
        if (number < 0 || number > known.size) {
            throw GrowthException("There is no axis $number yet, of ${known.size}")
        }
        if (number == known.size.toLong()) {
            val runs = described()
            if (!distinct.add(runs)) throw GrowthException("An axis is described again")
            known += runs
        }
        return known[number.toInt()]
    }

    private fun described(): List<Run> {
        val count = 1L + runNumbers.magnitude(decoder)
        if (count > left) throw GrowthException("Axes have at most $MOST_RUNS runs in all")
        left -= count.toInt()
        return List(count.toInt()) {
            val (old, new, more) = lengths.map { it.magnitude(decoder) }
            Run(old, new, more + 1)
        }
    }
}
