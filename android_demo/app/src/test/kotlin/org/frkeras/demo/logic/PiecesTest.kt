package org.frkeras.demo.logic

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

class PiecesTest {
    @Test
    fun `a drawing is fitted into the middle, wherever and however large it is`() {
        val small = Drawing(listOf(listOf(Point(10f, 10f), Point(10f, 11f), Point(10.5f, 11f))))
        val large = Drawing(listOf(listOf(Point(0f, 0f), Point(0f, 500f), Point(250f, 500f))))
        assertTrue(small.picture().pixels.contentEquals(large.picture().pixels))
        val picture = small.picture()
        val inked = picture.pixels.indices.filter { picture.pixels[it] > 0 }
        // 20 pixels high.
        assertEquals(4, inked.minOf { it / 28 })
        assertEquals(23, inked.maxOf { it / 28 })
        assertEquals(255f, picture.pixels.max())
    }

    @Test
    fun `a dot is a dot in the middle`() {
        val picture = Drawing(listOf(listOf(Point(3f, 9f)))).picture()
        // The middle is a corner of four pixels.
        val middle = listOf(13, 14).flatMap { listOf(it * 28 + 13, it * 28 + 14) }
        assertTrue(middle.all { picture.pixels[it] > 250f })
        assertTrue(picture.pixels.count { it > 0 } < 20)
        assertEquals(0f, Drawing().picture().pixels.max())
    }

    @Test
    fun `equal guesses stay in the order of the classes`() {
        val found = guesses(floatArrayOf(0.2f, 0.4f, 0.4f, 0f), listOf("a", "b", "c"))
        assertEquals(listOf("b", "c", "a", "3"), found.map { it.label })
    }

    @Test
    fun `a NaN is no agreement`() {
        val type = TensorType("out", listOf(1, 2), NumberType.FLOAT32)
        val found = listOf(floatArrayOf(Float.NaN, 1f))
        val said = Agreement.of(found, listOf(floatArrayOf(0f, 1f)), type)
        assertEquals(Double.MAX_VALUE, said.largest)
    }

    @Test
    fun `JSON comes back as it went`() {
        val held = mapOf(
            "text" to "a \"quote\", a \\ and a \n",
            "list" to listOf(1.5, true, null, emptyList<Any>()),
            "map" to emptyMap<String, Any>(),
        )
        assertEquals(held, JsonParser.parse(toJson(held)))
        assertThrows(IllegalArgumentException::class.java) { toJson(Double.NaN) }
        for (text in listOf("", "{", "[1,]", "{\"a\" 1}", "\"\\q\"", "1 2", "nul", "\"\\u12\"")) {
            assertThrows(IllegalArgumentException::class.java, { JsonParser.parse(text) }, text)
        }
    }

    @Test
    fun `an index of another version is refused`() {
        for (text in listOf("[]", "{}", "{\"format\": \"fr-keras-models\", \"version\": 2}")) {
            assertThrows(IllegalArgumentException::class.java) { Catalog.parse(text) }
        }
        assertThrows(IllegalArgumentException::class.java) {
            Catalog(emptyList()).named(listOf("none"))
        }
    }
}
