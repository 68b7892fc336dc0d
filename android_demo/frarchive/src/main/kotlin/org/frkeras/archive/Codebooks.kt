package org.frkeras.archive

/** The most levels of a codebook. */
internal const val MOST_LEVELS = 16

// The prediction from the whole kernel counts as much as one that has learned 15 bits.
private const val OF_KERNEL = 16

/** Reads the levels of codebooks, which are the bits of float32. */
internal class Levels {
    private val mirrored = Chances(1)

    /** Reads [count] levels; of those that are mirrored at 0, only the upper ones are there. */
    fun read(decoder: RangeDecoder, count: Int): FloatArray {
        val isMirrored = decoder.learned(mirrored, 0) == 1
        val first = if (isMirrored) (count + 1) / 2 else 0
        val levels = FloatArray(count)
        for (place in first until count) levels[place] = real(decoder)
        for (place in 0 until count - maxOf(first, count / 2)) {
            if (isMirrored) levels[place] = -levels[count - 1 - place]
        }
        if (!ascend(levels) || isMirrored != areMirrored(levels)) {
            throw decoder.refused(
                "Levels are finite and ascend, and are mirrored where they can be",
            )
        }
        return levels
    }

    private fun ascend(levels: FloatArray): Boolean =
        levels.all { it.isFinite() && it.toRawBits() != (-0f).toRawBits() } &&
            (1 until levels.size).all { levels[it - 1] < levels[it] }

    private fun areMirrored(levels: FloatArray): Boolean =
        levels.indices.all { levels[it] == -levels[levels.size - 1 - it] }
}

/** The places of the levels of one kernel, row by row. */
internal class Places(levels: FloatArray, private val rows: Int, private val columns: Int) {
    private val count = levels.size
    private val base = levels.indices.minByOrNull { Math.abs(levels[it]) } ?: 0
    private val digits = Int.SIZE_BITS - maxOf(0, count - 2).countLeadingZeroBits()

    // A column with fewer numbers than levels would learn nothing.
    private val columnsThatLearn = if (rows < count || count == 1) 1 else columns

    // For each decision; first those of the whole kernel. They are at most 1.6 times as many as its
    // numbers, and 16 more.
    private val chances = Chances(1 + columnsThatLearn shl digits)

    fun read(decoder: RangeDecoder): ByteArray {
        val places = ByteArray(rows * columns)
        if (count == 1) return places
        for (index in places.indices) {
            val column = if (columnsThatLearn == 1) 0 else index % columns
            places[index] = place(decoder, 1 + column shl digits).toByte()
        }
        return places
    }

    private fun place(decoder: RangeDecoder, ofColumn: Int): Int {
        if (decision(decoder, ofColumn, 0) == 0) return base
        var node = 1
        for (rest in digits - 1 downTo 0) {
            // A digit 1 may lead beyond the last level.
            val least = (2 * node + 1 shl rest) - (1 shl digits)
            val bit = if (least > count - 2) 0 else decision(decoder, ofColumn, node)
            node = 2 * node + bit
        }
        val other = node - (1 shl digits)
        return if (other < base) other else other + 1
    }

    /** The column counts the more, the more it has learned. */
    private fun decision(decoder: RangeDecoder, ofColumn: Int, node: Int): Int {
        val other = ofColumn + node
        val weight = chances.seen(other) + 1
        val sum = OF_KERNEL * chances.one(node) + weight * chances.one(other)
        val bit = decoder.bit(sum / (OF_KERNEL + weight))
        chances.learn(node, bit)
        chances.learn(other, bit)
        return bit
    }
}
