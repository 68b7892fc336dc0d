package org.frkeras.archive

import java.nio.ByteBuffer
import java.nio.ByteOrder

private const val MOST = 127.0
private const val BIAS_ROOM = 1073741824.0 // 2^30
private const val SMALLEST = 1.0 / 65536
private const val NOTHING = 1.0 / 128

/** The bytes of a part of a site, whole words. */
internal fun partBytes(part: Part, kernel: IntArray, byChannel: Boolean): Int = when (part) {
    Part.KERNEL -> (kernel.count() + 3) / 4 * 4
    Part.BIAS -> 4 * kernel[0]
    Part.SCALES, Part.BIAS_SCALES -> if (byChannel) 4 * kernel[0] else 4
}

/**
 * The constants of an op in whole numbers: an int8 kernel, an int32 bias, and their scales.
 *
 * @param kernel Real numbers `(out, ...)`.
 * @param bias Real numbers `(out)`, or `null` for zeros.
 * @param input The scale of the op's input.
 */
internal class Filling(
    private val kernel: NdArray,
    private val bias: NdArray?,
    private val input: Double,
    private val byChannel: Boolean,
) {
    private val channels = kernel.shape[0]
    private val width = kernel.data.size / channels
    private val scales = scales()
    private val biasScales = FloatArray(scales.size) { (input * scales[it]).toFloat() }

    init {
        if ((scales + biasScales).any { !(it > 0 && it.isFinite()) }) {
            throw ArchiveException("A scale is beyond what float32 holds")
        }
    }

    /** The bytes that fill a gap, little-endian, and zeros up to a whole word. */
    fun data(part: Part): ByteArray {
        val bytes = ByteBuffer.allocate(partBytes(part, kernel.shape, byChannel))
        bytes.order(ByteOrder.LITTLE_ENDIAN)
        when (part) {
            Part.KERNEL -> kernel.data.forEachIndexed { place, real ->
                val whole = Math.rint(real / scale(place / width))
                bytes.put(whole.coerceIn(-MOST, MOST).toInt().toByte())
            }
            Part.SCALES -> scales.forEach(bytes::putFloat)
            Part.BIAS -> for (channel in 0 until channels) {
                bytes.putInt(Math.rint(bias(channel) / (input * scale(channel))).toInt())
            }
            Part.BIAS_SCALES -> biasScales.forEach(bytes::putFloat)
        }
        return bytes.array()
    }

    private fun scale(channel: Int) = scales[if (byChannel) channel else 0].toDouble()

    private fun bias(channel: Int) = bias?.data?.get(channel) ?: 0.0

    private fun scales(): FloatArray {
        if (!kernel.data.all(Double::isFinite) || bias?.data?.all(Double::isFinite) == false) {
            throw ArchiveException("A kernel and its bias must be finite")
        }
        val largest = DoubleArray(channels) { channel -> largest(channel) }
        val least = largest.max() / MOST * SMALLEST
        val exact = DoubleArray(channels) { channel ->
            val room = Math.abs(bias(channel)) / (input * BIAS_ROOM)
            val scale = maxOf(largest[channel] / MOST, room, least)
            if (scale > 0) scale else NOTHING
        }
        return if (byChannel) {
            FloatArray(channels) { exact[it].toFloat() }
        } else {
            floatArrayOf(exact.max().toFloat())
        }
    }

    private fun largest(channel: Int): Double {
        var largest = 0.0
        for (place in channel * width until (channel + 1) * width) {
            largest = maxOf(largest, Math.abs(kernel.data[place]))
        }
        return largest
    }
}
