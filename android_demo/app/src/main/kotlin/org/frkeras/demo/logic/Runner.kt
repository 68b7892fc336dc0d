package org.frkeras.demo.logic

import kotlin.math.floor

/** What a network shall do: the place of its capacity, and how often a second it runs. */
data class Part(val place: Int, val perSecond: Double)

/**
 * How a network runs.
 *
 * @property place Of the capacity that is loaded; `null` without one.
 * @property loading Of the one that is being loaded.
 * @property perSecond Frames in the last second.
 * @property missed Frames that came while an earlier one was not done, and were left out.
 * @property missedInSwitches Those of [missed] between the begin of a load and its first frame.
 * @property closedFirst Switches for which the old capacity had to be closed first.
 */
data class Performance(
    val place: Int? = null,
    val loading: Int? = null,
    val perSecond: Double = 0.0,
    val frames: Long = 0,
    val missed: Long = 0,
    val missedInSwitches: Long = 0,
    val switches: Int = 0,
    val closedFirst: Int = 0,
)

/** A network on the thread that works. Times are seconds. */
internal class Runner(val network: NestedNetwork) {
    /** What it shall do; `null` if it shall not run. */
    var part: Part? = null
        private set
    private var loaded: LoadedCapacity? = null

    /** A capacity that does not load, which is not tried again until another is wanted. */
    private var refused: Int? = null
    private var interval = 0.0
    private var isSwitching = false
    private var counted = 0L

    /** When the next frame comes; `null` if there is nothing that could run. */
    var due: Double? = null
        private set
    var performance = Performance()
        private set

    val holding: Holding
        get() {
            val wanted = part?.place?.takeIf { it != loaded?.place && it != refused }
            return Holding(loaded?.place?.let(::bytes), wanted?.let(::bytes))
        }

    /** Takes another part. */
    fun take(part: Part?, now: Double) {
        this.part = part
        if (part == null) {
            close()
            refused = null
            isSwitching = false
            return
        }
        if (refused != part.place) refused = null
        interval = 1 / part.perSecond
        due = due?.let { minOf(it, now + interval) }
    }

    /** A capacity is going to be loaded. */
    fun load(place: Int) {
        isSwitching = isSwitching || loaded != null
        performance = performance.copy(loading = place)
    }

    /** The new capacity is there: from the next frame on it runs, and the old one is closed. */
    fun swap(made: LoadedCapacity, now: Double) {
        val old = loaded
        loaded = made
        if (isSwitching) performance = performance.copy(switches = performance.switches + 1)
        performance = performance.copy(place = made.place, loading = null)
        due = due ?: now
        old?.close()
    }

    /** What was loaded is not wanted any more. */
    fun waive() {
        performance = performance.copy(loading = null)
    }

    /** The capacity did not load, or did not run; an old one goes on. */
    fun refuse(place: Int) {
        refused = place
        isSwitching = false
        performance = performance.copy(loading = null)
        if (loaded?.place == place) close()
    }

    /** There is no room for both. The frames that come until the new one is there are late. */
    fun closeFirst() {
        val next = due
        close()
        due = next
        isSwitching = true
        performance = performance.copy(closedFirst = performance.closedFirst + 1)
    }

    /** Whether a frame can run, and when it comes. */
    val ready: Double? get() = due.takeIf { loaded != null }

    /** Runs the frame that has come; of several that have come, the last. */
    fun frame(now: Double) {
        val came = checkNotNull(due)
        val late = maxOf(0.0, floor((now - came) / interval)).toLong()
        checkNotNull(loaded).frame()
        due = came + (late + 1) * interval
        performance = performance.copy(
            frames = performance.frames + 1,
            missed = performance.missed + late,
            missedInSwitches = performance.missedInSwitches + if (isSwitching) late else 0,
        )
        if (performance.loading == null) isSwitching = false
    }

    /** The place of the capacity that runs. */
    val place: Int? get() = loaded?.place

    /** Counts the frames of the last [seconds]. */
    fun count(seconds: Double) {
        performance = performance.copy(perSecond = (performance.frames - counted) / seconds)
        counted = performance.frames
    }

    private fun close() {
        val old = loaded
        loaded = null // also if it does not close
        due = null
        performance = performance.copy(place = null, perSecond = 0.0)
        old?.close()
    }

    private fun bytes(place: Int) = network.capacities[place].memory
}
