package org.frkeras.archive

private const val ROUNDS = 10
private const val WORDS = 4
private const val HALF_WORD = 32
private const val LOWER_HALF = 0xFFFFFFFFL

private val FIRST_FACTOR = 0xD2E7470EE14C6C93uL.toLong()
private val SECOND_FACTOR = 0xCA5A826395121157uL.toLong()
private val FIRST_STEP = 0x9E3779B97F4A7C15uL.toLong()
private val SECOND_STEP = 0xBB67AE8584CAA73BuL.toLong()

/**
 * Returns the first [count] words of Philox4x64-10 with that seed, whose counter begins at 1. The
 * generator is that of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2,
 * 3", SC 2011.
 */
internal fun philox(seed: Long, count: Int): LongArray {
    val words = LongArray((count + WORDS - 1) / WORDS * WORDS)
    for (block in 0 until words.size / WORDS) {
        words[WORDS * block] = block + 1L
        mix(words, WORDS * block, seed)
    }
    return words.copyOf(count)
}

/** Turns the four words at [at], a counter, into random ones. */
private fun mix(words: LongArray, at: Int, seed: Long) {
    var first = seed
    var second = 0L
    repeat(ROUNDS) {
        val a = words[at]
        val c = words[at + 2]
        words[at] = upperProduct(SECOND_FACTOR, c) xor words[at + 1] xor first
        words[at + 1] = SECOND_FACTOR * c
        words[at + 2] = upperProduct(FIRST_FACTOR, a) xor words[at + 3] xor second
        words[at + 3] = FIRST_FACTOR * a
        first += FIRST_STEP
        second += SECOND_STEP
    }
}

/** The upper 64 bits of the product of two words without a sign. */
private fun upperProduct(a: Long, b: Long): Long {
    val low = b and LOWER_HALF
    val high = b ushr HALF_WORD
    val middle = (a ushr HALF_WORD) * low + ((a and LOWER_HALF) * low ushr HALF_WORD)
    val other = (a and LOWER_HALF) * high + (middle and LOWER_HALF)
    return (a ushr HALF_WORD) * high + (middle ushr HALF_WORD) + (other ushr HALF_WORD)
}
