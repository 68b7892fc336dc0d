package org.frkeras.archive

import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** Sections of kernels in space whose bytes the Python implementation wrote. */
class KernelsTest {
    @Test
    fun `kernels are read`() {
        val kernels = Archive.decode(withKernels(KERNELS)).kernels.map { it as Kernel.Whole }
        val numbers = listOf(listOf(2, 0, -1, 5, 0, 1), listOf(), listOf(2147483646, -7))
        assertEquals(numbers, kernels.map { it.numbers }.map { one -> List(one.size) { one[it] } })
        assertEquals(listOf(-20, 3, 0), kernels.map { it.numbers.step })
        assertEquals(listOf(3, 1, 1), kernels.map { it.columns })
        val step = Math.scalb(46341.0, -18).toFloat()
        assertArrayEquals(
            floatArrayOf(2 * step, 0f, -step, 5 * step, 0f, step), kernels[0].reals(),
        )
        assertTrue(Archive.decode(EXAMPLE).kernels.isEmpty())
    }

    @Test
    fun `codebooks are read`() {
        val data = "31 63 5a ce 1e 37 03 58 54 5f fc f8 ff af 17 4c f6 ba ba c4 71 fb 83 0b " +
            "ff fe 84 07 ff fe 82 85 ff fe 7c 7d ff fa 91 ca 41 62 13 99 0c"
        val kernels = Archive.decode(withKernels(bytes(data))).kernels
        assertArrayEquals(
            floatArrayOf(-.5f, 0f, .5f, 0f, 0f, -.5f, .5f, .5f), kernels[0].reals(),
        )
        assertEquals(4, (kernels[1] as Kernel.Whole).size)
        val third = kernels[2] as Kernel.Codebook
        assertArrayEquals(floatArrayOf(-1f, -.25f, .5f, .75f, 3f), third.levels())
        assertEquals(listOf(4, 0, 2, 3, 1), List(third.size) { third[it] })
        assertArrayEquals(doubleArrayOf(3.0, -1.0, 0.5, 0.75, -0.25), third.doubles())
        assertArrayEquals(FloatArray(6) { 0.3f }, kernels[3].reals())
        assertEquals(listOf(2, 2, 5, 3), kernels.map { it.columns })
    }

    @Test
    fun `signs are read`() {
        val data = "30 4e 1f 1e e4 13 a6 ff 3d c7 06 2f 7d b9 00 00 00 00 00 78 9d cc cc 6f e2 " +
            "30 55 ff ff ff ff fd d9 39 ff ff ff ff ff ff ff ff ff ff ff ff ff fd"
        val kernels = Archive.decode(withKernels(bytes(data))).kernels
        val first = kernels[0] as Kernel.Signs
        assertEquals(listOf(-1L, 0.1f, 70, 7), first.run { listOf(seed, scale, size, columns) })
        val signs = listOf(1, 1, -1, -1, 1, 1, 1, -1, 1, -1) // of the places 60 to 69
        assertEquals(signs.map { it * 0.1f }, first.reals().drop(60))
        assertArrayEquals(first.reals().map { it.toDouble() }.toDoubleArray(), first.doubles())
        assertEquals(-20, (kernels[1] as Kernel.Whole).numbers.step)
        assertArrayEquals(floatArrayOf(.5f, .5f, .5f, .5f, .5f, -.5f), kernels[2].reals())
        assertEquals(0, kernels[3].reals().size)
    }

    @Test
    fun `the scale of signs is finite and above 0`() {
        val ends = listOf(
            "aa 37 ff ff f7", "a5 73 ff ff f7", // 0 and -0
            "a3 16 c3 ff f7", "a5 76 61 ff f7", // -1, not a number
            "a5 78 c3 ff f7", "a0 b4 c3 ff f7", // infinite
        )
        for (end in ends) {
            val payload = bytes("76 27 56 4d 9d db ff ff ff ff $end")
            val said = refusal { Archive.decode(withKernels(payload)) }
            assertTrue("The scale of signs" in said, said)
        }
    }

    @Test
    fun `the words of Philox are those of numpy`() {
        // Of `numpy.random.Philox(key=seed).random_raw(9)` these are the words 0, 3, 4 and 8.
        val expected = mapOf(
            0L to "2f4ba6408e4d89b 907d7a052fd5b4dc 809bf322883987c3 40fa86f0f781945d",
            1L to "4db6a27b756282df 7f697696a0482a2 e677fe4bbd0452ec 6883d8d6d20a1807",
            Long.MIN_VALUE to "f0f36415f37c24e2 e9759f44d1c150a5 4694e2723b1de920 453c18c2ea2ab7f3",
            -1L to "3c2521c58dde5bfb b7552e878d1c26fe 59a439c096c17b4e e44bf11f5921414",
        )
        for ((seed, words) in expected) {
            val found = philox(seed, 9)
            assertEquals(9, found.size)
            val some = listOf(0, 3, 4, 8).map { found[it].toULong().toString(16) }
            assertEquals(words, some.joinToString(" "))
        }
        assertEquals(0, philox(0, 0).size)
    }

