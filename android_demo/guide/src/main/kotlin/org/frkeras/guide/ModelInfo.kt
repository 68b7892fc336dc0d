package org.frkeras.guide

import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.json.JSONObject

/** How the integers of a tensor stand for real numbers: `real = scale * (number - zeroPoint)`. */
class Quantization(val scale: Float, val zeroPoint: Int) {
    /** The nearest int8 number of each real one; those out of range become -128 or 127. */
    fun toInt8(reals: FloatArray) = ByteArray(reals.size) {
        val number = Math.rint((reals[it] / scale).toDouble()) + zeroPoint
        number.coerceIn(-128.0, 127.0).toInt().toByte()
    }

    fun toReals(numbers: ByteArray) = FloatArray(numbers.size) {
        (numbers[it] - zeroPoint) * scale
    }
}

/**
 * What a `.tflite` file of fr_keras says about itself.
 *
 * @property input Of the first input; its scale is 0 if the file takes float32.
 * @property output Of the first output.
 * @property outputSize How many numbers the first output has.
 * @property labels The names of the classes in the order of the outputs; empty if none were stored.
 */
class ModelInfo(bytes: ByteArray) {
    val input: Quantization
    val output: Quantization
    val outputSize: Int
    val labels: List<String>
    private val pixelScale: Float
    private val pixelOffset: Float

    init {
        // The numbers are those of the fields in LiteRT's schema of a model.
        val file = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN)
        val model = Table(file, file.getInt(0))
        val network = model.tables(2).first()
        val tensors = network.tables(0)
        val first = tensors[network.ints(1).first()]
        val last = tensors[network.ints(2).first()]
        input = quantization(first)
        output = quantization(last)
        outputSize = last.ints(0).fold(1) { product, side -> product * side }
        val entry = model.tables(6).find { it.text(0) == "fr_keras" }
        val json = JSONObject(entry?.let { model.tables(4)[it.int(1)].text(0) } ?: "{}")
        val names = json.optJSONArray("labels")
        labels = List(names?.length() ?: 0) { names!!.getString(it) }
        val pixels = json.optJSONObject("normalization")
        pixelScale = pixels?.getDouble("scale")?.toFloat() ?: 1f
        pixelOffset = pixels?.getDouble("offset")?.toFloat() ?: 0f
    }

    /** What the network takes for a pixel of 0 to 255. */
    fun normalized(pixel: Int): Float = pixel * pixelScale + pixelOffset

    private fun quantization(tensor: Table): Quantization {
        val found = tensor.table(4)
        val scale = found?.floats(2)?.firstOrNull() ?: 0f
        return Quantization(scale, found?.longs(3)?.firstOrNull()?.toInt() ?: 0)
    }
}

/** A table of a flatbuffer; a field that is not there is 0, empty or `null`. */
private class Table(private val file: ByteBuffer, private val at: Int) {
    fun int(number: Int): Int = place(number)?.let(file::getInt) ?: 0

    fun ints(number: Int): List<Int> = vector(number, 4).map(file::getInt)

    fun floats(number: Int): List<Float> = vector(number, 4).map(file::getFloat)

    fun longs(number: Int): List<Long> = vector(number, 8).map(file::getLong)

    fun text(number: Int): String = vector(number, 1).map(file::get).toByteArray().decodeToString()

    fun table(number: Int): Table? = place(number)?.let { Table(file, target(it)) }

    fun tables(number: Int): List<Table> = vector(number, 4).map { Table(file, target(it)) }

    /** Where a field is. */
    private fun place(number: Int): Int? {
        val layout = at - file.getInt(at)
        val entry = 4 + 2 * number
        if (entry >= file.getShort(layout)) return null
        return file.getShort(layout + entry).toInt().takeIf { it != 0 }?.let { at + it }
    }

    /** Where the elements of a vector are. */
    private fun vector(number: Int, bytes: Int): List<Int> {
        val start = target(place(number) ?: return emptyList())
        return List(file.getInt(start)) { start + 4 + bytes * it }
    }

    private fun target(place: Int): Int = place + file.getInt(place)
}
