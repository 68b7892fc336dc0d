package org.frkeras.archive

private const val PI = 3.141592653589793
private const val COSINE_TERMS = 9
private const val SINE_TERMS = 8

/**
 * The orthonormal DCT-II matrix of a size, the same bits in every language: `B[u, i]` is
 * `scale(u) * at(u, i)`. No cosine of a library is taken, for its last bit differs.
 */
internal class Cosines(private val length: Int) {
    /** `cos(pi k / (2 length))` for `k` from 0 to `length`. */
    private val quarter = DoubleArray(length + 1, ::quarter)

    fun scale(u: Int): Double = Math.sqrt((if (u == 0) 1.0 else 2.0) / length)

    fun at(u: Int, i: Int): Double {
        val period = 4L * length
        val place = (2L * i + 1) * u % period
        val r = minOf(place, period - place).toInt()
        return if (r <= length) quarter[r] else -quarter[2 * length - r]
    }

    private fun quarter(k: Int): Double {
        // Above pi / 4 it is the sine of what is missing to pi / 2.
        val upper = 2L * k > length
        val x = PI * (if (upper) length - k else k) / (2L * length)
        val square = x * x
        var c = 1.0
        if (!upper) {
            for (i in COSINE_TERMS downTo 1) c = 1.0 - square / (2 * i * (2 * i - 1)) * c
            return c
        }
        for (i in SINE_TERMS downTo 1) c = 1.0 - square / (2 * i * (2 * i + 1)) * c
        return x * c
    }
}
