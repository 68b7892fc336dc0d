package org.frkeras.demo.logic

import org.frkeras.scheduler.Capacity

/** How it stands with a network of the screen *Together*. */
enum class Standing {
    OFF,

    /** It waits until all capacities are measured. */
    MEASURING,

    /** Its first capacity is being loaded, or it waits for room. */
    STARTING,
    RUNNING,

    /** Not even its smallest capacity fits. */
    NO_MEMORY,

    /** The phone is too hot. */
    NO_PROCESSOR,
}

/**
 * What the screen *Together* shows of a network.
 *
 * @property place Of the capacity that runs.
 * @property capacity Its figures.
 * @property isMeasured Whether its time is this phone's, not a computer's.
 * @property planned Frames a second by its share of the processor.
 * @property failure What a capacity that failed said.
 */
data class TogetherLine(
    val network: NestedNetwork,
    val isOn: Boolean,
    val isFirst: Boolean,
    val standing: Standing,
    val place: Int?,
    val capacity: Capacity?,
    val isMeasured: Boolean,
    val planned: Double,
    val performance: Performance,
    val failure: String?,
)

/** The networks that are on with the scheduler, beside fixed networks. */
data class Comparison(val together: Totals, val fixed: Totals)

/** What a user has set, as text that survives the end of the process. */
internal data class Wishes(
    val memory: Double,
    val pace: Double,
    val on: List<String>,
    val first: List<String>,
) {
    fun save(): String =
        toJson(linkedMapOf("memory" to memory, "pace" to pace, "on" to on, "first" to first))

    companion object {
        fun restore(kept: String): Wishes {
            val held = JsonParser.parse(kept) as Map<*, *>
            fun names(key: String) = (held[key] as List<*>).map { it as String }
            return Wishes(
                held["memory"] as Double,
                held["pace"] as Double,
                names("on"),
                names("first"),
            )
        }
    }
}
