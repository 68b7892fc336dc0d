package org.frkeras.archive

import java.io.ByteArrayOutputStream
import java.io.IOException
import java.io.OutputStream
import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

class RecipesTest {
    private val tensors = listOf(Quantized(intArrayOf(3, -1, 0, 2), 0))
    private val vectors = listOf(Quantized(intArrayOf(4), 0))
    private val kernels = listOf(Kernel.Whole(Quantized(intArrayOf(3, -1, 0, 2, 7, -4), 0), 2))
    private val source = Source(tensors, vectors, kernels)
    private val one = step(Op.SCALAR, numbers = listOf(0x3f800000))
    private val site = listOf(31L, 1, 0, 0, 1)
    private val matrix = NdArray(intArrayOf(2, 3), DoubleArray(6) { it + 1.0 })

    @Test
    fun `a kernel, its bias and their scales fill a file`() {
        val head = words(16, 0x334c4654, (0.5f).toRawBits(), -12)
        val steps = listOf(
            step(Op.COEFFICIENTS, numbers = listOf(0, 2, 2, 1, 1)), // [[3, 0], [-1, 2]]
            step(Op.VECTORS, numbers = listOf(0, 1, 1)), // [4]
            step(Op.TILE, 1, numbers = listOf(2)), // [4, 4]
            listOf(31L, 3, 1, 4, 1), // the scale at word 2
        )
        val gaps = List(4) { part -> listOf(if (part == 0) 4L else 0L, 0L, part.toLong()) }
        val file = expand(skeleton(11, steps, gaps, head))
        val scales = floatArrayOf((3 / 127.0).toFloat(), (2 / 127.0).toFloat())
        val half = Math.rint(-1.0 / scales[1]).toInt()
        val kernel = 127 or (0 shl 8) or (half and 0xff shl 16) or (127 shl 24)
        val biases = scales.map { Math.rint(4 / (0.5 * it)).toInt() }
        val turned = -1 - Math.floorMod(1 - 12 - 12, 44)
        val expected = listOf(16, 0x334c4654, (0.5f).toRawBits(), turned, kernel) +
            scales.map { it.toRawBits() } + biases + scales.map { (0.5f * it).toRawBits() }
        assertArrayEquals(words(*expected.toIntArray()), file)
    }

    @Test
    fun `operations on small arrays`() {
        val square = NdArray(intArrayOf(3, 2), doubleArrayOf(1.0, 0.0, 2.0, 1.0, 0.0, 3.0))
        assertArrayEquals(
            doubleArrayOf(5.0, 11.0, 14.0, 23.0),
            contract(matrix, square, 1, intArrayOf(2, 2)).data,
        )
        assertArrayEquals(
            doubleArrayOf(1.0, 4.0, 2.0, 5.0, 3.0, 6.0),
            transpose(matrix, intArrayOf(1, 0), intArrayOf(3, 2)).data,
        )
        val row = NdArray(intArrayOf(1, 2), doubleArrayOf(1.0, -1.0))
        assertArrayEquals(
            doubleArrayOf(1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 4.0, -4.0, 5.0, -5.0, 6.0, -6.0),
            kron(matrix, row, intArrayOf(2, 6)).data,
        )
        val column = NdArray(intArrayOf(2, 1), doubleArrayOf(10.0, 20.0))
        assertArrayEquals(
            doubleArrayOf(11.0, 12.0, 13.0, 24.0, 25.0, 26.0),
            elementwise(matrix, column, intArrayOf(2, 3)) { x, y -> x + y }.data,
        )
        val segments = NdArray(intArrayOf(3, 2), doubleArrayOf(2.0, 0.0, 1.0, -1.0, 0.0, 0.0))
        assertArrayEquals(
            doubleArrayOf(3.0, -1.0, 6.0, -4.0), gather(matrix, segments, 1, intArrayOf(2, 2)).data,
        )
        assertArrayEquals(
            doubleArrayOf(1.0, 2.0, 3.0, 10.0, 4.0, 5.0, 6.0, 20.0),
            concatenate(matrix, column, 1, intArrayOf(2, 4)).data,
        )
    }

