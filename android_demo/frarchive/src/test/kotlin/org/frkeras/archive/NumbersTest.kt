package org.frkeras.archive

import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** Numbers whose bits the Python implementation gave. */
class NumbersTest {
    @Test
    fun `cosines have the bits of the page`() {
        val expected = mapOf(
            (7 to 3) to 0x3fe904c37505de4b,
            (7 to 4) to 0x3fe3f3a0e28bedd1,
            (500 to 123) to 0x3feda3f812810442,
            (500 to 400) to 0x3fd3c6ef372fe94f,
            (25088 to 20000) to 0x3fd40b918eaf13f3,
        )
        for ((place, bits) in expected) {
            val (length, k) = place
            // The first column is at place k.
            assertEquals(bits, Cosines(length).at(k, 0).toRawBits(), "cosine $k of $length")
        }
    }

    @Test
    fun `cosines are mirrored`() {
        val cosines = Cosines(5)
        for (u in 0 until 5) {
            for (i in 0 until 5) {
                val sign = if (u % 2 == 0) 1 else -1
                assertTrue(sign * cosines.at(u, i) == cosines.at(u, 4 - i))
                val reference = Math.cos(Math.PI * (2 * i + 1) * u / 10)
                assertEquals(reference, cosines.at(u, i), 1e-15) // rounding of double precision
            }
        }
    }

    @Test
    fun `a vector is rebuilt to the bit`() {
        val bits = intArrayOf(0x3f825bfa, 0x3f81c9c4, 0x3f977dcf, 0x3fc929ed, 0x3ff5d8f3)
        val vector = Quantized(intArrayOf(12, -3, 1), -16)
        assertArrayEquals(FloatArray(5) { Float.fromBits(bits[it]) }, vector.rebuild(5))
        assertArrayEquals(FloatArray(3), Quantized(IntArray(0), 0).rebuild(3))
        assertThrows(IllegalArgumentException::class.java) { vector.rebuild(2) }
    }

    @Test
    fun `steps are eight to the octave`() {
        assertEquals(1.0, Quantized(IntArray(0), 0).stepSize)
        assertEquals(0.25, Quantized(IntArray(0), -16).stepSize)
        assertEquals(1.414215087890625, Quantized(IntArray(0), 4).stepSize)
        assertEquals(0.75f, Quantized(intArrayOf(3), -16).reals().single())
    }

    @Test
    fun `numbers interleave by time, and ties go to the earlier series`() {
        val order = mutableListOf<Int>()
        interleaved(intArrayOf(2, 4), order::add)
        assertEquals(listOf(1, 0, 1, 1, 0, 1), order)
        order.clear()
        interleaved(intArrayOf(3, 0, 3, 1), order::add)
        assertEquals(listOf(0, 2, 0, 2, 3, 0, 2), order)
    }

    @Test
    fun `a compressed text is read`() {
        val payload = bytes("3a 11 72 51 0e 2f ec 68 69 59 1b ad")
        val text = decompress(RangeDecoder(payload), 35, ByteArray(1)).decodeToString()
        assertEquals("abracadabra abracadabra abracadabra", text)
        refusal { decompress(RangeDecoder(payload), 34, ByteArray(1)) }
        refusal { decompress(RangeDecoder(payload + 0), 35, ByteArray(1)) }
        refusal { decompress(RangeDecoder(payload.copyOf(8)), 35, ByteArray(1)) }
    }

    @Test
    fun `zigzag is by weighted sum, then the tie rule`() {
        // Sums 0 1 2 / 1 2 3: of equal ones, that with the smaller last index comes first.
        assertArrayEquals(
            intArrayOf(0, 3, 1, 4, 2, 5), zigzag(intArrayOf(2, 3), longArrayOf(1, 1)),
        )
        assertArrayEquals(
            intArrayOf(0, 1, 2, 3, 4, 5), zigzag(intArrayOf(2, 3), longArrayOf(9, 3)),
        )
    }

    @Test
    fun `keys of the largest corners do not overflow`() {
        val corner = intArrayOf(1 shl 21, 2)
        val heaviest = 1L shl 20
        val order = zigzag(corner, longArrayOf(heaviest, heaviest - 1))
        assertArrayEquals(intArrayOf(0, 1, 2, 3), order.copyOf(4))
        assertEquals((1 shl 22) - 1, order.last())
    }
}
