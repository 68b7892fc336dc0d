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
