package org.frkeras.archive

import java.io.ByteArrayOutputStream
import java.util.Random
import java.util.concurrent.TimeUnit
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.Timeout

private const val FILES = 100_000
private const val NESTED_FILES = 10_000
private const val MEMORY = 96L shl 20
private val EXTREMES = listOf(0, 1, 127, 128, 255, null)

/** Archives that were changed at random: refused with an [ArchiveException], or read. */
class MutationTest {
    private val random = Random(5)
    private var refused = 0
    private var read = 0
    private var expanded = 0

    @Test
    @Timeout(30, unit = TimeUnit.MINUTES) // one that hangs
    fun `a hundred thousand mutations neither crash nor hang nor fill the memory`() {
        val seeds = Corpus.cases().filter { it.contents != "refused" && it.data.size < 30_000 }
        val small = seeds.filter { it.data.size < 1000 }
        val networks = seeds.filter { it.name.startsWith("network-") }
        for (number in 0 until FILES) {
            val seed = (if (number % 10 == 0) seeds else small).random()
            when (number % 4) {
                0 -> open(mutated(seed.data))
                1 -> {
                    val body = seed.data.copyOfRange(8, seed.data.size)
                    open(framed(mutated(body), seed.data[3].toInt()))
                }
                2 -> open(reframed(seed.data))
                else -> expand(if (number % 100 == 99) networks.random() else small.random())
            }
        }
        println("$FILES mutations: $refused refused, $read read, $expanded expanded")
        assertEquals(FILES, refused + read + expanded)
        assertTrue(refused > FILES / 2 && read > 100 && expanded > 100)
    }

    @Test
    @Timeout(30, unit = TimeUnit.MINUTES)
    fun `ten thousand mutations of files of several networks do not either`() {
        val seeds = Corpus.cases("nested").filter { it.contents.startsWith("whole") }
        val small = seeds.filter { it.data.size < 2000 }
        val network = seeds.single { it.name == "network-nested" }
        for (number in 0 until NESTED_FILES) {
            val data = (if (number % 50 == 0) network else small.random()).data
            val wrong = if (number % 5 == 0) mutated(data) else reframedNetworks(data)
            try {
                val networks = ArchiveStream(wrong.inputStream())
                while (true) open(networks.next() ?: break)
            } catch (_: ArchiveException) {
                refused++
            }
        }
        println("$NESTED_FILES mutations: $refused refused, $read read, $expanded expanded")
        assertTrue(refused > NESTED_FILES / 2 && read > 1000 && expanded > 50)
    }

    /** Right frames and one wrong section. */
    private fun reframedNetworks(data: ByteArray): ByteArray {
        val frames = Frames(data.inputStream().apply { skip(4) }, 4)
        val all = generateSequence { frames.next() }.toList()
        val wrong = random.nextInt(all.size)
        val kind = all[wrong].keys.toList().random()
        return all.foldIndexed(data.copyOf(4)) { number, file, sections ->
            val body = sections.map { (one, section) ->
                val isWrong = number == wrong && one == kind
                section(one.ordinal, if (isWrong) mutated(section.payload) else section.payload)
            }.reduce(ByteArray::plus)
            val framed = framed(body)
            file + varint(body.size.toLong()) + framed.copyOfRange(4, framed.size)
        }
    }

    private fun open(archive: Archive) {
        for (one in archive.kernels) assertEquals(one.size, one.reals().size)
        if (archive.hasSkeleton) {
            isFlatbuffer(archive.expand(MEMORY))
            expanded++
        } else {
            read++
        }
    }

    private fun open(data: ByteArray) {
        try {
            val archive = Archive.decode(data)
            if (!archive.hasSkeleton) {
                read++
                return
            }
            isFlatbuffer(archive.expand(MEMORY))
            expanded++
        } catch (_: ArchiveException) {
            refused++
        }
    }

    /** Mutates the text of a skeleton, mostly its program, which no compression protects here. */
    private fun expand(case: Case) {
        val archive = Archive.decode(case.data)
        val section = readSections(case.data.inputStream())[Kind.SKELETON] ?: return open(case.data)
        try {
            val text = skeletonText(section)
            val head = if (random.nextInt(4) == 0) text.size else minOf(text.size, 400)
            val wrong = mutated(text.copyOf(head)) + text.copyOfRange(head, text.size)
            val output = ByteArrayOutputStream()
            Skeleton(wrong, archive.source()).expand(output, MEMORY)
            isFlatbuffer(output.toByteArray())
            expanded++
        } catch (_: ArchiveException) {
            refused++
        }
    }

    /** Right frames and one wrong payload, so that the mutation reaches the decoders. */
    private fun reframed(data: ByteArray): ByteArray {
        val sections = readSections(data.inputStream()).mapValues { it.value.payload }
        val wrong = sections.keys.toList().random()
        val body = sections.map { (kind, payload) ->
            section(kind.code, if (kind == wrong) mutated(payload) else payload)
        }
        return framed(body.reduce(ByteArray::plus), data[3].toInt())
    }

    private fun mutated(data: ByteArray): ByteArray {
        var bytes = data
        repeat(listOf(1, 1, 1, 2, 4).random()) {
            val place = random.nextInt(bytes.size + 1)
            val from = bytes.copyOf(place)
            val rest = bytes.copyOfRange(place, bytes.size)
            bytes = when (random.nextInt(6)) {
                0 -> from + changed(rest) { it xor (1 shl random.nextInt(8)) }
                1 -> from + changed(rest) { EXTREMES.random() ?: random.nextInt(256) }
                2 -> from + ByteArray(1 + random.nextInt(3)).also(random::nextBytes) + rest
                3 -> from + rest.drop(1 + random.nextInt(3)).toByteArray()
                4 -> from
                else -> bytes + rest.copyOf(minOf(rest.size, 1 + random.nextInt(8)))
            }
        }
        return bytes
    }

    private fun changed(bytes: ByteArray, change: (Int) -> Int): ByteArray {
        if (bytes.isEmpty()) return bytes
        return bytes.copyOf().also { it[0] = change(it[0].toInt()).toByte() }
    }

    private fun isFlatbuffer(file: ByteArray) {
        assertEquals("TFL3", file.copyOfRange(4, 8).decodeToString())
    }

    private fun <T> List<T>.random(): T = this[random.nextInt(size)]
}
