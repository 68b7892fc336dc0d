package org.frkeras.demo.logic

import java.io.File
import java.io.IOException
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Assumptions.assumeTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

class FilesTest {
    @TempDir
    lateinit var folder: File
    private val assets = File(System.getProperty("app.models") ?: "models")

    private fun catalog(): Catalog {
        assumeTrue(File(assets, "index.json").exists(), "There are no models in '$assets'")
        return Catalog.parse(File(assets, "index.json").readText())
    }

    @Test
    fun `an archive of the app expands to its factored file, once`() {
        val catalog = catalog()
        var opened = 0
        val files = Files(folder) {
            opened++
            File(assets, it).inputStream()
        }
        val archives = catalog.files.filter { it.form == Form.ARCHIVE }
        assertEquals(2, archives.size)
        for (archive in archives) {
            val twin = catalog.files.single {
                it.network == archive.network && it.form == Form.FACTORED
            }
            val expanded = files.flatbuffer(archive).readBytes()
            assertArrayEquals(File(assets, twin.file).readBytes(), expanded)
            files.flatbuffer(archive)
        }
        assertEquals(2, opened)
    }

    @Test
    fun `the index says what the files are`() {
        val catalog = catalog()
        assertTrue(Task.entries.all { catalog.of(it).isNotEmpty() })
        for (model in catalog.files) {
            val content = File(assets, model.file).readBytes()
            assertEquals(model.sha256, sha256(content))
            assertEquals(model.bytes, content.size.toLong())
            assertTrue(model.labels.size >= 2 && model.normalization.scale > 0)
        }
    }

    @Test
    fun `the index has networks of several capacities, and each expands`() {
        val nested = catalog().nested
        assertEquals(listOf("Digits", "Shapes", "Even or odd"), nested.map { it.network.title })
        val source = BundledCapacities(nested, Files(folder) { File(assets, it).inputStream() })
        for ((network, held) in source.networks.zip(nested)) {
            assertTrue(network.capacities.size in 3..5)
            val sizes = network.capacities.indices.map { source.flatbuffer(network, it).length() }
            assertEquals(sizes.sorted(), sizes)
            val memory = network.capacities.map { it.memory }
            assertEquals(memory.sorted(), memory)
            assertTrue(network.capacities.all { it.accuracy in 0.5..1.0 })
            network.capacities.indices.forEach { source.rows(network, it) }
            assertEquals(1, held.files.map { it.file }.distinct().size)
            val shares = held.files.map { checkNotNull(it.share) }
            assertEquals(shares.sorted().distinct(), shares)
            assertEquals(1.0, shares.last())
        }
    }

    /** Rows have the first digits of the SHA-256 of what Python makes as their name. */
    @Test
    fun `each capacity of an archive expands to the file of Python, once`() {
        var opened = 0
        val files = Files(folder) {
            opened++
            File(assets, it).inputStream()
        }
        val models = catalog().nested.flatMap { it.files }
        repeat(2) {
            for (model in models) {
                val found = sha256(files.flatbuffer(model).readBytes())
                assertEquals(model.reference.removeSuffix(".rows"), found.take(16))
            }
        }
        assertEquals(models.size, opened)
        val names = checkNotNull(folder.listFiles()).map { it.name }
        assertEquals(models.size, names.size)
        assertTrue(models.all { model -> names.any { model.sha256 in it } })
    }

    @Test
    fun `a share that an archive does not have is refused and leaves nothing`() {
        val (single) = catalog().files.filter { it.form == Form.ARCHIVE }
        val smallest = catalog().nested.first().files.first()
        val share = checkNotNull(smallest.share)
        val files = Files(folder) { File(assets, it).inputStream() }
        for (wrong in listOf(
            smallest.copy(share = share / 2),
            smallest.copy(share = share * 1.01),
            single.copy(share = 1.0),
        )) {
            assertThrows(IOException::class.java) { files.flatbuffer(wrong) }
        }
        assertEquals(emptyList<File>(), checkNotNull(folder.listFiles()).toList())
    }

    @Test
    fun `without a share an archive of several gives its largest network`() {
        val files = Files(folder) { File(assets, it).inputStream() }
        for (model in catalog().nested.map { it.files.last() }) {
            val largest = files.flatbuffer(model).readBytes()
            assertArrayEquals(largest, files.flatbuffer(model.copy(share = null)).readBytes())
        }
    }

    @Test
    fun `what is no archive, or another file, is refused and leaves nothing`() {
        val broken = model("broken", form = Form.ARCHIVE)
        assertThrows(IOException::class.java) { files(folder).flatbuffer(broken) }
        val other = model("name", content = "other".toByteArray())
        assertThrows(IOException::class.java) { files(folder).flatbuffer(other) }
        assertEquals(emptyList<File>(), checkNotNull(folder.listFiles()).toList())
    }

    @Test
    fun `a file is not there twice under two contents`() {
        val files = files(folder)
        val first = files.flatbuffer(model("first"))
        assertEquals("first", first.readText())
        assertEquals("second", files.flatbuffer(model("second")).readText())
        assertEquals("first", first.readText())
    }
}
