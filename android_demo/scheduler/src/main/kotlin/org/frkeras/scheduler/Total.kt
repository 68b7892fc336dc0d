package org.frkeras.scheduler

import kotlin.math.abs

private const val STEPS = 12
private const val SHORTER = 0.7
private const val VISITS = 4000
private const val TOLERANCE = 0.001
private const val ROUNDING = 1e-12

/** The options that were chosen, and the units of each. */
internal class Chosen(val options: List<Option>, val shares: IntArray)

/** Finds a choice within the limits; `start` has a place in each row that fits. */
internal typealias Solver = (
    rows: List<List<Option>>,
    units: Int,
    memory: Long,
    start: List<Int>,
) -> Chosen

/** An option for each application and its units, with the least total cost. */
internal fun leastTotal(
    rows: List<List<Option>>,
    units: Int,
    memory: Long,
    start: List<Int>,
): Chosen = TotalSearch(rows, units, memory).run(start)

/** A price of a unit and of a byte, and what follows from them. */
private class Prices(
    val unit: Double,
    val byte: Double,
    val values: List<DoubleArray>,
    val bound: Double,
    val units: Int,
    val memory: Long,
)

private class TotalSearch(
    private val rows: List<List<Option>>,
    private val units: Int,
    private val memory: Long,
) {
    private var places = emptyList<Int>()
    private var cost = Double.POSITIVE_INFINITY
    private val seen = HashSet<List<Int>>()
    private var visits = 0

    fun run(start: List<Int>): Chosen {
        tryOut(start, 0.0)
        val prices = bestPrices()
        Near(prices).visit(0, prices.bound, memory)
        val picked = picked(places)
        return Chosen(picked, spread(picked, units, prices.unit))
    }

    private fun picked(places: List<Int>) = rows.mapIndexed { at, row -> row[places[at]] }

    /** Takes a choice if it fits and is better. */
    private fun tryOut(places: List<Int>, price: Double) {
        if (!seen.add(places)) return
        val picked = picked(places)
        if (picked.sumOf { it.memory } > memory || picked.sumOf { it.least } > units) return
        val found = total(picked, spread(picked, units, price))
        if (found < cost) {
            cost = found
            this.places = places
        }
    }

    /** Whether no choice above a bound is worth looking for. */
    private fun goodEnough(bound: Double) =
        bound >= cost - maxOf(TOLERANCE * abs(cost), ROUNDING)

    /** The prices that give the largest bound. */
    private fun bestPrices(): Prices {
        var unit = 0.0
        var byte = 0.0
        var best: Prices? = null
        var pace = 1.0
        val size = maxOf(memory, 1).toDouble()
        for (step in 0 until STEPS) {
            val now = priced(unit, byte)
            if (best == null || now.bound > best.bound) best = now else pace *= SHORTER
            var overUnits = now.units.toDouble() / units - 1
            var overMemory = now.memory.toDouble() / size - 1
            // A price of 0 cannot fall.
            if (unit <= 0 && overUnits < 0) overUnits = 0.0
            if (byte <= 0 && overMemory < 0) overMemory = 0.0
            val square = overUnits * overUnits + overMemory * overMemory
            if (goodEnough(now.bound) || square <= 0) break
            val length = pace * (cost - now.bound) / square
            unit = maxOf(0.0, unit + length * overUnits / units)
            byte = maxOf(0.0, byte + length * overMemory / size)
        }
        return checkNotNull(best)
    }

    private fun priced(unit: Double, byte: Double): Prices {
        var bound = 0.0
        var used = 0
        var held = 0L
        val found = ArrayList<Int>(rows.size)
        val values = rows.map { row ->
            val taken = IntArray(row.size) { row[it].atPrice(unit) }
            val costs = DoubleArray(row.size) {
                val one = row[it]
                one.base + one.late(taken[it]) + unit * taken[it] + byte * one.memory
            }
            val place = costs.firstLeast()
            found += place
            bound += costs[place]
            used += taken[place]
            held += row[place].memory
            costs
        }
        tryOut(found, unit)
        bound -= unit * units + byte * memory
        return Prices(unit, byte, values, bound, used, held)
    }

    /** Looks at all choices that the bound does not rule out. */
    private inner class Near(private val prices: Prices) {
        private val orders = prices.values.map(::ascending)
        private val rests = LongArray(rows.size + 1)
        private val found = IntArray(rows.size)

        init {
            for (at in rows.indices.reversed()) {
                rests[at] = rests[at + 1] + rows[at].minOf { it.memory }
            }
        }

        fun visit(at: Int, bound: Double, memory: Long) {
            if (at == rows.size) return tryOut(found.toList(), prices.unit)
            val costs = prices.values[at]
            val order = orders[at]
            for (place in order) {
                visits++
                val after = bound + (costs[place] - costs[order[0]])
                if (visits > VISITS || goodEnough(after)) return
                val left = memory - rows[at][place].memory
                if (left >= rests[at + 1]) {
                    found[at] = place
                    visit(at + 1, after, left)
                }
            }
        }
    }
}

/** The places of numbers from the least on; of equals in order. */
private fun ascending(values: DoubleArray): IntArray {
    val order = IntArray(values.size) { it }
    for (next in 1 until order.size) {
        val moved = order[next]
        var at = next
        while (at > 0 && values[moved] < values[order[at - 1]]) {
            order[at] = order[at - 1]
            at--
        }
        order[at] = moved
    }
    return order
}
