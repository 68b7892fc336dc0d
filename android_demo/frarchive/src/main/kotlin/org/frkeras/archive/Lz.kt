package org.frkeras.archive

private const val SHORTEST = 3
private const val DISTANCES = 3 shl 14

/** How much each of the three contexts of a byte says: nothing, the byte before, four back. */
private const val TRUST_BEFORE = 3
private const val TRUST_BELOW = 6

/**
 * Reads a compressed text.
 *
 * @param decoder At the beginning of the compressed bytes.
 * @param most Refuses a longer text, before it takes memory.
 * @param dictionary What the window begins with, at least one byte.
 */
internal fun decompress(decoder: RangeDecoder, most: Int, dictionary: ByteArray): ByteArray {
    val size = Numbers(DISTANCES).magnitude(decoder)
    if (size > most) throw decoder.refused("At most $most bytes may be packed here, not $size")
    val window = dictionary.copyOf(dictionary.size + size)
    val tokens = Tokens(decoder, window)
    var place = dictionary.size
    while (place < window.size) place += tokens.read(place)
    decoder.finish()
    return window.copyOfRange(dictionary.size, window.size)
}

/** Tokens: a literal byte, or a match, so many bytes again from so far back. */
private class Tokens(private val decoder: RangeDecoder, private val window: ByteArray) {
    private val isMatch = Chances(4)
    private val again = Chances(1)
    private val bytes = Chances(1 shl 8)
    private val bytesAfter = Chances(1 shl 16)
    private val bytesBelow = Chances(1 shl 18)
    private val lengths = arrayOf(Numbers(), Numbers())
    private val distances = Numbers(DISTANCES)
    private var kinds = 0
    private var distance = 1

    /** Writes the bytes of the next token at [place] of the window, and returns how many. */
    fun read(place: Int): Int {
        val match = decoder.learned(isMatch, kinds)
        kinds = kinds shl 1 or match and 3
        if (match == 1) return match(place)
        window[place] = literal(place).toByte()
        return 1
    }

    private fun match(place: Int): Int {
        val same = decoder.learned(again, 0)
        if (same == 0) distance = 1 + distances.magnitude(decoder)
        val length = SHORTEST + lengths[same].magnitude(decoder).toLong()
        if (distance > place || length > window.size - place) {
            throw decoder.refused(
                "A match of $length bytes from $distance back lies outside of the window",
            )
        }
        // A match may overlap what it writes: then it repeats.
        for (at in place until place + length.toInt()) window[at] = window[at - distance]
        return length.toInt()
    }

    private fun literal(place: Int): Int {
        val before = unsigned(place - 1) shl 8
        val below = (place and 3 shl 16) or (if (place > 3) unsigned(place - 4) shl 8 else 0)
        var node = 1
        while (node < 256) {
            val bit = decoder.bit(mean(node, before or node, below or node))
            bytes.learn(node, bit)
            bytesAfter.learn(before or node, bit)
            bytesBelow.learn(below or node, bit)
            node = node shl 1 or bit
        }
        return node - 256
    }

    /** The mean of three chances, weighted by what each has learned. */
    private fun mean(alone: Int, after: Int, below: Int): Int {
        val a = bytes.seen(alone) + 1
        val b = (bytesAfter.seen(after) + 1) * TRUST_BEFORE
        val c = (bytesBelow.seen(below) + 1) * TRUST_BELOW
        val sum = a * bytes.one(alone) + b * bytesAfter.one(after) + c * bytesBelow.one(below)
        return sum / (a + b + c)
    }

    private fun unsigned(place: Int) = window[place].toInt() and 0xff
}
