package org.frkeras.demo.logic

import org.frkeras.scheduler.Lack
import org.frkeras.scheduler.Scheduler

/** The networks of the screen *Together*, and what the scheduler chooses for those that are on. */
internal class Roster(
    networks: List<NestedNetwork>,
    memory: Long,
    perSecond: Double,
    private val clock: () -> Double,
) {
    val applicants: List<Applicant> = networks.map(::Applicant)
    private val scheduler = Scheduler(memory)

    /** The bytes that all may take. */
    var memory: Long = memory
        private set

    /** How many frames a second each should have. */
    var perSecond: Double = perSecond
        private set

    val memoryNow: Long get() = scheduler.memoryNow
    val unitsNow: Int get() = scheduler.unitsNow

    /** When [update] should be called; `null` if nothing waits. */
    val due: Double? get() = scheduler.due

    /** What each that runs shall do, by name. */
    val parts: Map<String, Part>
        get() = scheduler.plan.shares.entries.associate { (name, share) ->
            val one = named(name)
            val place = one.places[share.capacity]
            val application = one.application(boundMs)
            name to Part(place, perSecond(application, share))
        }

    /** The networks that are on with the scheduler, beside fixed networks; `null` without any. */
    val comparison: Comparison?
        get() {
            val running = started.map { it.application(boundMs) }
            if (running.isEmpty()) return null
            val fixed = fixed(running, applicants.size, memory, memoryNow, unitsNow)
            return Comparison(totals(running, scheduler.plan), totals(running, fixed))
        }

    private val boundMs get() = MILLISECONDS / perSecond
    private val started get() = applicants.filter { it.hasStarted }

    fun named(network: String): Applicant = applicants.single { it.network.name == network }

    /** Why a network that is on cannot run; `null` if it can. */
    fun lack(applicant: Applicant): Lack? = scheduler.plan.waiting[applicant.network.name]

    /** Tells the scheduler whether a network is on. */
    fun update(applicant: Applicant) {
        if (applicant.isOn == applicant.hasStarted) return
        applicant.hasStarted = applicant.isOn
        if (applicant.isOn) {
            scheduler.start(applicant.application(boundMs), clock())
        } else {
            scheduler.end(applicant.network.name, clock())
        }
    }

    /** Leaves out a capacity that failed. A network without any is off. */
    fun fail(applicant: Applicant, place: Int, why: String) {
        val (wasOn, ran) = applicant.isOn to applicant.hasStarted
        applicant.isOn = false
        update(applicant)
        applicant.failed += place
        applicant.failure = why
        applicant.isOn = wasOn && applicant.places.isNotEmpty()
        if (ran) update(applicant)
    }

    fun prioritize(applicant: Applicant, isFirst: Boolean) {
        applicant.isFirst = isFirst
        if (!applicant.hasStarted) return
        scheduler.prioritize(applicant.network.name, applicant.priority, clock())
    }

    fun allow(memory: Long) {
        this.memory = memory
        scheduler.allow(memory, clock())
    }

    fun pace(perSecond: Double) {
        this.perSecond = perSecond
        scheduler.bound(started.associate { it.network.name to boundMs }, clock())
    }

    fun trim(level: Int) {
        scheduler.trim(level, clock())
    }

    fun heat(status: Int) {
        scheduler.heat(status, clock())
    }

    /** A change is due. */
    fun update() {
        scheduler.update(clock())
    }

    private companion object {
        const val MILLISECONDS = 1e3
    }
}