    @Test
    fun `the most signs fit into the memory`() {
        val data = bytes("5c 06 f6 9a 0d 94 8b ae 9a af ff ff ff ff fa 3f 5f ff e9")
        val kernel = Archive.decode(withKernels(data)).kernels.single()
        assertEquals(1 shl 24, kernel.size)
        assertEquals(8_386_067, kernel.reals().count { it == .5f })
        assertEquals(0x419980d3259a334aL, philox(Long.MIN_VALUE, 1 shl 18).last())
    }

    @Test
    fun `real numbers are rounded to float32 once`() {
        val numbers = Quantized(intArrayOf(2147483646, -1234567891, 16777217), -3)
        val expected = numbers.reals().map { it.toDouble() }.toDoubleArray()
        assertArrayEquals(expected, numbers.doubles())
        assertTrue(numbers.doubles()[0] != 2147483646 * numbers.stepSize)
    }

    @Test
    fun `tables that no writer writes are refused`() {
        val cases = mapOf(
            "80" to "1 to 4096 kernels, not 0",
            "00 0f fe" to "1 to 4096 kernels, not 4097",
            "74 29" to "-1 rows of 1",
            "6f b2" to "3 rows of 0",
            "76 18 6f f1" to "step 512",
            "76 27 44" to "form 18",
            "76 1e e4" to "form 17, with a step that differs by 3",
            "5c 06 f6 9a 0d 0a 01" to "16777216 with signs of seeds, not 16781312",
            "76 b9 1f 7f fe 32 32" to "16777216 with signs of seeds, not 16777217",
            "53 bc bc 3d 6e 69 f6" to "hold at most 65984 numbers, not 131072",
            "76 1f 02" to "form 2, with a step that differs by 3",
            "7d 8a bf fb 83 fc" to "Levels", // not a number
            "7d 82 d8 27 ff ff 28 32 ff fd" to "Levels", // they descend
            "7d 81 26 da ff fe 4c ff ff fd" to "Levels", // -0
            "7d 81 26 da ff ff 28 32 ff fd" to "Levels", // -1 and 1, but not as mirrored
            "7d 80 4b a7 ff fd" to "Levels", // 0 and its mirror
            "5b 39 eb da" to "hold at most 65792 numbers, not 131072",
            "76 c8 89 fc 9c" to "hold at most 65856 numbers, not 131072", // no rows
            "5a db 00 00 00 02 60 00 00 00 00 45" to "not 4611686009837453316",
        )
        for ((table, message) in cases) {
            val said = refusal { Archive.decode(withKernels(bytes(table))) }
            assertTrue(message in said, "$said, not $message")
        }
    }

    @Test
    fun `a payload ends where its numbers end`() {
        for (data in listOf(KERNELS + 0, KERNELS + bytes("ff 00"))) {
            assertTrue("must end here" in refusal { Archive.decode(withKernels(data)) })
        }
        assertTrue("too early" in refusal { Archive.decode(withKernels(KERNELS.copyOf(13))) })
    }

    @Test
    fun `a cut inside of the kernels is refused`() {
        val whole = withKernels(KERNELS)
        for (end in whole.indices) refusal { Archive.decode(whole.copyOf(end)) }
        val body = whole.copyOfRange(8, whole.size - 16) // without the coefficients and 5 bytes
        assertTrue("Section 3 ends too early" in refusal { Archive.decode(framed(body, 2)) })
    }

    @Test
    fun `the most numbers fit into the memory`() {
        // Two rows of 2^23 columns, and one of 2^24, for which the bytes do not suffice.
        for (table in listOf("71 35 be fb ff 9f", "74 b1 70 d3 ff ce")) {
            val payload = bytes(table) + ByteArray(1 shl 18)
            val said = refusal { Archive.decode(withKernels(payload)) }
            assertTrue("ends too early" in said, said)
        }
        // Ten rows of ten levels, and one row of one level.
        val ten = "68 7c eb 28 f3 78 9f a0 ff ff f4 67 5f ff f4 4f ff ff f4 44 4f ff f4 38 9f ff " +
            "f4 32 c7 ff f4 2c ef ff f4 27 17 ff f4 21 3f ff f4 1e 53 ff d2"
        for (table in listOf(ten, "74 b1 70 d3 ff cd 98 8d b7 ff 31")) {
            refusal { Archive.decode(withKernels(bytes(table) + ByteArray(1 shl 18))) }
        }
    }

    /** A file of the worked example with a section of kernels. */
    private fun withKernels(kernels: ByteArray): ByteArray {
        val head = EXAMPLE.copyOfRange(8, 20)
        val coefficients = EXAMPLE.copyOfRange(20, EXAMPLE.size)
        return framed(head + section(3, kernels) + coefficients, version = 2)
    }
}
