package org.frkeras.demo.logic

import java.nio.ByteBuffer
import java.nio.ByteOrder

/** Types of numbers in tensors, with the bytes of one and, of integers, their range. */
enum class NumberType(val bytes: Int, val least: Int, val most: Int) {
    FLOAT32(4, 0, 0),
    INT8(1, -128, 127),
    UINT8(1, 0, 255),
    INT16(2, -32768, 32767),
}

/** An input or output of a network; of integers, `real = scale * (number - zeroPoint)`. */
data class TensorType(
    val name: String,
    val shape: List<Int>,
    val type: NumberType,
    val scale: Float = 0f,
    val zeroPoint: Int = 0,
) {
    /** How many numbers it has. */
    val size: Int get() = shape.fold(1) { product, side -> product * side }

    /** How many bytes it takes. */
    val bytes: Int get() = size * type.bytes

    /** A step of an integer; `null` of a float. */
    val step: Double? get() = if (type == NumberType.FLOAT32) null else scale.toDouble()

    /** Room for it, as interpreters want it. */
    fun buffer(): ByteBuffer =
        ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder())

    /**
     * Writes real values in the type of the tensor, as `fr_keras.tflite.Runner` does: the nearest
     * number, halves to even, and the end of the range for what is outside of it.
     */
    fun write(real: FloatArray, buffer: ByteBuffer) {
        require(real.size == size) { "$name takes $size numbers, not ${real.size}" }
        buffer.clear()
        for (value in real) {
            if (type == NumberType.FLOAT32) {
                buffer.putFloat(value)
            } else {
                // In the precision of numpy on float32 arrays, for the nearest depends on it.
                val nearest = Math.rint((value / scale).toDouble()) + zeroPoint
                putInteger(buffer, nearest.coerceIn(type.least.toDouble(), type.most.toDouble()))
            }
        }
        buffer.rewind()
    }

    /** Reads real values. */
    fun read(buffer: ByteBuffer): FloatArray {
        buffer.rewind()
        return FloatArray(size) {
            when (type) {
                NumberType.FLOAT32 -> buffer.getFloat()
                NumberType.INT8 -> real(buffer.get().toInt())
                NumberType.UINT8 -> real(buffer.get().toInt() and 0xff)
                NumberType.INT16 -> real(buffer.getShort().toInt())
            }
        }
    }

    private fun putInteger(buffer: ByteBuffer, value: Double) {
        val whole = value.toInt()
        if (type == NumberType.INT16) {
            buffer.putShort(whole.toShort())
        } else {
            buffer.put(whole.toByte())
        }
    }

    private fun real(number: Int) = (number - zeroPoint) * scale
}
