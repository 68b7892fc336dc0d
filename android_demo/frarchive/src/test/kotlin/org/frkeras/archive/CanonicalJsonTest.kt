package org.frkeras.archive

import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

class CanonicalJsonTest {
    @Test
    fun `canonical texts are read`() {
        for (text in listOf(
            "{}", "[]", "null", "-1", "9223372036854775807", "[1,2.5,true,false,null,\"\"]",
            """{"a":{"b":[]},"aa":"\n\\\"\u001f"}""", "{\"\ue000\":1,\"\ud83d\ude00\":2}",
        )) {
            CanonicalJson(text).apply { value() }.end()
        }
    }

    @Test
    fun `other texts are refused`() {
        for (text in listOf(
            "", "{", "[1,]", "{\"a\"}", "[ ]", "tru", "01", "-0", "1.", "+1", "1e5", "1.50", "NaN",
            "9223372036854775808", """"\u0041"""", """"\/"""", """"\u001F"""", "\"\n\"", "\"",
            """{"b":1,"a":2}""", """{"a":1,"a":1}""", "{}x", "{\"\ud83d\ude00\":2,\"\ue000\":1}",
        )) {
            val read = { CanonicalJson(text).apply { value() }.end() }
            assertThrows(JsonException::class.java, read, text)
        }
    }

    @Test
    fun `a hundred levels are enough`() {
        CanonicalJson("[".repeat(100) + "]".repeat(100)).value()
        val deeper = CanonicalJson("[".repeat(101) + "]".repeat(101))
        assertThrows(JsonException::class.java) { deeper.value() }
    }

    @Test
    fun `real numbers are the shortest that Python writes`() {
        for (text in listOf(
            "0.0", "-0.0", "0.1", "1.0", "0.0001", "1e-05", "1e+16", "1000000000000000.0", "5e-324",
            "5.684341886080802e-14", "1.7976931348623157e+308", "0.30000000000000004", "1e+23",
            "9007199254740992.0", "-2.5",
        )) assertTrue(isShortestReal(text), text)
        for (text in listOf(
            "0.10", "1e-5", "1e+5", "0.00001", "1e16", "4e-324", "5.6843418860808015e-14", "1e+400",
            "0.30000000000000003", "0.1000000000000000055", "00.1", "1e-400",
        )) assertFalse(isShortestReal(text), text)
    }
}
