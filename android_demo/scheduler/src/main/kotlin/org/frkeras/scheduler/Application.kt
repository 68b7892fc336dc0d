package org.frkeras.scheduler

/** The processor in the steps in which it is given away: percent. */
internal const val WHOLE: Int = 100

/**
 * The profile of one capacity of a network.
 *
 * @property accuracy Its score, where more is better; from 0 to 1 for a share.
 * @property memory What it needs while it runs, in bytes.
 * @property latencyMs What an inference takes with the whole processor, in milliseconds.
 * @throws IllegalArgumentException If a figure is not one that a network can have.
 */
public data class Capacity(
    val accuracy: Double,
    val memory: Long,
    val latencyMs: Double,
) {
    init {
        require(accuracy.isFinite()) {
            "`accuracy` of a capacity must be a finite number: measure it, or leave the capacity " +
                "out. Received: accuracy=$accuracy"
        }
        require(memory >= 0) { "`memory` must be 0 or more bytes. Received: memory=$memory" }
        require(latencyMs.isFinite() && latencyMs > 0) {
            "`latencyMs` must be a finite number above 0: the time of an inference with the " +
                "whole processor. Received: latencyMs=$latencyMs"
        }
    }

    internal fun asGoodAs(other: Capacity): Boolean =
        accuracy >= other.accuracy && memory <= other.memory && latencyMs <= other.latencyMs
}

/**
 * An application with a network of several capacities, and what it asks for.
 *
 * Its cost at a capacity and a share `u` of the processor is
 * `goal - accuracy + late * max(0, latencyMs / u - boundMs)`.
 *
 * @property name What it is called; no two that run have the same name.
 * @property capacities What its network can be, in any order.
 * @property goal The accuracy that it asks for. More than that is worth as much as it is above.
 * @property boundMs The latency that it asks for, in milliseconds; less is worth nothing.
 * @property priority What its cost is multiplied by. 1 is usual.
 * @property late The cost of a millisecond above [boundMs]: by default that of a point of accuracy.
 * @throws IllegalArgumentException If a property is not what it must be.
 */
public data class Application(
    val name: String,
    val capacities: List<Capacity>,
    val goal: Double,
    val boundMs: Double,
    val priority: Double = 1.0,
    val late: Double = 0.01,
) {
    init {
        require(capacities.isNotEmpty()) {
            "`capacities` of '$name' must hold at least one. Received: []"
        }
        require(goal.isFinite()) {
            "`goal` of '$name' must be a finite number. Received: goal=$goal"
        }
        for ((key, value) in listOf("boundMs" to boundMs, "priority" to priority, "late" to late)) {
            require(value.isFinite() && value > 0) {
                "`$key` of '$name' must be a finite number above 0. Received: $key=$value"
            }
        }
    }

    /** The capacities that no other is as good as in all three figures; the first of equals. */
    internal val useful: List<Int> by lazy {
        capacities.indices.filter { place ->
            val one = capacities[place]
            capacities.indices.none { earlier ->
                val other = capacities[earlier]
                earlier != place && other.asGoodAs(one) &&
                    (earlier < place || !one.asGoodAs(other))
            }
        }
    }

    /** The cost at a capacity with a share of the processor, in percent. */
    public fun cost(capacity: Int, units: Int): Double {
        val one = capacities[capacity]
        val over = late * (WHOLE * one.latencyMs / units) - late * boundMs
        return goal - one.accuracy + maxOf(0.0, over)
    }
}
