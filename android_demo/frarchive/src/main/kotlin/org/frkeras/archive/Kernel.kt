package org.frkeras.archive

/**
 * A kernel that is stored as it lies in space, not in the DCT domain.
 *
 * @property columns The length of the last axis, at least 1; it divides the count of the numbers.
 */
public sealed class Kernel(public val columns: Int) {
    /** How many numbers there are. */
    public abstract val size: Int

    /** Returns the real numbers, laid out with the last axis fastest. */
    public abstract fun reals(): FloatArray

    /** Returns what [reals] returns, in double precision. */
    internal abstract fun doubles(): DoubleArray

    /** Whether another kernel is stored as the same numbers. */
    internal fun isSame(other: Kernel): Boolean = when (this) {
        is Whole -> other is Whole && columns == other.columns && numbers.isSame(other.numbers)
        is Codebook -> other is Codebook && hasSame(other)
        is GrownKernel -> false
    }

    /**
     * A kernel of whole numbers of a step.
     *
     * @property numbers Its numbers, laid out with the last axis fastest.
     */
    public class Whole internal constructor(public val numbers: Quantized, columns: Int) :
        Kernel(columns) {
        override val size: Int get() = numbers.size

        override fun reals(): FloatArray = numbers.reals()

        override fun doubles(): DoubleArray = numbers.doubles()
    }

    /** A kernel whose numbers are some of at most 16 levels. */
    public class Codebook internal constructor(
        private val places: ByteArray,
        private val levels: FloatArray,
        columns: Int,
    ) : Kernel(columns) {
        override val size: Int get() = places.size

        /** Returns the place of the level of a number. */
        public operator fun get(index: Int): Int = places[index].toInt()

        /** Returns the levels, in ascending order. */
        public fun levels(): FloatArray = levels.copyOf()

        internal fun hasSame(other: Codebook): Boolean = columns == other.columns &&
            places.contentEquals(other.places) && levels.contentEquals(other.levels)

        override fun reals(): FloatArray = FloatArray(size) { levels[this[it]] }

        override fun doubles(): DoubleArray = DoubleArray(size) { levels[this[it]].toDouble() }
    }
}
