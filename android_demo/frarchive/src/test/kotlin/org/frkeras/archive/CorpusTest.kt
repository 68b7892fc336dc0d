package org.frkeras.archive

import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.security.MessageDigest
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
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
        if (!archive.hasSkeleton) return "${case.name}: no skeleton".takeIf { case.file != "none" }
        val found = try {
            hexadecimal(sha256().digest(archive.expand(MEMORY)))
        } catch (error: ArchiveException) {
            return "${case.name}: ${error.message}".takeIf { case.file != "refused" }
        }
        return "${case.name}: the files differ, ${case.file}".takeIf { found != case.file }
    }

    /** The SHA-256 of what an archive holds, as `corpus.py` takes it. */
    private fun contents(archive: Archive): String {
        val sha = sha256()
        sha.update(
            when (val known = archive.architecture) {
                is Architecture.Config -> known.json
                is Architecture.Reference -> "[${quoted(known.name)},${known.arguments}]"
            }.encodeToByteArray(),
        )
        for (one in archive.tensors + archive.vectors) {
            sha.update(quantized(one))
            if (one.size <= 64) sha.update(reals(one.rebuild(one.size + 7)))
        }
        for (one in archive.kernels) {
            sha.update(words(1) { one.columns })
            when (one) {
                is Kernel.Whole -> sha.update(quantized(one.numbers))
                is Kernel.Codebook -> {
                    val levels = one.levels()
                    sha.update(words(2) { if (it == 0) one.size else levels.size })
                    sha.update(reals(levels) + words(one.size) { one[it] } + reals(one.reals()))
                }
                is Kernel.Signs -> {
                    val scale = one.scale.toRawBits()
                    val seed = listOf(one.seed.toInt(), (one.seed ushr 32).toInt())
                    sha.update(words(4) { (listOf(one.size) + seed + scale)[it] })
                    sha.update(reals(one.reals()))
                }
            }
        }
        return hexadecimal(sha.digest())
    }

    private fun quantized(one: Quantized) =
        words(2) { if (it == 0) one.size else one.step } +
            words(one.size) { one[it] } +
            reals(one.reals())

    private fun quoted(name: String) =
        "\"" + name.replace("\\", "\\\\").replace("\"", "\\\"") + "\""

    private fun reals(numbers: FloatArray) = words(numbers.size) { numbers[it].toRawBits() }

    private fun words(size: Int, word: (Int) -> Int): ByteArray {
        val buffer = ByteBuffer.allocate(4 * size).order(ByteOrder.LITTLE_ENDIAN)
        repeat(size) { buffer.putInt(word(it)) }
        return buffer.array()
    }

    private fun sha256() = MessageDigest.getInstance("SHA-256")

    private fun hexadecimal(bytes: ByteArray) = bytes.joinToString("") { "%02x".format(it) }

    private companion object {
        const val MEMORY = 192L shl 20
    }
}
