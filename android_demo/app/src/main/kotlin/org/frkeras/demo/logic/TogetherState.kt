package org.frkeras.demo.logic

import kotlin.math.ln
import kotlin.math.pow
import org.frkeras.scheduler.Lack

/**
 * The screen *Together*: several networks at once, each in the capacity that the scheduler chooses.
 * All but the frames is on the main thread.
 *
 * @property clock Seconds; never jumps.
 */
class TogetherState(
    private val source: CapacitySource,
    private val engine: Engine,
    private val crew: Crew,
    private val clock: () -> Double = { System.nanoTime() / NANOSECONDS },
) : Audience {
    /** Is called after each change; set while there is somebody to show it. */
    var changed: () -> Unit = {}

    /** What the largest capacities of all networks take. */
    val most: Long = source.networks.sumOf { one -> one.capacities.maxOf { it.memory } }
    private val roster = Roster(source.networks, bytes(USUAL_MEMORY), USUAL_PACE, clock)
    private val stage = Stage(source, engine, crew, clock, this)

    /** How many capacities are measured, of [capacities]. */
    var measured = 0
        private set
    val capacities: Int = source.networks.sumOf { it.capacities.size }

    /** The bytes that all networks may take. */
    val memory: Long get() = roster.memory

    /** What of [memory] there is now: Android may have taken some of it. */
    val memoryNow: Long get() = roster.memoryNow

    /** How many frames a second each network should have. */
    val perSecond: Double get() = roster.perSecond

    /** The percent of the processor that there is now: less while the phone is hot. */
    val unitsNow: Int get() = roster.unitsNow

    /** What is shown of each network. */
    val lines: List<TogetherLine> get() = roster.applicants.map(::line)

    /** What the scheduler gains, by the profiles; `null` where nothing is on. */
    val comparison: Comparison? get() = roster.comparison

    /** Where between 0 and 1 the sliders are. */
    val memoryShare: Double get() = memory.toDouble() / most
    val paceShare: Double get() = ln(perSecond) / ln(MOST_PACE)

    private var isPresent = false
    private val isReady get() = measured == capacities

    /** The number of the visit; what an earlier one waited for is not done. */
    private var visit = 0

    /** The number of the last word of Android about memory. */
    private var trims = 0

    /** The screen is seen: measures what is not measured yet, and then begins. */
    fun enter() {
        if (isPresent) return
        isPresent = true
        roster.trim(0) // If memory is short still, Android says so again.
        val all = roster.applicants.flatMap { one -> one.network.capacities.indices.map(one::to) }
        measure(++visit, all.drop(measured))
    }

    /** The screen is not seen any more: nothing runs, and nothing stays loaded. */
    fun leave() {
        isPresent = false
        visit++
        stage.stop()
    }

    /** Switches a network on or off. Capacities that failed are tried again. */
    fun switch(network: String, isOn: Boolean) {
        val applicant = roster.named(network)
        if (applicant.isOn == isOn) return
        applicant.isOn = isOn
        if (isOn) applicant.forgive()
        if (isReady) roster.update(applicant)
        follow()
    }

    /** Gives a network a higher priority than others, or the same. */
    fun prioritize(network: String, isFirst: Boolean) {
        roster.prioritize(roster.named(network), isFirst)
        follow()
    }

    /** Takes the memory of all networks, 0 to 1 as a share of [most]. */
    fun allow(share: Double) {
        roster.allow(bytes(share))
        follow()
    }

    /** Takes the frames a second that each network should have: 0 to 1 stand for 1 to 1,000. */
    fun pace(share: Double) {
        roster.pace(MOST_PACE.pow(share.coerceIn(0.0, 1.0)))
        follow()
    }

    /**
     * Android is short of memory: the level of `onTrimMemory`. It never says that memory is back,
     * so that counts as said after some time without a word.
     */
    fun trim(level: Int) {
        val number = ++trims
        roster.trim(level)
        later(BACK_AGAIN) {
            if (number == trims) {
                roster.trim(0)
                follow()
            }
        }
        follow()
    }

    /** Android's thermal status. */
    fun heat(status: Int) {
        roster.heat(status)
        follow()
    }

    /** What the user has set, for [restore]. */
    fun save(): String {
        val (on, first) = listOf(Applicant::isOn, Applicant::isFirst)
            .map { which -> roster.applicants.filter(which).map { it.network.name } }
        return Wishes(memoryShare, paceShare, on, first).save()
    }

    /** Takes what was set, before the screen is seen. */
    fun restore(kept: String) {
        val wishes = Wishes.restore(kept)
        for (one in roster.applicants) {
            one.isOn = one.network.name in wishes.on
            one.isFirst = one.network.name in wishes.first
        }
        allow(wishes.memory)
        pace(wishes.pace)
    }

    override fun performed(all: Map<String, Performance>) {
        roster.applicants.forEach { it.performance = all.getValue(it.network.name) }
        changed()
    }

    override fun failed(network: String, place: Int, why: String) {
        roster.fail(roster.named(network), place, why)
        follow()
    }

    /** Measures one capacity after another, while nothing else runs, and then begins. */
    private fun measure(number: Int, waiting: List<Pair<Applicant, Int>>) {
        if (waiting.isEmpty()) {
            roster.applicants.forEach(roster::update)
            return follow()
        }
        changed()
        val (applicant, place) = waiting.first()
        crew.threads.work.execute {
            var why = ""
            val found = tried({ why = it }) {
                source.load(engine, applicant.network, place).use { it.milliseconds(clock) }
            }
            crew.threads.main.execute {
                if (number == visit) {
                    measured++
                    if (found == null) roster.fail(applicant, place, why)
                    if (found != null) applicant.measured(place, found)
                    measure(number, waiting.drop(1))
                }
            }
        }
    }

    /** Does what the scheduler has chosen, and asks it again when a change is due. */
    private fun follow() {
        if (isPresent && isReady) {
            stage.follow(roster.parts, memoryNow)
            roster.due?.let(::awaitChange)
        }
        changed()
    }

    private fun awaitChange(due: Double) = later(maxOf(0.0, due - clock())) {
        if (due == roster.due) {
            roster.update()
            follow()
        }
    }

    /** On the main thread, unless the screen is left before. */
    private fun later(seconds: Double, work: () -> Unit) {
        val number = visit
        crew.later(seconds) { crew.threads.main.execute { if (number == visit) work() } }
    }

    private fun line(applicant: Applicant): TogetherLine {
        val running = applicant.performance.place.takeIf { isPresent }
        return TogetherLine(
            network = applicant.network,
            isOn = applicant.isOn,
            isFirst = applicant.isFirst,
            standing = standing(applicant, running),
            place = running,
            capacity = running?.let(applicant::capacity),
            isMeasured = running?.let(applicant::isMeasured) ?: false,
            planned = roster.parts[applicant.network.name]?.perSecond ?: 0.0,
            performance = applicant.performance,
            failure = applicant.failure,
        )
    }

    private fun standing(applicant: Applicant, running: Int?): Standing = when {
        !applicant.isOn -> Standing.OFF
        !isReady -> Standing.MEASURING
        roster.lack(applicant) == Lack.MEMORY -> Standing.NO_MEMORY
        roster.lack(applicant) == Lack.PROCESSOR -> Standing.NO_PROCESSOR
        running == null -> Standing.STARTING
        else -> Standing.RUNNING
    }

    private fun bytes(share: Double): Long = Math.round(most * share.coerceIn(0.0, 1.0))

    private companion object {
        const val NANOSECONDS = 1e9
        const val USUAL_MEMORY = 0.6
        const val USUAL_PACE = 30.0
        const val MOST_PACE = 1e3

        /** Seconds without a word of Android, after which memory counts as back. */
        const val BACK_AGAIN = 30.0
    }
}