    @Test
    fun `sums go from the first term to the last`() {
        val terms = NdArray(intArrayOf(1, 3), doubleArrayOf(1e16, -1e16, 1.0))
        val ones = NdArray(intArrayOf(3, 1), DoubleArray(3) { 1.0 })
        assertArrayEquals(doubleArrayOf(1.0), contract(terms, ones, 1, intArrayOf(1, 1)).data)
    }

    @Test
    fun `a kernel in space fills a file`() {
        val steps = listOf(
            step(Op.KERNEL, numbers = listOf(0, 3, 2)), // [[3, -1], [0, 2], [7, -4]]
            step(Op.TRANSPOSE, 1, numbers = listOf(1, 0)),
            listOf(31L, 1, 0, 4, 0), // the scale at word 2
        )
        val head = words(16, 0x334c4654, (0.5f).toRawBits())
        val file = expand(skeleton(5, steps, listOf(listOf(3, 0, 0)), head))
        val scale = (7 / 127.0).toFloat()
        val whole = listOf(3, 0, 7, -1, 2, -4).map { Math.rint(it / scale.toDouble()).toInt() }
        assertEquals(whole, file.copyOfRange(12, 18).map { it.toInt() })
    }

    @Test
    fun `halves are rounded to even`() {
        val kernel = NdArray(intArrayOf(1, 4), doubleArrayOf(127.0, 0.5, 1.5, 2.5))
        val filling = Filling(kernel, null, 1.0, true)
        assertArrayEquals(byteArrayOf(127, 0, 2, 2), filling.data(Part.KERNEL))
    }

    @Test
    fun `all arrays together have a limit`() {
        val large = step(Op.COSINES, numbers = listOf(1024, 1024, 0, 1024))
        val template = words(0, 0x334c4654) + ByteArray(24)
        expand(skeleton(8, List(32) { large }, template = template))
        val said = refusal { expand(skeleton(8, List(33) { large }, template = template)) }
        assertTrue("hold at most 33554432" in said, said)
    }

    @Test
    fun `recipes that make no sense are refused`() {
        val cases = mapOf(
            listOf(listOf(20L, 0L)) to "no operation 20",
            listOf(step(Op.KERNEL)) to "the number of a kernel, and a shape",
            listOf(step(Op.KERNEL, numbers = listOf(1, 6))) to "no kernel 1",
            listOf(step(Op.KERNEL, numbers = listOf((1L shl 32) - 1, 6))) to "no kernel 4294967295",
            listOf(step(Op.KERNEL, numbers = listOf(0, 5))) to "has 6 numbers",
            listOf(step(Op.KERNEL, numbers = listOf(0))) to "has 6 numbers",
            listOf(step(Op.KERNEL, numbers = listOf(0, 0, 6))) to "has 6 numbers",
            listOf(step(Op.KERNEL, numbers = listOf(0, 1L shl 20, 1L shl 20))) to "at most",
            listOf(step(Op.KERNEL, numbers = listOf(0L, 6L) + List(32) { 1L })) to "32 axes",
            listOf(step(Op.CONTRACT, 1, 1, numbers = listOf(0))) to "points 1 back",
            listOf(step(Op.COEFFICIENTS, numbers = listOf(9, 3, 1))) to "no tensor 9",
            listOf(step(Op.COEFFICIENTS, numbers = listOf(0, 3, 1))) to "more coefficients",
            listOf(step(Op.COEFFICIENTS, numbers = listOf(0, 1L shl 24, 1))) to "at most",
            listOf(step(Op.VECTORS, numbers = listOf(7, 5, 5))) to "no vector 7",
            listOf(step(Op.VECTORS, numbers = listOf(0, 5000, 5000))) to "from 1 to 4096",
            listOf(step(Op.COSINES, numbers = listOf(8, 9, 0, 1))) to "COSINES",
            listOf(step(Op.SCALAR, numbers = listOf(0x7f800000))) to "finite",
            listOf(one, step(Op.RESHAPE, 1, numbers = listOf(3))) to "RESHAPE",
            listOf(one, step(Op.RESHAPE, 1, numbers = List(33) { 1 })) to "32 axes",
            listOf(one, step(Op.TILE, 1, numbers = listOf(3))) to "a vector",
            listOf(one, step(Op.STARTS, 1)) to "three rows",
            listOf(one, step(Op.SUBTRACT, 1, 1), step(Op.DIVIDE, 2, 1)) to "DIVIDE by 0",
            listOf(step(Op.SCALAR, numbers = listOf(0xbf800000)), step(Op.SQRT, 1)) to "below 0",
            listOf(one, site) to "output channel",
        )
        for ((steps, message) in cases) {
            val text = skeleton(8, steps, template = ByteArray(32))
            val said = refusal { expand(text) }
            assertTrue(message in said, "$said, not $message")
        }
    }

