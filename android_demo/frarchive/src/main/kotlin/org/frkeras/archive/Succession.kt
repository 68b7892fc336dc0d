package org.frkeras.archive

import java.io.InputStream

private const val MOST_NETWORKS = 64
private const val MOST_TEXT = 1L shl 21
private const val MOST_VECTOR_NUMBERS = 1L shl 22
private const val MOST_KERNEL_NUMBERS = 1 shl 24

/** Reads the networks of a file, each from the one before and what is new in it. */
internal class Succession(input: InputStream) {
    private val frames = Frames(input, HEAD_BYTES.toLong())
    private val totals = Totals()
    private var before: Network? = null

    /** Whether the largest network has been read. */
    val isWhole: Boolean get() = before?.profile?.share == 1.0

    /** The next network; `null` behind the last one that is whole. */
    fun next(): Archive? {
        if (isWhole) {
            frames.end()
            return null
        }
        val sections = frames.next()
        if (sections == null && before == null) {
            throw ArchiveException("The file is cut within its first network", HEAD_BYTES.toLong())
        }
        if (sections == null) return null
        return network(sections).also { before = it }.archive
    }

    private fun network(sections: Map<FrameKind, Section>): Network {
        val last = before
        val growth = sections[FrameKind.GROWTH]
        val architecture = sections[FrameKind.ARCHITECTURE]
        val profile = sections[FrameKind.PROFILE]
        if (architecture == null || profile == null || (growth == null) != (last == null)) {
            throw ArchiveException(
                "A frame has an architecture and a profile, and a growth unless it is the first", 0,
            )
        }
        val text = readArchitecture(architecture, last?.architecture ?: ByteArray(0))
        val vectors = sections[FrameKind.VECTORS]?.let { readVectors(it) }.orEmpty()
        val kernels = sections[FrameKind.KERNELS]?.let { readKernels(it) }.orEmpty()
        val whole = if (last == null || growth == null) {
            vectors to kernels
        } else {
            Joining(readGrowth(growth), last.archive, growth).joined(vectors, kernels)
        }
        val described = readProfile(profile, byteArrayOf(0) + (last?.profile?.text ?: ByteArray(0)))
        if (described.share <= (last?.profile?.share ?: 0.0)) {
            throw ArchiveException("The shares of networks ascend", profile.start)
        }
        totals.add(text.text, vectors, kernels, sections[FrameKind.KERNELS], whole.second)
        val skeleton = sections[FrameKind.SKELETON]?.let { SkeletonText(it, last?.skeleton) }
        val archive = Archive(
            text.architecture, emptyList(), whole.first, whole.second, skeleton, described,
        )
        return Network(archive, text.text, described, skeleton)
    }
}

/** A network, with the texts that the windows of the next one begin with. */
private class Network(
    val archive: Archive,
    val architecture: ByteArray,
    val profile: Profile,
    val skeleton: SkeletonText?,
)

/** What the networks of a file take together: the limits hold for all of them. */
private class Totals {
    private var networks = 0
    private var texts = 0L
    private var vectorNumbers = 0L
    private var kernelNumbers = 0L
    private var kernelBytes = 0L

    fun add(
        text: ByteArray,
        vectors: List<Quantized>,
        kernels: List<Kernel>,
        section: Section?,
        whole: List<Kernel>,
    ) {
        networks++
        texts += text.size
        vectorNumbers += vectors.sumOf { it.size.toLong() }
        kernelNumbers += kernels.sumOf { it.size.toLong() }
        kernelBytes += section?.payload?.size ?: 0
        val (ofSeeds, coded) = whole.partition { it is Kernel.Signs }.toList()
            .map { part -> part.sumOf { maxOf(it.size, it.columns).toLong() } }
        val most = mostNumbers(MOST_KERNEL_NUMBERS, minOf(kernelBytes, 1L shl 30).toInt())
        val isTooMuch = networks > MOST_NETWORKS || texts > MOST_TEXT ||
            vectorNumbers > MOST_VECTOR_NUMBERS || kernelNumbers > MOST_KERNEL_NUMBERS
        if (isTooMuch || coded > most || coded + ofSeeds > MOST_KERNEL_NUMBERS) {
            throw ArchiveException("The networks of a file are too many, or too large together", 0)
        }
    }
}

/** Puts the vectors and kernels of a network together, from those before and the new ones. */
private class Joining(
    private val growth: Growth,
    private val before: Archive,
    private val section: Section,
) {
    fun joined(vectors: List<Quantized>, kernels: List<Kernel>): Pair<List<Vector>, List<Kernel>> {
        try {
            val newVectors = vectors.iterator()
            val newKernels = kernels.iterator()
            val joined = growth.vectors.mapIndexed { place, entry ->
                vector(entry, before.vectors.getOrNull(place), newVectors)
            } to growth.kernels.mapIndexed { place, entry ->
                kernel(entry, before.kernels.getOrNull(place), newKernels)
            }
            if (newVectors.hasNext() || newKernels.hasNext()) {
                throw GrowthException("A frame holds nothing that its growth does not place")
            }
            return joined
        } catch (error: GrowthException) {
            throw ArchiveException(checkNotNull(error.message), section.start)
        }
    }

    private fun vector(entry: Entry, old: Vector?, new: Iterator<Quantized>): Vector {
        if (entry == null) {
            val one = taken(new)
            if (old is Quantized && old.isSame(one)) throw isOld()
            return one
        }
        if (old == null) throw hasNone()
        return if (entry.isEmpty()) old else GrownVector(old, entry.single(), taken(new))
    }

    private fun kernel(entry: Entry, old: Kernel?, new: Iterator<Kernel>): Kernel {
        if (entry == null) {
            val one = taken(new)
            if (old != null && one.isSame(old)) throw isOld()
            return one
        }
        if (old == null) throw hasNone()
        if (entry.isEmpty()) return old
        return GrownKernel(old, entry, parts(entry).map { taken(new) })
    }

    private fun <T> taken(new: Iterator<T>): T =
        if (new.hasNext()) new.next() else throw GrowthException("A frame holds what is new in it")

    private fun hasNone() = GrowthException("The network before has nothing at a place that grew")

    private fun isOld() = GrowthException("What is said to be new is what was there before")
}
