package org.frkeras.archive

/**
 * A kernel that is stored as it lies in space, not in the DCT domain.
 *
 * @property numbers Its numbers, laid out with the last axis fastest.
 * @property columns The length of the last axis, at least 1; it divides the count of the numbers.
 */
public class Kernel internal constructor(public val numbers: Quantized, public val columns: Int)
