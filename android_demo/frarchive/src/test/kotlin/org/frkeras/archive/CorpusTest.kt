package org.frkeras.archive

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test

/** Every archive of the corpus is refused, or read and expanded to the bytes that Python gives. */
class CorpusTest {
    @Test
    fun `contents and files are those of Python`() {
        val cases = Corpus.cases()
        val different = cases.mapNotNull(::difference)
        val count = { rule: (Case) -> Boolean -> cases.count(rule) }
        println(
            "${cases.size} archives: ${count { it.contents == "refused" }} refused, " +
                "${count { it.file.length == 64 }} expanded, " +
                "${count { it.file == "refused" }} with a skeleton that is refused",
        )
        assertEquals(emptyList<String>(), different.take(20), "${different.size} differ")
        val goldens =
            listOf("archive_v1", "archive_v2", "archive_v2_codebooks", "archive_v2_signs")
        for (name in goldens.map { "golden-$it" }) {
            assertEquals(64, cases.single { it.name == name }.contents.length)
        }
        for (name in listOf("unet", "plain", "few_levels", "solved").map { "network-$it" }) {
            assertEquals(64, cases.single { it.name == name }.file.length)
        }
    }

    private fun difference(case: Case): String? {
        val archive = try {
            Archive.decode(case.data)
        } catch (error: ArchiveException) {
            return "${case.name}: ${error.message}".takeIf { case.contents != "refused" }
        }
        if (contents(archive) != case.contents) return "${case.name}: the contents differ"
        return "${case.name}: the files differ, ${case.file}".takeIf { file(archive) != case.file }
    }
}
