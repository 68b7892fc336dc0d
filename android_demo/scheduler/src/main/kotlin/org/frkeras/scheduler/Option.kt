package org.frkeras.scheduler

import kotlin.math.ceil
import kotlin.math.sqrt

/**
 * A capacity that an application may get. Its cost with `u` units is
 * `base + max(0, slope / u - relief)`, times the priority already.
 *
 * @property place The place of the capacity in [Application.capacities].
 * @property base The cost without any latency.
 * @property slope What the latency costs with one unit.
 * @property relief What the bound spares.
 * @property memory In bytes.
 * @property least The fewest units that it may get.
 * @property most The units above which no more help.
 * @property priority What is in the cost as a factor.
 */
internal data class Option(
    val place: Int,
    val base: Double,
    val slope: Double,
    val relief: Double,
    val memory: Long,
    val least: Int,
    val most: Int,
    val priority: Double,
) {
    /** The cost of the latency. */
    fun late(units: Int): Double {
        val over = slope / units - relief
        return if (over > 0) over else 0.0
    }

    /** What the cost weighs where only the largest counts. */
    fun urgency(units: Int): Double {
        val cost = base + late(units)
        return if (cost > 0) cost else cost / (priority * priority)
    }

    /** The fewest units with an urgency below a limit; `null` if none suffice. */
    fun need(limit: Double): Int? {
        val cost = if (limit > 0) limit else limit * (priority * priority)
        val allowed = cost - base
        if (allowed <= 0) return null
        // The latency costs less than what is allowed above this; rounding may be one unit off.
        val above = slope / (relief + allowed)
        var units = if (above < least) least else minOf(above, most + 1.0).toInt()
        while (units <= most && urgency(units) >= limit) units++
        return units.takeIf { it <= most }
    }

    /** The units that it takes if each costs so much: the fewest of the best. */
    fun atPrice(price: Double): Int {
        if (price <= 0 || least == most) return most
        // slope / u + price * u is least at this u, and the next whole numbers are all that count.
        val root = sqrt(slope / price)
        val units = if (root >= most) most - 1 else maxOf(least, root.toInt())
        return if (late(units) - late(units + 1) <= price) units else units + 1
    }

    /** What the last unit is worth. */
    fun loss(units: Int): Double =
        if (units > least) late(units - 1) - late(units) else Double.POSITIVE_INFINITY

    /** What one unit more is worth. */
    fun gain(units: Int): Double = if (units < most) late(units) - late(units + 1) else 0.0
}

/** What an application may get of a processor of so many units. */
internal fun options(application: Application, units: Int): List<Option> {
    val weight = application.priority * application.late
    return application.useful.map { place ->
        val one = application.capacities[place]
        val enough = WHOLE * one.latencyMs / application.boundMs
        Option(
            place = place,
            base = application.priority * (application.goal - one.accuracy),
            slope = weight * (WHOLE * one.latencyMs),
            relief = weight * application.boundMs,
            memory = one.memory,
            least = 1,
            most = if (enough >= units) units else maxOf(1, ceil(enough).toInt()),
            priority = application.priority,
        )
    }
}

/**
 * The units of each of the options, with the least total cost; they need at most [units] together.
 * It begins with what each takes at a [price].
 */
internal fun spread(chosen: List<Option>, units: Int, price: Double): IntArray {
    val shares = IntArray(chosen.size) { chosen[it].atPrice(price) }
    var left = units - shares.sum()
    if (left < 0) {
        val losses = DoubleArray(chosen.size) { chosen[it].loss(shares[it]) }
        while (left < 0) {
            val place = losses.firstLeast()
            shares[place]--
            losses[place] = chosen[place].loss(shares[place])
            left++
        }
    }
    val gains = DoubleArray(chosen.size) { chosen[it].gain(shares[it]) }
    while (left > 0) {
        val place = gains.firstMost()
        if (gains[place] <= 0) break
        shares[place]++
        gains[place] = chosen[place].gain(shares[place])
        left--
    }
    return shares
}

/** The cost of all together. */
internal fun total(chosen: List<Option>, shares: IntArray): Double {
    var found = 0.0
    for ((place, one) in chosen.withIndex()) found += one.base + one.late(shares[place])
    return found
}

/** The place of the least number, the first of equals. */
internal fun DoubleArray.firstLeast(): Int {
    var best = 0
    for (place in indices) if (this[place] < this[best]) best = place
    return best
}

private fun DoubleArray.firstMost(): Int {
    var best = 0
    for (place in indices) if (this[place] > this[best]) best = place
    return best
}
