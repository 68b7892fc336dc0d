package org.frkeras.demo.logic

import org.frkeras.scheduler.Application
import org.frkeras.scheduler.Capacity

/** A network of the screen, as the scheduler sees it: with the times that this phone measured. */
internal class Applicant(val network: NestedNetwork) {
    var isOn = true

    /** Whether it has a higher priority than others. */
    var isFirst = false

    /** Whether the scheduler knows it. */
    var hasStarted = false
    var performance = Performance()

    /** What the capacity that failed last said. */
    var failure: String? = null

    /** Places of capacities that failed: they are left out until it is switched on anew. */
    val failed = HashSet<Int>()
    private val milliseconds = HashMap<Int, Double>()

    val priority: Double get() = if (isFirst) FIRST else USUAL

    /** The places of the capacities that can be chosen. */
    val places: List<Int> get() = network.capacities.indices.filter { it !in failed }

    /** Whether the time of a capacity is this phone's. */
    fun isMeasured(place: Int): Boolean = place in milliseconds

    /** Capacities that failed may be tried again. */
    fun forgive() {
        failed.clear()
        failure = null
    }

    fun measured(place: Int, milliseconds: Double) {
        this.milliseconds[place] = milliseconds
    }

    fun capacity(place: Int): Capacity {
        val profile = network.capacities[place]
        return milliseconds[place]?.let { profile.copy(latencyMs = it) } ?: profile
    }

    /** What it asks for: the accuracy of its best capacity, and a frame within a time. */
    fun application(boundMs: Double) = Application(
        name = network.name,
        capacities = places.map(::capacity),
        goal = network.capacities.maxOf { it.accuracy },
        boundMs = boundMs,
        priority = priority,
        late = LATE,
    )

    private companion object {
        const val FIRST = 4.0
        const val USUAL = 1.0

        /** A millisecond costs ten points of accuracy: these networks take about one or less. */
        const val LATE = 0.1
    }
}
