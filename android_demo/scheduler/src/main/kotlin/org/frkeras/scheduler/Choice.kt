package org.frkeras.scheduler

/** NestDNN's MinTotalCost and MinMaxCost. */
public enum class Policy(internal val solver: Solver) {
    /** The least sum of the costs. */
    TOTAL(::leastTotal),

    /** The least largest urgency, and of such plans the least sum of the costs. */
    WORST(::leastWorst),
}

/** What an application lacks that cannot run. */
public enum class Lack { MEMORY, PROCESSOR }

/** What an application gets: the place of its capacity, and its percent of the processor. */
public data class Share(val capacity: Int, val units: Int)

/**
 * What all applications get.
 *
 * @property shares The share of each that runs, by name.
 * @property waiting Why each other one cannot run, by name.
 * @property cost The sum of the costs of those that run, each times its priority.
 * @property worst The largest urgency: the cost of one times its priority, or divided by it below
 *   0.
 */
public data class Plan(
    val shares: Map<String, Share>,
    val waiting: Map<String, Lack>,
    val cost: Double,
    val worst: Double,
)

/**
 * The best plan for applications that run at the same time.
 *
 * Where not even the smallest capacities fit, those of a higher priority run, and of the same
 * priority those that started first.
 *
 * @param applications The applications, the one that started first at the front.
 * @param memory The bytes that all together may take; never exceeded.
 * @param units The percent of the processor that all together may take.
 * @param held The capacities that applications must keep, by name.
 * @throws IllegalArgumentException If an argument is not what it must be.
 */
public fun choose(
    applications: List<Application>,
    memory: Long,
    units: Int = WHOLE,
    policy: Policy = Policy.TOTAL,
    held: Map<String, Int> = emptyMap(),
): Plan {
    val twice = applications.groupBy { it.name }.values.firstOrNull { it.size > 1 }?.first()
    require(twice == null) {
        "`applications` must have names of their own: rename one. Received: '${twice?.name}' twice"
    }
    require(memory >= 0) { "`memory` must be 0 or more bytes. Received: memory=$memory" }
    require(units in 0..WHOLE) { "`units` must be 0 to 100 percent. Received: units=$units" }
    val rows = applications.associate { it.name to row(it, units, held[it.name]) }
    val waiting = refused(applications, rows, memory, units)
    val running = applications.map { it.name }.filter { it !in waiting }
    if (running.isEmpty()) return Plan(emptyMap(), waiting, 0.0, Double.NEGATIVE_INFINITY)
    val taken = running.map(rows::getValue)
    // The least memory is a choice that fits.
    val start = taken.map { row -> row.indices.minBy { row[it].memory } }
    val found = policy.solver(taken, units, memory, start)
    val shares = running.indices.associate {
        running[it] to Share(found.options[it].place, found.shares[it])
    }
    val worst = running.indices.maxOf { found.options[it].urgency(found.shares[it]) }
    return Plan(shares, waiting, total(found.options, found.shares), worst)
}

private fun row(application: Application, units: Int, held: Int?): List<Option> =
    options(application, maxOf(units, 1)).filter { held == null || it.place == held }

/** Which applications cannot run, and for want of what. */
private fun refused(
    applications: List<Application>,
    rows: Map<String, List<Option>>,
    memory: Long,
    units: Int,
): Map<String, Lack> {
    val waiting = LinkedHashMap<String, Lack>()
    var memoryLeft = memory
    var unitsLeft = units
    for (one in applications.sortedByDescending { it.priority }) {
        val least = rows.getValue(one.name).minOf { it.memory }
        when {
            least > memoryLeft -> waiting[one.name] = Lack.MEMORY
            unitsLeft < 1 -> waiting[one.name] = Lack.PROCESSOR
            else -> {
                memoryLeft -= least
                unitsLeft--
            }
        }
    }
    return waiting
}
