package org.frkeras.guide

import java.io.ByteArrayInputStream
import java.io.File
import java.io.IOException
import org.frkeras.archive.Archive
import org.json.JSONArray
import org.json.JSONObject
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** With the values that Python's `tools/android/guide.py` wrote. */
class GuideTest {
    private val expected = JSONArray(File(System.getProperty("guide.expected")).readText())

    private fun each(check: (ByteArray, JSONObject) -> Unit) {
        assertTrue(expected.length() > 0)
        for (at in 0 until expected.length()) {
            val one = expected.getJSONObject(at)
            check(File(one.getString("file")).readBytes(), one)
        }
    }

    @Test
    fun `files say what they say in Python`() = each { content, wanted ->
        val info = ModelInfo(content)
        for ((key, found) in listOf("input" to info.input, "output" to info.output)) {
            val (scale, zero) = wanted.getJSONArray(key).let { it.getDouble(0) to it.getInt(1) }
            assertEquals(scale.toFloat(), found.scale)
            assertEquals(zero, found.zeroPoint)
        }
        assertEquals(wanted.getInt("size"), info.outputSize)
        assertEquals(wanted.getJSONArray("labels").toList(), info.labels)
        assertEquals(wanted.getDouble("white").toFloat(), info.normalized(255), 1e-6f)
    }

    @Test
    fun `inputs and outputs are those of Python`() = each { content, wanted ->
        val reals = wanted.getJSONArray("reals").toList().map { (it as Number).toFloat() }
        val numbers = wanted.getJSONArray("numbers").toList().map { (it as Number).toByte() }
        val info = ModelInfo(content)
        if (info.input.scale > 0) {
            val found = info.input.toInt8(reals.toFloatArray())
            assertArrayEquals(numbers.toByteArray(), found)
        }
        val quantization = Quantization(0.5f, -3)
        assertArrayEquals(floatArrayOf(1.5f, -62.5f), quantization.toReals(byteArrayOf(0, -128)))
    }

    @Test
    fun `an archive is expanded once`() {
        val content = File(System.getProperty("guide.archive")).readBytes()
        val folder = createTempFolder()
        var opened = 0
        repeat(2) {
            val file = expanded(folder, "digits-1") {
                opened++
                ByteArrayInputStream(content)
            }
            assertArrayEquals(Archive.decode(content).expand(), file.readBytes())
        }
        assertEquals(1, opened)
        assertEquals(listOf("digits-1.tflite"), folder.list()!!.toList())
    }

    @Test
    fun `of a damaged archive nothing is left`() {
        val folder = createTempFolder()
        val damaged = ByteArrayInputStream(ByteArray(100))
        assertThrows(IOException::class.java) { expanded(folder, "digits-1") { damaged } }
        assertEquals(0, folder.list()!!.size)
    }

    private fun createTempFolder(): File {
        val folder = File.createTempFile("guide", null)
        folder.delete()
        return folder.apply { mkdirs() }
    }
}
