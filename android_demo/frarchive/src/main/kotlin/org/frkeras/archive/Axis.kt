package org.frkeras.archive

private const val LONGEST = 1 shl 24
internal const val MOST_GROWN_AXES = 8

/** So many old positions, so many new ones behind them, and how often both follow. */
internal data class Run(val old: Int, val new: Int, val times: Int)

/** A growth that no writer writes; says what is wrong. */
internal class GrowthException(message: String) : Exception(message)

/**
 * Which positions of an axis are those of the network before.
 *
 * @property makes Whether new positions are new outputs, and not new inputs alone.
 */
internal class Axis(val runs: List<Run>, val makes: Boolean = true) {
    /** How many positions are old. */
    val old: Int

    /** How many positions are new. */
    val new: Int

    val length: Int get() = old + new

    init {
        var old = 0L
        var length = 0L
        for ((place, run) in runs.withIndex()) {
            val isFirst = place == 0 && run.times == 1
            val isLast = place == runs.size - 1 && run.times == 1
            val before = if (place == 0) null else runs[place - 1]
            if (run.old < (if (isFirst) 0 else 1) || run.new < (if (isLast) 0 else 1) ||
                before != null && before.old == run.old && before.new == run.new
            ) {
                throw GrowthException("Positions are described in another form, by $run")
            }
            old += run.old.toLong() * run.times
            // It fits into 63 bits: each number is below 2^31.
            length += (run.old.toLong() + run.new) * run.times
            if (length > LONGEST) throw GrowthException("An axis has more than $LONGEST positions")
        }
        if (old == 0L) throw GrowthException("An axis has no old position")
        this.old = old.toInt()
        new = (length - old).toInt()
    }

    /** Which positions are new. */
    fun isNew(): BooleanArray {
        val found = BooleanArray(length)
        var place = 0
        for (run in runs) {
            repeat(run.times) {
                place += run.old
                found.fill(true, place, place + run.new)
                place += run.new
            }
        }
        return found
    }
}

/** Which positions of an axis a part of a kernel has. */
internal enum class Side { OLD, NEW, ALL }

/** The new parts of a kernel: one for each axis that makes and has grown, from the last on. */
internal fun parts(axes: List<Axis>): List<List<Side>> {
    val taken = mutableSetOf<Int>()
    return axes.indices.reversed().filter { axes[it].makes && axes[it].new > 0 }.map { place ->
        val part = axes.indices.map {
            if (it == place) Side.NEW else if (it in taken) Side.OLD else Side.ALL
        }
        taken += place
        part
    }
}

/** How many positions of an axis a side has. */
internal fun Axis.count(side: Side): Int = when (side) {
    Side.OLD -> old
    Side.NEW -> new
    Side.ALL -> length
}

/** The product of lengths, or a number above all limits. */
internal fun product(lengths: List<Int>): Long =
    lengths.fold(1L) { product, length -> minOf(product * length, Int.MAX_VALUE.toLong()) }

/** Checks that axes are those of a grown kernel, in the one shortest form. */
internal fun checkAxes(axes: List<Axis>) {
    val isStill = axes.map { it.new == 0 }
    val isLoose = (0 until axes.size - 1).any {
        isStill[it] && (axes[it].length == 1 || it < axes.size - 2 && isStill[it + 1])
    }
    if (isLoose || isStill.all { it }) {
        throw GrowthException("The axes of a kernel are described in another form")
    }
}