    @Test
    fun `gaps and scales that do not fit are refused`() {
        val kernel = step(Op.RESHAPE, 1, numbers = listOf(1, 1))
        val outside = listOf(31L, 1, 0, 2000, 1)
        val cases = mapOf(
            skeleton(8, listOf(one, kernel, site), listOf(listOf(0, 2, 0))) to "belongs to no op",
            skeleton(8, listOf(one, kernel, site), listOf(listOf(9, 0, 0))) to "Gaps follow",
            skeleton(8, listOf(one, kernel, site), listOf(listOf(0, 0, 4))) to "no number up to 3",
            skeleton(8, listOf(one, kernel, site), template = ByteArray(4)) to "words outside",
            skeleton(8, listOf(one, kernel, site), template = ByteArray(32)) to "above 0",
            skeleton(1L shl 30, emptyList()) to "no number up to",
            skeleton(8, emptyList(), template = ByteArray(32)) to "no TFLite flatbuffer",
            skeleton(8, listOf(one, kernel, outside), template = ByteArray(32)) to "outside of",
        )
        for ((text, message) in cases) {
            val said = refusal { expand(text) }
            assertTrue(message in said, "$said, not $message")
        }
    }

    @Test
    fun `memory is known before it is taken, and nothing is written`() {
        val large = step(Op.COSINES, numbers = listOf(1024, 1024, 0, 1024))
        val text = skeleton(8, listOf(large), template = words(0, 0x334c4654) + ByteArray(24))
        val output = ByteArrayOutputStream()
        val said = refusal { Skeleton(text, source).expand(output, 8L shl 20) }
        assertTrue("`memory` allows 8388608" in said, said)
        assertEquals(0, output.size())
        Skeleton(text, source).expand(output, 9L shl 20)
        assertEquals(32, output.size())
    }

    @Test
    fun `what no later step takes is let go`() {
        // 28 arrays of 8 MB each, of which two are there at a time.
        val large = step(Op.COSINES, numbers = listOf(1024, 1024, 0, 1024))
        val negative = List(27) { step(Op.SUBTRACT, 1, 1) }
        val template = words(0, 0x334c4654) + ByteArray(24)
        val text = skeleton(8, listOf(large) + negative, template = template)
        Skeleton(text, source).expand(ByteArrayOutputStream(), 17L shl 20)
    }

    @Test
    fun `many sites of one kernel are work`() {
        val steps = listOf(step(Op.COSINES, numbers = listOf(1024, 1024, 0, 1024))) +
            List(2100) { site }
        val said = refusal { expand(skeleton(8, steps, template = ByteArray(32))) }
        assertTrue("operations" in said, said)
    }

    @Test
    fun `an error of the output is passed on`() {
        val text = skeleton(8, emptyList(), template = words(0, 0x334c4654) + ByteArray(24))
        val full = object : OutputStream() {
            override fun write(byte: Int): Unit = throw IOException("the disk is full")
        }
        val error = assertThrows(IOException::class.java) {
            Skeleton(text, source).expand(full, Archive.MOST_MEMORY)
        }
        assertEquals("the disk is full", error.message)
    }

    private fun expand(text: ByteArray): ByteArray {
        val output = ByteArrayOutputStream()
        Skeleton(text, source).expand(output, 64L shl 20)
        return output.toByteArray()
    }

    private fun words(vararg words: Int): ByteArray {
        val buffer = ByteBuffer.allocate(4 * words.size).order(ByteOrder.LITTLE_ENDIAN)
        words.forEach(buffer::putInt)
        return buffer.array()
    }
}
