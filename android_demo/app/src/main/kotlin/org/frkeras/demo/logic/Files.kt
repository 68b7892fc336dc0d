package org.frkeras.demo.logic

import java.io.File
import java.io.IOException
import java.io.InputStream
import java.security.MessageDigest
import org.frkeras.archive.Archive

/**
 * Bundled files as `.tflite` files in a folder of the app's cache, under the SHA-256 of what was
 * bundled and the share of it that was taken: a network of an archive is expanded once, and again
 * only if the archive changes or the cache was cleared.
 *
 * @property open Opens a bundled file.
 */
class Files(
    private val folder: File,
    private val memory: Long = MEMORY,
    private val open: (String) -> InputStream,
) {
    /**
     * Returns the `.tflite` file of a bundled one.
     *
     * @throws IOException If it is not the file of the index, is damaged, has no network of this
     *   share, or there is no room.
     */
    @Synchronized
    fun flatbuffer(model: ModelFile): File {
        val name = listOfNotNull(model.sha256, model.share).joinToString("_")
        val file = File(folder, "$name.tflite")
        if (file.exists()) return file
        val content = open(model.file).use { it.readBytes() }
        if (sha256(content) != model.sha256) {
            throw IOException("'${model.file}' is not the file of the index")
        }
        if (!folder.isDirectory && !folder.mkdirs()) throw IOException("There is no '$folder'")
        // Whole or not at all, whatever stops this.
        val partial = File.createTempFile("partial", null, folder)
        try {
            partial.outputStream().buffered().use { output ->
                if (model.form == Form.ARCHIVE) {
                    archive(content, model).expand(output, memory)
                } else {
                    output.write(content)
                }
            }
            if (!partial.renameTo(file)) throw IOException("'$file' cannot be written")
        } finally {
            partial.delete()
        }
        return file
    }

    private fun archive(content: ByteArray, model: ModelFile): Archive {
        val share = model.share ?: return Archive.decode(content)
        val found = Archive.decode(content.inputStream(), share)
        if (found.share != share) {
            throw IOException("'${model.file}' has no network of the share $share")
        }
        return found
    }

    /** @throws IOException If there is none. */
    fun reference(model: ModelFile): Reference =
        Reference(open(model.reference).use { it.readBytes() })

    companion object {
        private const val MEMORY = 64L shl 20
    }
}

/** In hexadecimal digits. */
fun sha256(content: ByteArray): String =
    MessageDigest.getInstance("SHA-256").digest(content).joinToString("") { "%02x".format(it) }
