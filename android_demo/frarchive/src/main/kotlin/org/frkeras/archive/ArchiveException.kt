package org.frkeras.archive

import java.io.IOException

/**
 * An archive that is refused: the message says which rule of the format it breaks.
 *
 * @property offset The byte of the file at which reading stopped, or `null` where the reason lies
 *   in the contents of its skeleton.
 */
public class ArchiveException internal constructor(
    message: String,
    public val offset: Long? = null,
) : IOException(if (offset == null) message else "$message (at byte $offset)")
