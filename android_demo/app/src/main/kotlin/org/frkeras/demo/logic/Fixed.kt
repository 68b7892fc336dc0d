package org.frkeras.demo.logic

import org.frkeras.scheduler.Application
import org.frkeras.scheduler.Plan
import org.frkeras.scheduler.Share
import org.frkeras.scheduler.choose

/**
 * What all networks that are on have by a plan.
 *
 * @property asked How many are on.
 * @property running How many of them run.
 * @property memory Bytes of those that run.
 * @property accuracy The mean; that of a network that cannot run is 0.
 * @property perSecond Frames a second of all.
 * @property cost The scheduler's; a network that cannot run costs its goal.
 */
data class Totals(
    val asked: Int,
    val running: Int,
    val memory: Long,
    val accuracy: Double,
    val perSecond: Double,
    val cost: Double,
)

/** Adds up what applications get by a plan. */
internal fun totals(applications: List<Application>, plan: Plan): Totals {
    val running = applications.mapNotNull { one -> plan.shares[one.name]?.let { one to it } }
    val capacities = running.map { (one, share) -> one.capacities[share.capacity] }
    val waiting = applications.filter { it.name in plan.waiting }
    return Totals(
        asked = applications.size,
        running = running.size,
        memory = capacities.sumOf { it.memory },
        accuracy = capacities.sumOf { it.accuracy } / maxOf(1, applications.size),
        perSecond = running.sumOf { (one, share) -> perSecond(one, share) },
        cost = plan.cost + waiting.sumOf { it.priority * it.goal },
    )
}

/** How often an application runs: as its share of the processor lets it, at most as it asks. */
internal fun perSecond(application: Application, share: Share): Double {
    val whole = PERCENT * application.capacities[share.capacity].latencyMs
    return minOf(SECOND / application.boundMs, share.units * SECOND / whole)
}

/**
 * Fixed networks, as apps have them today: each has the most accurate capacity that fits into an
 * equal part of the memory, whatever runs and whatever happens. They are treated well: the
 * processor is split among them as the scheduler splits it.
 *
 * @param applications Those that run now.
 * @param networks How many could run: memory is divided by so many.
 * @param memory What they were chosen for.
 * @param memoryNow What there is now.
 */
internal fun fixed(
    applications: List<Application>,
    networks: Int,
    memory: Long,
    memoryNow: Long,
    units: Int,
): Plan {
    val part = memory / networks
    val held = applications.associate { one ->
        val places = one.capacities.indices
        val fitting = places.filter { one.capacities[it].memory <= part }
        val best = fitting.maxByOrNull { one.capacities[it].accuracy }
        one.name to (best ?: places.minBy { one.capacities[it].memory })
    }
    val plan = choose(applications.map { it.only(held.getValue(it.name)) }, memoryNow, units)
    val shares = plan.shares.mapValues { (name, one) -> one.copy(capacity = held.getValue(name)) }
    return plan.copy(shares = shares)
}

private fun Application.only(place: Int) = copy(capacities = listOf(capacities[place]))

private const val SECOND = 1000.0
private const val PERCENT = 100.0
