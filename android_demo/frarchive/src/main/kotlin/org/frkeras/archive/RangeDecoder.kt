package org.frkeras.archive

/** A probability of one half, in 1/65536. */
internal const val HALF = 1 shl 15

private const val FULL = 1L shl 32
private const val LEAST = 1L shl 24
private const val FLOOR = 1 shl 10
private const val CEILING = (1 shl 16) - FLOOR
private const val MOST_SEEN = 64
private const val SEEN_BITS = 7
private const val SEEN_MASK = (1 shl SEEN_BITS) - 1

private val RATES = IntArray(MOST_SEEN + 1) { seen -> 131072 / (2 * seen + 3) }

/** Probabilities that the next bit is 1, in 1/65536, each with how many bits it has learned. */
internal class Chances(size: Int, one: Int = HALF, seen: Int = 0) {
    // Both in one number: there are a quarter of a million of them beside each text.
    private val states = IntArray(size) { one shl SEEN_BITS or seen }

    fun one(index: Int): Int = states[index] shr SEEN_BITS

    fun seen(index: Int): Int = states[index] and SEEN_MASK

    fun learn(index: Int, bit: Int) {
        val one = one(index)
        val seen = seen(index)
        // 33 bits before the shift.
        val change = (((bit shl 16) - one).toLong() * RATES[seen] shr 16).toInt()
        states[index] = one + change shl SEEN_BITS or minOf(seen + 1, MOST_SEEN)
    }

    fun set(index: Int, one: Int, seen: Int) {
        states[index] = one shl SEEN_BITS or seen
    }
}

/**
 * Reads the bits of one stream of the range coder.
 *
 * @param start The byte of the file at which [payload] begins, for messages.
 */
internal class RangeDecoder(private val payload: ByteArray, private val start: Long = 0) {
    private var range = FULL
    private var code = 0L
    private var read = 0

    init {
        repeat(4) { readByte() }
    }

    /** The byte of the file that is read next. */
    val position: Long get() = start + minOf(read, payload.size)

    /** Returns the next bit, which is 1 with probability [one] / 65536. */
    fun bit(one: Int): Int {
        val bound = (range shr 16) * one.coerceIn(FLOOR, CEILING)
        val result = if (code < bound) 1 else 0
        if (result == 1) {
            range = bound
        } else {
            code -= bound
            range -= bound
        }
        while (range < LEAST) {
            range = range shl 8
            readByte()
        }
        return result
    }

    /** Returns the next bit by a chance, which learns it. */
    fun learned(chances: Chances, index: Int): Int {
        val bit = bit(chances.one(index))
        chances.learn(index, bit)
        return bit
    }

    /** Checks that the stream is exactly what a writer writes for the bits that were read. */
    fun finish() {
        val written = read - 4
        if (payload.size == written) return
        if (payload.size != written + 1) {
            throw refused("The coded stream must end here, not at byte ${start + payload.size}")
        }
        val last = (payload[written].toLong() and 0xff) shl 24
        val low = last - code and FULL - 1
        if (low == 0L || low + range > FULL || code >= LEAST) {
            throw refused("The last byte of the coded stream is not the canonical one")
        }
    }

    /** An error at the place that was reached. */
    fun refused(message: String) = ArchiveException(message, position)

    private fun readByte() {
        val inside = read < payload.size
        code = code shl 8 or if (inside) payload[read].toLong() and 0xff else 0L
        read++
        if (read > payload.size + 4) throw refused("The coded stream ends too early")
    }
}
