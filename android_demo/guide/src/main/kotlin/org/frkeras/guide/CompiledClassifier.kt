package org.frkeras.guide

import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import java.io.File

/** Classifies by an int8 file with LiteRT's `CompiledModel`. Use it on one thread at a time. */
class CompiledClassifier(file: File, accelerator: Accelerator = Accelerator.CPU) : AutoCloseable {
    private val info = ModelInfo(file.readBytes())
    private val model = CompiledModel.create(file.path, CompiledModel.Options(accelerator))
    private val inputs = model.createInputBuffers()
    private val outputs = model.createOutputBuffers()

    /** Returns the label of an image of pixels from 0 to 255, row by row. */
    fun classify(pixels: IntArray): String {
        val reals = FloatArray(pixels.size) { info.normalized(pixels[it]) }
        inputs[0].writeInt8(info.input.toInt8(reals))
        model.run(inputs, outputs)
        val scores = info.output.toReals(outputs[0].readInt8())
        return info.labels[scores.indices.maxByOrNull { scores[it] }!!]
    }

    override fun close() {
        (inputs + outputs).forEach { it.close() }
        model.close()
    }
}
