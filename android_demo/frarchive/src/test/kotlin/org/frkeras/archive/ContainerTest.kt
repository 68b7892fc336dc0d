package org.frkeras.archive

import java.io.ByteArrayInputStream
import java.io.InputStream
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

class ContainerTest {
    private val body = EXAMPLE.copyOfRange(8, EXAMPLE.size)
    private val coefficients = body.copyOfRange(12, body.size)

    @Test
    fun `the worked example of the page is read`() {
        val archive = Archive.decode(EXAMPLE)
        assertEquals(
            Architecture.Reference("lenet5", """{"batch_norm":true}"""), archive.architecture,
        )
        val tensors = listOf(listOf(9, -4, 0, 1, -2, 0, 0, 1), listOf(3, -1, 0, 0))
        assertEquals(tensors, numbers(archive.tensors))
        assertEquals(listOf(-24, -20), archive.tensors.map { it.step })
        assertEquals(listOf(listOf(12, -3, 1)), numbers(archive.vectors.map { it as Quantized }))
        assertTrue(!archive.hasSkeleton)
        assertTrue("skeleton" in refusal { archive.expand() })
    }

    @Test
    fun `a stream that gives one byte at a time is read`() {
        val slow = object : InputStream() {
            private val inner = ByteArrayInputStream(EXAMPLE)

            override fun read() = inner.read()

            override fun read(target: ByteArray, offset: Int, length: Int) =
                inner.read(target, offset, minOf(1, length))
        }
        assertEquals(2, Archive.decode(slow).tensors.size)
    }

    @Test
    fun `every truncation and every flipped bit is refused`() {
        for (end in EXAMPLE.indices) {
            refusal { Archive.decode(EXAMPLE.copyOf(end)) }
            if (end >= 8) refusal { Archive.decode(framed(EXAMPLE.copyOfRange(8, end))) }
        }
        for (place in 0 until 8 * EXAMPLE.size) {
            val flipped = EXAMPLE.copyOf()
            flipped[place / 8] = (flipped[place / 8].toInt() xor (1 shl place % 8)).toByte()
            refusal { Archive.decode(flipped) }
        }
    }

    @Test
    fun `an error says where it is`() {
        val cases = mapOf(
            ByteArray(0) to 0L,
            framed(body, version = 0) to 3L,
            framed(body, version = 2) to 3L,
            framed(body, version = 4) to 3L,
            framed(body.copyOf(12) + section(3, KERNELS) + coefficients) to 3L,
            EXAMPLE.copyOf().also { it[EXAMPLE.size - 1]++ } to 4L,
            framed(section(7, ByteArray(0))) to 8L,
            framed(bytes("80 00") + body) to 8L,
            framed(section(1, ByteArray(0)) + body) to 9L,
            framed(body + 0) to EXAMPLE.size.toLong(),
        )
        for ((data, offset) in cases) {
            val error = assertThrows(ArchiveException::class.java) { Archive.decode(data) }
            assertEquals(offset, error.offset)
            assertTrue(error.message!!.endsWith("(at byte $offset)"), error.message)
        }
    }

    @Test
    fun `reserved sections are skipped`() {
        val head = body.copyOf(12)
        val reserved = section(4, ByteArray(3)) + section(6, ByteArray(0))
        assertEquals(2, Archive.decode(framed(head + reserved + coefficients)).tensors.size)
    }

    @Test
    fun `version 2 is for kernels in space, and no other version`() {
        val kernels = body.copyOf(12) + section(3, KERNELS) + coefficients
        assertEquals(3, Archive.decode(framed(kernels, version = 2)).kernels.size)
        val rule = "version 2 if it holds kernels in space, else 1"
        assertTrue(rule in refusal { Archive.decode(framed(kernels, version = 1)) })
        assertTrue(rule in refusal { Archive.decode(framed(body, version = 2)) })
        assertTrue("not 4" in refusal { Archive.decode(framed(kernels, version = 4)) })
    }

    @Test
    fun `a declared length takes no memory`() {
        // Twenty of these at a time would take 640 MB.
        val declared = framed(varint(8L * ((1 shl 25) - 1)) + ByteArray(100))
        val readers = List(20) { ByteArrayInputStream(declared) }
        for (reader in readers) assertTrue("cut" in refusal { Archive.decode(reader) })
    }

    private fun numbers(series: List<Quantized>) = series.map { one -> List(one.size) { one[it] } }
}
