package org.frkeras.archive

/** A vector as an archive holds it: the first DCT-II coefficients, or of several parts. */
public sealed interface Vector {
    /** How many numbers stand for it. */
    public val size: Int

    /** Whether it can have so many numbers. */
    public fun fits(length: Int): Boolean

    /**
     * Returns its numbers, [length] of them.
     *
     * @throws IllegalArgumentException If it cannot have so many, as [fits] tells.
     */
    public fun rebuild(length: Int): FloatArray
}
