package org.frkeras.demo.logic

import java.io.File
import java.io.IOException
import java.io.InputStream
import java.security.MessageDigest
import org.frkeras.archive.Archive

/**
 * Bundled files as `.tflite` files in a folder of the app's cache, under the SHA-256 of what was
 * bundled: an archive is expanded once, and again only if it changes or the cache was cleared.
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
     * @throws IOException If it is not the file of the index, is damaged, or there is no room.
     */
    @Synchronized
    fun flatbuffer(model: ModelFile): File {
        val file = File(folder, "${model.sha256}.tflite")
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
                    Archive.decode(content).expand(output, memory)
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
