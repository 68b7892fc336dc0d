package org.frkeras.demo.logic

import java.nio.ByteBuffer
import java.nio.ByteOrder

/**
 * Rows of data for a network, and what the CPU reference of `fr-keras benchmark` makes of them:
 * inputs in the network's own types, and behind them the outputs, little-endian.
 * `tools/android/models.py` writes it.
 */
class Reference(private val content: ByteArray) {
    /** Copies the input of a row. */
    fun input(row: Int, type: TensorType, to: ByteBuffer) {
        to.clear()
        to.put(content, row * type.bytes, type.bytes)
        to.rewind()
    }

    /**
     * Returns how many rows there are.
     *
     * @throws IllegalArgumentException If the file is for another network.
     */
    fun rows(input: TensorType, output: TensorType): Int {
        val each = input.bytes + output.bytes
        require(content.isNotEmpty() && content.size % each == 0) {
            "${content.size} bytes of reference are no rows of $each bytes"
        }
        return content.size / each
    }

    /**
     * Returns the real outputs of all rows.
     *
     * @throws IllegalArgumentException If the file is for another network.
     */
    fun outputs(input: TensorType, output: TensorType): List<FloatArray> {
        val rows = rows(input, output)
        return List(rows) { row ->
            val place = rows * input.bytes + row * output.bytes
            val part = ByteBuffer.wrap(content, place, output.bytes).slice()
            output.read(part.order(ByteOrder.LITTLE_ENDIAN))
        }
    }
}
