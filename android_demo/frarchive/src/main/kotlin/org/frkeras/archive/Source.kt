package org.frkeras.archive

/** The numbers of an archive, as recipes take them. */
internal class Source(
    val tensors: List<Quantized>,
    val vectors: List<Vector>,
    val kernels: List<Kernel>,
)
