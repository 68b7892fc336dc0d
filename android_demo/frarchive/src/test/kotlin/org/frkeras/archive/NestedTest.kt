package org.frkeras.archive

import java.io.ByteArrayInputStream
import java.io.InputStream
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** Files of several networks, whose networks the Python implementation wrote. */
class NestedTest {
    private val cases by lazy { Corpus.cases("nested") }
    private val network get() = cases.single { it.name == "network-nested" }.data

    @Test
    fun `networks and files are those of Python`() {
        val different = cases.filter { verdict(it.data) != it.contents to it.file }
        val count = { end: String -> cases.count { it.contents.startsWith(end) } }
        println(
            "${cases.size} files of several networks: ${count("whole")} whole, ${count("cut")} " +
                "cut, ${count("refused")} refused",
        )
        assertEquals(emptyList<String>(), different.map { it.name }.take(20))
        assertTrue(count("whole") > 50 && count("cut") > 10 && count("refused ") > 10)
        assertTrue(cases.single { it.name == "golden-archive_v3" }.contents.startsWith("whole"))
    }

    private fun verdict(data: ByteArray): Pair<String, String> {
        val found = mutableListOf<Pair<String, String>>()
        val networks = Succession(data.inputStream().apply { skip(HEAD_BYTES.toLong()) })
        if (!isNested(data.copyOf(minOf(HEAD_BYTES, data.size)))) return "refused" to "none"
        val end = try {
            while (true) {
                val archive = networks.next() ?: break
                found += contents(archive) to file(archive)
            }
            if (networks.isWhole) "whole" else "cut"
        } catch (_: ArchiveException) {
            "refused"
        }
        if (found.isEmpty()) return "refused" to "none"
        return "$end ${together(found.map { it.first })}" to together(found.map { it.second })
    }

    private fun together(some: List<String>) =
        hexadecimal(sha256().digest(some.joinToString(" ").encodeToByteArray()))

    @Test
    fun `a stream gives each network as soon as it is there`() {
        val input = Counting(network)
        val networks = ArchiveStream(input)
        val shares = mutableListOf<Double>()
        while (true) {
            val archive = networks.next() ?: break
            shares += checkNotNull(archive.share)
            assertEquals(shares.size == 3, input.read == network.size)
            val again = Archive.decode(network.copyOf(input.read))
            assertEquals(contents(archive), contents(again))
            assertEquals(shares.size < 3, again.isCut)
        }
        assertEquals(3, shares.size)
        assertEquals(1.0, shares.last())
        assertTrue(!networks.isCut)
        assertNull(networks.next())
    }

    @Test
    fun `a capacity gives the largest network that is not above it`() {
        val networks = ArchiveStream(network.inputStream())
        val all = generateSequence { networks.next() }.toList()
        val (first, second, third) = all.map { checkNotNull(it.share) }
        for ((capacity, expected) in listOf(
            first to 0, (first + second) / 2 to 0, second to 1, (second + third) / 2 to 1, 1.0 to 2,
        )) {
            val input = Counting(network)
            val found = Archive.decode(input, capacity)
            assertEquals(contents(all[expected]), contents(found))
            assertEquals(file(all[expected]), file(found))
            assertTrue(!found.isCut)
        }
        assertTrue("smallest network" in refusal { Archive.decode(Counting(network), first / 2) })
        for (capacity in listOf(0.0, 1.5, Double.NaN)) {
            assertTrue("above 0" in refusal { Archive.decode(Counting(network), capacity) })
        }
        assertTrue("several" in refusal { Archive.decode(EXAMPLE.inputStream(), 0.5) })
    }

    @Test
    fun `a file that is cut gives its last whole network and says so`() {
        val data = network
        val counting = Counting(data)
        val whole = ArchiveStream(counting)
        val ends = List(2) { checkNotNull(whole.next()) to counting.read }
        for ((archive, end) in ends) {
            for (more in listOf(0, 1, 5, 100)) {
                val cut = data.copyOf(end + more)
                val found = Archive.decode(cut)
                assertEquals(contents(archive), contents(found))
                assertTrue(found.isCut)
                val share = checkNotNull(archive.share)
                assertTrue(!Archive.decode(cut.inputStream(), share).isCut)
                assertTrue(Archive.decode(cut.inputStream(), 0.9999).isCut)
                val stream = ArchiveStream(cut.inputStream())
                assertEquals(archive.share, generateSequence { stream.next() }.last().share)
                assertTrue(stream.isCut)
            }
        }
        assertTrue("cut" in refusal { Archive.decode(data.copyOf(ends[0].second - 1)) })
    }

    @Test
    fun `damage is told after the networks before it`() {
        val counting = Counting(network)
        ArchiveStream(counting).next()
        val damaged = network.copyOf().also { it[counting.read + 50]++ }
        val stream = ArchiveStream(damaged.inputStream())
        assertTrue(checkNotNull(stream.next()).hasSkeleton)
        assertTrue("checksum" in refusal { stream.next() })
        assertTrue("follow" in refusal { Archive.decode(network + 0) })
    }

    @Test
    fun `a file of one network is a stream of it`() {
        val stream = ArchiveStream(EXAMPLE.inputStream())
        val archive = checkNotNull(stream.next())
        assertEquals(2, archive.tensors.size)
        assertNull(archive.share)
        assertNull(archive.profile)
        assertNull(stream.next())
        assertTrue(!stream.isCut && !archive.isCut)
    }

    @Test
    fun `a declared length takes no memory`() {
        val declared = bytes("F7 46 52 03 ff ff ff 7f") + ByteArray(100)
        repeat(20) { assertTrue("cut" in refusal { Archive.decode(declared) }) }
    }

    /** Gives a few bytes at a time and counts them. */
    private class Counting(data: ByteArray) : InputStream() {
        private val inner = ByteArrayInputStream(data)
        var read = 0
            private set

        override fun read(): Int = inner.read().also { if (it >= 0) read++ }

        override fun read(target: ByteArray, offset: Int, length: Int): Int {
            val count = inner.read(target, offset, minOf(7, length))
            if (count > 0) read += count
            return count
        }
    }
}
