package org.frkeras.archive

import java.io.ByteArrayOutputStream
import java.io.InputStream
import java.io.OutputStream

/**
 * What a `.fr` file holds: a network in kilobytes, which expands to a `.tflite` file.
 *
 * ```
 * val archive = FileInputStream("unet.fr").use { Archive.decode(it) }
 * FileOutputStream("unet.tflite").use { archive.expand(it) }
 * ```
 *
 * The file is, byte for byte, the one that `fr-keras unpack` writes. The format is specified in
 * `docs/archive-format.md`. An archive does not change and can be shared by threads.
 *
 * @property architecture Which network this is.
 * @property tensors The kept coefficients of each tensor, in zigzag order.
 * @property vectors The first DCT-II coefficients of each vector.
 * @property kernels The kernels that lie in space; a file of version 1 has none.
 */
public class Archive private constructor(
    public val architecture: Architecture,
    public val tensors: List<Quantized>,
    public val vectors: List<Quantized>,
    public val kernels: List<Kernel>,
    private val skeleton: Section?,
) {
    /** Whether the archive can be expanded to a `.tflite` file. */
    public val hasSkeleton: Boolean get() = skeleton != null

    /**
     * Writes the `.tflite` file to [output], which stays open. Nothing is written where the archive
     * is refused.
     *
     * Whoever runs the file verifies it as a flatbuffer before, as every interpreter does that is
     * given a file it cannot trust: the format promises its numbers, not its tables.
     *
     * @param memory How many bytes the arrays of the expansion may take at a time; the archive
     *   itself takes four for each of its numbers. The format bounds both; a phone may bound this
     *   one more closely.
     * @throws ArchiveException If there is no skeleton, or it makes no sense or takes too much.
     * @throws java.io.IOException If [output] fails.
     */
    @JvmOverloads
    public fun expand(output: OutputStream, memory: Long = MOST_MEMORY) {
        read().expand(output, memory)
    }

    /**
     * Returns the `.tflite` file, as [expand] writes it.
     *
     * @throws ArchiveException If there is no skeleton, or it makes no sense or takes too much.
     */
    @JvmOverloads
    public fun expand(memory: Long = MOST_MEMORY): ByteArray {
        val read = read()
        val output = ByteArrayOutputStream()
        read.expand(output, memory)
        return output.toByteArray()
    }

    private fun read(): Skeleton {
        val section = skeleton ?: throw ArchiveException(
            "An archive must have a skeleton to make a .tflite file: pack it with one",
        )
        return Skeleton(skeletonText(section), source())
    }

    internal fun source() = Source(tensors, vectors, kernels)

    public companion object {
        /** What the format allows: 2^25 numbers, what sorting takes, and a file of 2^26 bytes. */
        public const val MOST_MEMORY: Long = 512L shl 20

        /**
         * Reads an archive from [input] to its end; [input] stays open.
         *
         * Memory is taken for what is there, not for what a file declares: a byte of it may stand
         * for 64 numbers, and the format bounds their count.
         *
         * @throws ArchiveException If it is no archive, or damaged, or not as a writer writes it.
         * @throws java.io.IOException If [input] fails.
         */
        @JvmStatic
        public fun decode(input: InputStream): Archive {
            // A payload is let go once it is read; kernels come last, because they take most.
            val sections = readSections(input).toMutableMap()
            val architecture = readArchitecture(checkNotNull(sections.remove(Kind.ARCHITECTURE)))
            val vectors = sections.remove(Kind.VECTORS)?.let { readVectors(it) }.orEmpty()
            val coefficients = checkNotNull(sections.remove(Kind.COEFFICIENTS))
            val tensors = readSeries(coefficients, ::interleaved)
            val kernels = sections.remove(Kind.KERNELS)?.let { readKernels(it) }.orEmpty()
            return Archive(architecture, tensors, vectors, kernels, sections[Kind.SKELETON])
        }

        /**
         * Reads an archive from its bytes.
         *
         * @throws ArchiveException If it is no archive, or damaged, or not as a writer writes it.
         */
        @JvmStatic
        public fun decode(data: ByteArray): Archive = decode(data.inputStream())

        private fun readVectors(section: Section): List<Quantized> {
            val vectors = readSeries(section, ::oneByOne)
            if (vectors.isEmpty()) {
                throw ArchiveException("A section of vectors holds one or more", section.start)
            }
            return vectors
        }
    }
}
