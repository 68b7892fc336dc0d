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
 * @property isCut Whether a file of several networks ended before a larger one that was asked for.
 */
public class Archive internal constructor(
    public val architecture: Architecture,
    public val tensors: List<Quantized>,
    public val vectors: List<Vector>,
    public val kernels: List<Kernel>,
    private val skeleton: SkeletonText?,
    private val known: Profile? = null,
    public val isCut: Boolean = false,
) {
    /** What this network costs, as a share of the largest of its file; `null` if it is alone. */
    public val share: Double? get() = known?.share

    /** What a file of several networks says of this one, as a JSON object; else `null`. */
    public val profile: String? get() = known?.json

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
        val text = skeleton ?: throw ArchiveException(
            "An archive must have a skeleton to make a .tflite file: pack it with one",
        )
        return Skeleton(text.read(), source())
    }

    private fun cut() =
        Archive(architecture, tensors, vectors, kernels, skeleton, known, isCut = true)

    internal fun source() = Source(tensors, vectors, kernels)

    public companion object {
        /** What the format allows: 2^25 numbers, what sorting takes, and a file of 2^26 bytes. */
        public const val MOST_MEMORY: Long = 512L shl 20

        /**
         * Reads an archive from [input] to its end; [input] stays open.
         *
         * Memory is taken for what is there, not for what a file declares: a byte of it may stand
         * for 64 numbers, and the format bounds their count. Of several networks it is the largest
         * that is there; [isCut] says whether there is a larger one.
         *
         * @throws ArchiveException If it is no archive, or damaged, or not as a writer writes it.
         * @throws java.io.IOException If [input] fails.
         */
        @JvmStatic
        public fun decode(input: InputStream): Archive {
            val head = input.take(HEAD_BYTES)
            return if (isNested(head)) largest(input, 1.0) else readArchive(input, head)
        }

        /**
         * Reads a network of a file of several: the largest whose share is at most [capacity].
         * [input] is read no further than needed, and stays open.
         *
         * @throws ArchiveException If it is no such file, or damaged, or not as a writer writes it,
         *   or the smallest network has a larger share.
         * @throws java.io.IOException If [input] fails.
         */
        @JvmStatic
        public fun decode(input: InputStream, capacity: Double): Archive {
            if (!(capacity > 0 && capacity <= 1)) {
                throw ArchiveException("`capacity` is above 0 and at most 1. Received: $capacity")
            }
            if (!isNested(input.take(HEAD_BYTES))) {
                throw ArchiveException(
                    "A file must hold several networks to be read with a `capacity`: read this " +
                        "one without it. Received: $capacity",
                )
            }
            return largest(input, capacity)
        }

        /**
         * Reads an archive from its bytes.
         *
         * @throws ArchiveException If it is no archive, or damaged, or not as a writer writes it.
         */
        @JvmStatic
        public fun decode(data: ByteArray): Archive = decode(data.inputStream())

        private fun largest(input: InputStream, capacity: Double): Archive {
            val networks = Succession(input)
            var found: Archive? = null
            while (true) {
                val next = networks.next() ?: break
                val share = checkNotNull(next.share)
                if (share > capacity) {
                    return found ?: throw ArchiveException(
                        "`capacity` is at least the share of the smallest network, $share. " +
                            "Received: $capacity",
                    )
                }
                found = next
                if (share == capacity && capacity < 1) return found
            }
            return checkNotNull(found).run { if (networks.isWhole) this else cut() }
        }
    }
}

/** Reads an archive of one network to the end of [input]; [head] is what has been read of it. */
internal fun readArchive(input: InputStream, head: ByteArray): Archive {
    // A payload is let go once it is read; kernels come last, because they take most.
    val sections = readSections(input, head).toMutableMap()
    val architecture = readArchitecture(checkNotNull(sections.remove(Kind.ARCHITECTURE)))
    val vectors = sections.remove(Kind.VECTORS)?.let { readVectors(it) }.orEmpty()
    val coefficients = checkNotNull(sections.remove(Kind.COEFFICIENTS))
    val tensors = readSeries(coefficients, ::interleaved)
    val kernels = sections.remove(Kind.KERNELS)?.let { readKernels(it) }.orEmpty()
    val skeleton = sections[Kind.SKELETON]?.let { SkeletonText(it) }
    return Archive(architecture.architecture, tensors, vectors, kernels, skeleton)
}
