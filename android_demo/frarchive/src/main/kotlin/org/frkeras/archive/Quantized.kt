package org.frkeras.archive

private const val LOWEST = -512
private const val HIGHEST = 511
private const val STEPS_AN_OCTAVE = 8
private val MANTISSAS = intArrayOf(32768, 35734, 38968, 42495, 46341, 50535, 55109, 60097)

/** The numbers of the steps that the format has. */
internal val STEPS = LOWEST..HIGHEST

/**
 * Whole numbers and the step that they count: the coefficients of a tensor in zigzag order, the
 * first DCT-II coefficients of a vector, or the numbers of a kernel.
 *
 * ```
 * val tensor = Archive.decode(input).tensors[0]
 * val first = tensor[0] * tensor.stepSize // equals tensor.reals()[0], but for its rounding
 * ```
 *
 * @property step The number of the step, from -512 to 511; eight make a factor of two.
 */
public class Quantized internal constructor(private val values: IntArray, public val step: Int) :
    Vector {
    /** How many numbers there are. */
    override val size: Int get() = values.size

    /** The step itself; whole numbers times it are exact in double precision. */
    public val stepSize: Double
        get() = Math.scalb(
            MANTISSAS[Math.floorMod(step, STEPS_AN_OCTAVE)].toDouble(),
            Math.floorDiv(step, STEPS_AN_OCTAVE) - 15,
        )

    /** Returns a whole number. */
    public operator fun get(index: Int): Int = values[index]

    /** Returns the real numbers, rounded once. */
    public fun reals(): FloatArray {
        val step = stepSize
        return FloatArray(size) { (values[it] * step).toFloat() }
    }

    /** Returns what [reals] returns, in double precision. */
    internal fun doubles(): DoubleArray {
        val step = stepSize
        return DoubleArray(size) { (values[it] * step).toFloat().toDouble() }
    }

    override fun fits(length: Int): Boolean = length >= maxOf(1, size)

    /** Whether another one has the same numbers and step. */
    internal fun isSame(other: Quantized): Boolean =
        step == other.step && values.contentEquals(other.values)

    /**
     * Returns the vector of [length] numbers of which these are the first DCT-II coefficients.
     *
     * @throws IllegalArgumentException If there are more coefficients than numbers.
     */
    override fun rebuild(length: Int): FloatArray {
        require(fits(length)) {
            "`length` must be at least 1 and at least the $size coefficients. Received: $length"
        }
        val step = stepSize
        val cosines = Cosines(length)
        val total = DoubleArray(length)
        for (u in 0 until size) {
            val coefficient = values[u] * step
            val scale = cosines.scale(u)
            for (i in 0 until length) total[i] += coefficient * (scale * cosines.at(u, i))
        }
        return FloatArray(length) { total[it].toFloat() }
    }
}
