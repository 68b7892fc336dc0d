package org.frkeras.demo.logic

/** A class and how sure a network is of it. */
data class Guess(val label: String, val confidence: Float)

/**
 * Guesses, the surest first; of equal ones the first class, as numpy's `argmax` has it.
 *
 * A class without a label goes by its number.
 */
fun guesses(outputs: FloatArray, labels: List<String>): List<Guess> =
    outputs.indices.sortedByDescending { outputs[it] }
        .map { Guess(labels.getOrElse(it) { _ -> it.toString() }, outputs[it]) }

/** The class of each pixel of `(pixels, classes)` outputs. */
fun classesOf(outputs: FloatArray, classes: Int): IntArray {
    require(classes > 0 && outputs.size % classes == 0) {
        "${outputs.size} outputs are not those of pixels with $classes classes each"
    }
    return IntArray(outputs.size / classes) { pixel ->
        var best = 0
        for (one in 1 until classes) {
            if (outputs[pixel * classes + one] > outputs[pixel * classes + best]) best = one
        }
        best
    }
}

private val COLORS = intArrayOf(0xe53935, 0x1e88e5, 0x43a047, 0xfdd835, 0x8e24aa)

/** An overlay, `0xAARRGGBB`: class 0 is clear, each other one has a color of [opacity] 0 to 1. */
fun overlay(classes: IntArray, opacity: Float): IntArray {
    val alpha = Math.round(opacity.coerceIn(0f, 1f) * 255) shl 24
    return IntArray(classes.size) { pixel ->
        val one = classes[pixel]
        if (one == 0) 0 else alpha or COLORS[(one - 1) % COLORS.size]
    }
}

/** What of the pixels has another class than 0. */
fun covered(classes: IntArray): Float = classes.count { it != 0 }.toFloat() / classes.size
