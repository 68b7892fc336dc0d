package org.frkeras.archive

import java.io.File
import java.util.zip.ZipFile
import org.junit.jupiter.api.Assumptions.assumeTrue

/**
 * An archive and what the Python implementation says about it.
 *
 * @property contents "refused", or the SHA-256 of what it holds.
 * @property file "none" without a skeleton, "refused", or the SHA-256 of the `.tflite` file.
 */
internal class Case(
    val name: String,
    val data: ByteArray,
    val contents: String,
    val file: String,
)

/** The archives that `tools/android/corpus.py` writes; a test is skipped where there are none. */
internal object Corpus {
    private val folder = File(System.getProperty("frarchive.corpus") ?: "corpus")

    /** Those of the corpus, or of files of several networks where [part] is "nested". */
    fun cases(part: String = ""): List<Case> {
        val from = File(folder, part)
        assumeTrue(
            File(from, "verdicts.tsv").exists(),
            "There are no archives to compare with in '$from': run `make android`",
        )
        return ZipFile(File(from, "archives.zip")).use { archives ->
            File(from, "verdicts.tsv").readLines().map { line ->
                val (name, contents, file) = line.split('\t')
                val data = archives.getInputStream(archives.getEntry(name)).use { it.readBytes() }
                Case(name, data, contents, file)
            }
        }
    }
}
