package org.frkeras.archive

import java.io.InputStream

/**
 * The networks of a file while it arrives, from the smallest to the largest.
 *
 * ```
 * val archives = ArchiveStream(connection.inputStream)
 * while (true) {
 *     val archive = archives.next() ?: break
 *     use(archive) // larger than the one before
 * }
 * if (archives.isCut) retry()
 * ```
 *
 * A file of one network gives that. [input] is read no further than the network that was asked for,
 * and stays open.
 */
public class ArchiveStream(private val input: InputStream) {
    private var succession: Succession? = null
    private var isDone = false

    /**
     * Whether the file ended before its largest network; known once [next] has given `null`.
     */
    public var isCut: Boolean = false
        private set

    /**
     * Returns the next network as soon as it is there, or `null` behind the last one that is whole.
     *
     * @throws ArchiveException If the file is no archive, or damaged, or not as a writer writes it,
     *   or ends within its first network. The networks before the damage have been given then.
     * @throws java.io.IOException If [input] fails.
     */
    public fun next(): Archive? {
        if (isDone) return null
        val begun = succession ?: return first()
        val found = begun.next()
        isDone = found == null
        isCut = isDone && !begun.isWhole
        return found
    }

    private fun first(): Archive? {
        val head = input.take(HEAD_BYTES)
        if (!isNested(head)) {
            isDone = true
            return readArchive(input, head)
        }
        succession = Succession(input)
        return next()
    }
}
