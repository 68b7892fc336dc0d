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
        is Signs -> other is Signs && hasSame(other)
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

    /**
     * A kernel whose numbers are the scale or its negative, by the bits that follow from a seed.
     *
     * @property seed The 64 bits of the seed; one from 2^63 on is a negative number here.
     * @property scale The magnitude of the numbers.
     */
    public class Signs internal constructor(
        public val seed: Long,
        public val scale: Float,
        override val size: Int,
        columns: Int,
    ) : Kernel(columns) {
        override fun reals(): FloatArray {
            val words = words()
            return FloatArray(size) { if (bit(words, it)) scale else -scale }
        }

        override fun doubles(): DoubleArray {
            val words = words()
            val real = scale.toDouble()
            return DoubleArray(size) { if (bit(words, it)) real else -real }
        }

        internal fun hasSame(other: Signs): Boolean = seed == other.seed && scale == other.scale &&
            size == other.size && columns == other.columns

        private fun words() = philox(seed, (size + Long.SIZE_BITS - 1) / Long.SIZE_BITS)

        private fun bit(words: LongArray, index: Int) =
            words[index / Long.SIZE_BITS] ushr index % Long.SIZE_BITS and 1 == 1L
    }
}
