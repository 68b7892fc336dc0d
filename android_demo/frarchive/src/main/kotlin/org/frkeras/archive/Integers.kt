package org.frkeras.archive

private const val MOST_DIGITS = 30
private const val MODELLED_DIGITS = 2
private const val DIGIT = 27500
private const val PRIOR_WEIGHT = 4
private const val LEAST_PRIOR = 4096
private const val UNKNOWN_SCALE = 4
private const val ZONES = 4
private val NOT_ZERO = intArrayOf(9039, 21254, 31638, 42672, 51686, 57792, 61353, 63549)

/** The binary digits of `m + 1` behind its leading 1, for a magnitude `m`; the first ones learn. */
internal class Digits {
    // A table of the pairs (exponent, digits so far), of which the latter are 1, 2 or 3.
    private val chances = Chances((MOST_DIGITS + 1) * 4, DIGIT, PRIOR_WEIGHT)

    fun read(decoder: RangeDecoder, exponent: Int): Int {
        var value = 1
        for (number in 0 until exponent) {
            val bit = if (number < MODELLED_DIGITS) {
                decoder.learned(chances, 4 * exponent + value)
            } else {
                decoder.bit(HALF)
            }
            value = value shl 1 or bit
        }
        return value - 1
    }
}

/** Reads a number of [bits] bits without a sign, all as good as random, the highest first. */
internal fun unsigned(decoder: RangeDecoder, bits: Int): Long {
    var value = 0L
    repeat(bits) { value = value shl 1 or decoder.bit(HALF).toLong() }
    return value
}

/** Reads a number of float32 as its bits. */
internal fun real(decoder: RangeDecoder): Float =
    Float.fromBits(unsigned(decoder, Float.SIZE_BITS).toInt())

/** Whole numbers of one kind that say how the rest is laid out: counts, steps, lengths. */
internal class Numbers(one: Int = HALF) {
    private val goesOn = Chances(MOST_DIGITS, one, 1)
    private val negative = Chances(1)
    private val digits = Digits()

    /** Reads a number from 0 to `2^31 - 2`. */
    fun magnitude(decoder: RangeDecoder): Int {
        var exponent = 0
        while (exponent < MOST_DIGITS && decoder.learned(goesOn, exponent) == 1) exponent++
        return digits.read(decoder, exponent)
    }

    fun signed(decoder: RangeDecoder): Int {
        val magnitude = magnitude(decoder)
        return if (magnitude != 0 && decoder.learned(negative, 0) == 1) -magnitude else magnitude
    }
}

/** The mean magnitude of the last few numbers of one series of [length], in 1/256. */
internal class Scale(val length: Int) {
    private var mean = 0L
    var count = 0
        private set

    /** Class of the mean, and of an unknown one. */
    fun scale(): Int = if (count == 0) UNKNOWN_SCALE else classOf(mean)

    /** Class of the place: the first two, the first tenth, the first third, and the others. */
    fun zone(): Int = when {
        count < 2 -> 0
        10L * count < length -> 1
        3L * count < length -> 2
        else -> 3
    }

    fun add(magnitude: Int) {
        mean = moved(mean, magnitude, minOf(count, 8))
        count++
    }
}

/** The class of a mean in 1/256: below 1/4, 1/2, 1, 2, 4, 8, 16, and above. */
internal fun classOf(mean: Long): Int =
    minOf(7, Long.SIZE_BITS - (mean shr 6).countLeadingZeroBits())

/** A mean in 1/256 after the next magnitude, beside which it weighs as much as [count] others. */
internal fun moved(mean: Long, magnitude: Int, count: Int): Long =
    mean + Math.floorDiv((magnitude.toLong() shl 8) - mean, count + 1L)

/** Magnitudes whose exponent is predicted twice; the decoder takes the mean of both. */
internal class Magnitudes {
    private val digits = Digits()

    fun read(decoder: RangeDecoder, first: Chances, second: Chances): Int {
        var exponent = 0
        while (exponent < MOST_DIGITS) {
            val bit = decoder.bit(first.one(exponent) + second.one(exponent) shr 1)
            first.learn(exponent, bit)
            second.learn(exponent, bit)
            if (bit == 0) break
            exponent++
        }
        return digits.read(decoder, exponent)
    }
}

/** For each class of a mean, the chances that the exponent goes on. */
internal fun exponentsByClass(): Array<Chances> =
    Array(NOT_ZERO.size) { exponents(NOT_ZERO[it], PRIOR_WEIGHT) }

/** In a geometric distribution the chances that the exponent goes on are squares. */
private fun exponents(notZero: Int, seen: Int): Chances {
    val chances = Chances(MOST_DIGITS)
    var one = notZero
    for (exponent in 0 until MOST_DIGITS) {
        chances.set(exponent, one, seen)
        // 63,549 squared has 32 bits.
        one = maxOf((one.toLong() * one shr 16).toInt(), LEAST_PRIOR)
    }
    return chances
}

/** Quantized numbers whose scale changes slowly along each series. */
internal class Coefficients {
    private val byScale = exponentsByClass()
    private val byZone = Array(ZONES) { exponents(NOT_ZERO[UNKNOWN_SCALE], 0) }
    private val magnitudes = Magnitudes()
    private val firstNegative = Chances(1)

    /** Reads the next number of a series. */
    fun read(decoder: RangeDecoder, series: Scale): Int {
        val scale = byScale[series.scale()]
        val magnitude = magnitudes.read(decoder, scale, byZone[series.zone()])
        val negative = when {
            magnitude == 0 -> 0
            series.count == 0 -> decoder.learned(firstNegative, 0)
            else -> decoder.bit(HALF)
        }
        series.add(magnitude)
        return if (negative == 1) -magnitude else magnitude
    }
}
