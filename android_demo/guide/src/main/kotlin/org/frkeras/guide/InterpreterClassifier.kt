package org.frkeras.guide

import java.io.File
import java.nio.ByteBuffer
import org.tensorflow.lite.Interpreter

/** Classifies by an int8 file with LiteRT's `Interpreter`. Use it on one thread at a time. */
class InterpreterClassifier(file: File, threads: Int = 2) : AutoCloseable {
    private val info = ModelInfo(file.readBytes())
    private val interpreter = Interpreter(file, Interpreter.Options().setNumThreads(threads))

    /** Returns the label of an image of pixels from 0 to 255, row by row. */
    fun classify(pixels: IntArray): String {
        val reals = FloatArray(pixels.size) { info.normalized(pixels[it]) }
        val input = ByteBuffer.allocateDirect(pixels.size)
        input.put(info.input.toInt8(reals)).rewind()
        val output = ByteBuffer.allocateDirect(info.outputSize)
        interpreter.run(input, output)
        output.rewind()
        val numbers = ByteArray(info.outputSize).also { output.get(it) }
        val scores = info.output.toReals(numbers)
        return info.labels[scores.indices.maxByOrNull { scores[it] }!!]
    }

    override fun close() = interpreter.close()
}
