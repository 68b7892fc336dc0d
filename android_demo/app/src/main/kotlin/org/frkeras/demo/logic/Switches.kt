package org.frkeras.demo.logic

/**
 * What a network holds in memory, and what it shall hold.
 *
 * @property now The bytes of the capacity that is loaded; `null` without one.
 * @property then The bytes of another one that it shall have; `null` if nothing is to change.
 */
internal data class Holding(val now: Long?, val then: Long?)

/** A step towards what all shall hold, of the network at a [place]. */
internal sealed class Step {
    abstract val place: Int

    /** Loads the new capacity; the old one, if there is one, goes on until that is there. */
    data class Load(override val place: Int) : Step()

    /** Closes the old capacity first, because there is no room for both. Frames come late. */
    data class Close(override val place: Int) : Step()
}

/**
 * The next step, or `null` if there is none. The old and the new capacity count both while one is
 * loaded, so memory never exceeds [limit] by a load. Whatever frees most comes first.
 */
internal fun nextStep(holdings: List<Holding>, limit: Long): Step? {
    val held = holdings.sumOf { it.now ?: 0 }
    fun grows(place: Int) = holdings[place].let { (it.then ?: 0) - (it.now ?: 0) }
    val changing = holdings.indices.filter { holdings[it].then != null }
    val fitting = changing.filter { held + (holdings[it].then ?: 0) <= limit }
    fitting.minByOrNull(::grows)?.let { return Step.Load(it) }
    return changing.filter { holdings[it].now != null }.minByOrNull(::grows)?.let { Step.Close(it) }
}
