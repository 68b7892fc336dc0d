package org.frkeras.guide

import java.io.File
import java.io.IOException
import java.io.InputStream
import org.frkeras.archive.Archive

/** How much memory an expansion may take at a time. */
private const val MEMORY = 64L shl 20

/**
 * Returns the `.tflite` file of an archive, which is expanded only if it is not there yet.
 *
 * @param folder Where it is kept, such as `File(context.cacheDir, "models")`.
 * @param name Another one for each version of the archive.
 * @param open Opens the archive, such as `{ context.assets.open("model.fr") }`.
 * @throws IOException If the archive is damaged, or there is no room.
 */
fun expanded(folder: File, name: String, open: () -> InputStream): File {
    val file = File(folder, "$name.tflite")
    if (file.exists()) return file
    if (!folder.isDirectory && !folder.mkdirs()) throw IOException("There is no '$folder'")
    val partial = File.createTempFile("partial", null, folder)
    try {
        val archive = open().use { Archive.decode(it) }
        partial.outputStream().buffered().use { archive.expand(it, MEMORY) }
        if (!partial.renameTo(file)) throw IOException("'$file' cannot be written")
    } finally {
        partial.delete()
    }
    return file
}
