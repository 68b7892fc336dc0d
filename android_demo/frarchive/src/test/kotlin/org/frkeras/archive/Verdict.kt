package org.frkeras.archive

import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.security.MessageDigest

private const val MEMORY = 192L shl 20

/** The SHA-256 of what an archive holds, as `corpus.py` takes it. */
internal fun contents(archive: Archive): String {
    val sha = sha256()
    sha.update(
        when (val known = archive.architecture) {
            is Architecture.Config -> known.json
            is Architecture.Reference -> "[${quoted(known.name)},${known.arguments}]"
        }.encodeToByteArray(),
    )
    for (one in archive.tensors + archive.vectors) {
        when (one) {
            is Quantized -> {
                sha.update(quantized(one))
                if (one.size <= 64) sha.update(reals(one.rebuild(one.size + 7)))
            }
            is GrownVector -> sha.update(counted(one.rebuild(one.length)))
        }
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
            is GrownKernel -> sha.update(counted(one.reals()))
        }
    }
    archive.profile?.let { sha.update(it.encodeToByteArray()) }
    return hexadecimal(sha.digest())
}

/** What expanding an archive gives, in the words of `corpus.py`. */
internal fun file(archive: Archive): String = when {
    !archive.hasSkeleton -> "none"
    else -> try {
        hexadecimal(sha256().digest(archive.expand(MEMORY)))
    } catch (_: ArchiveException) {
        "refused"
    }
}

internal fun hexadecimal(bytes: ByteArray) = bytes.joinToString("") { "%02x".format(it) }

internal fun sha256(): MessageDigest = MessageDigest.getInstance("SHA-256")

private fun quantized(one: Quantized) =
    words(2) { if (it == 0) one.size else one.step } +
        words(one.size) { one[it] } +
        reals(one.reals())

private fun quoted(name: String) =
    "\"" + name.replace("\\", "\\\\").replace("\"", "\\\"") + "\""

private fun counted(numbers: FloatArray) = words(1) { numbers.size } + reals(numbers)

private fun reals(numbers: FloatArray) = words(numbers.size) { numbers[it].toRawBits() }

private fun words(size: Int, word: (Int) -> Int): ByteArray {
    val buffer = ByteBuffer.allocate(4 * size).order(ByteOrder.LITTLE_ENDIAN)
    repeat(size) { buffer.putInt(word(it)) }
    return buffer.array()
}
