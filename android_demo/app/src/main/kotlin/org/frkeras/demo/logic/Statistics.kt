package org.frkeras.demo.logic

import kotlin.math.floor

/** The percentile of numbers, between two of them on the line through both, as numpy's is. */
fun percentile(values: DoubleArray, percent: Double): Double {
    require(values.isNotEmpty()) { "There is no percentile of no numbers" }
    val sorted = values.sortedArray()
    val place = percent / 100 * (sorted.size - 1)
    val below = floor(place).toInt().coerceIn(0, sorted.size - 1)
    val above = minOf(below + 1, sorted.size - 1)
    return sorted[below] + (sorted[above] - sorted[below]) * (place - below)
}

/** Of one inference, in microseconds; as in a result of `fr-keras benchmark`. */
data class Times(
    val runs: Int,
    val initUs: Double,
    val firstUs: Double,
    val meanUs: Double,
    val medianUs: Double,
    val p5Us: Double,
    val p95Us: Double,
) {
    companion object {
        /** Of [timed] inferences, after those that warmed up, the first of which took [firstUs]. */
        fun of(initUs: Double, firstUs: Double, timed: DoubleArray) = Times(
            runs = timed.size,
            initUs = initUs,
            firstUs = firstUs,
            meanUs = timed.average(),
            medianUs = percentile(timed, 50.0),
            p5Us = percentile(timed, 5.0),
            p95Us = percentile(timed, 95.0),
        )
    }
}

/** Outputs against the CPU reference, on the same rows; as in a result of `fr-keras benchmark`. */
data class Agreement(
    val rows: Int,
    val largest: Double,
    val relative: Double,
    val steps: Double?,
    val argmax: Double?,
) {
    companion object {
        private const val THOUSANDTHS = 1000

        /** Of real outputs, a row each, of a tensor. */
        fun of(found: List<FloatArray>, expected: List<FloatArray>, type: TensorType): Agreement {
            require(found.size == expected.size && found.isNotEmpty()) { "Rows must be the same" }
            var largest = 0.0
            var least = Double.MAX_VALUE
            var most = -Double.MAX_VALUE
            for ((row, wanted) in found.zip(expected)) {
                for (place in row.indices) {
                    val number = wanted[place].toDouble()
                    // A NaN must not pass for agreement.
                    val difference = Math.abs(row[place] - number)
                    val counted = if (difference.isNaN()) Double.MAX_VALUE else difference
                    largest = maxOf(largest, counted)
                    least = minOf(least, number)
                    most = maxOf(most, number)
                }
            }
            val range = (most - least).takeIf { it > 0 } ?: 1.0
            return Agreement(
                rows = found.size,
                largest = largest,
                relative = largest / range,
                steps = type.step?.let { Math.rint(largest / it * THOUSANDTHS) / THOUSANDTHS },
                argmax = argmax(found, expected, type),
            )
        }

        private fun argmax(
            found: List<FloatArray>,
            expected: List<FloatArray>,
            type: TensorType,
        ): Double? {
            val classes = type.shape.last()
            if (type.shape.size < 2 || classes < 2) return null
            val same = found.zip(expected).map { (row, wanted) ->
                val one = classesOf(row, classes)
                val other = classesOf(wanted, classes)
                one.indices.count { one[it] == other[it] }.toDouble() / one.size
            }
            return same.average()
        }
    }
}
