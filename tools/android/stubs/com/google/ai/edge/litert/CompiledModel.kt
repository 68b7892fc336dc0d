@file:Suppress("UNUSED_PARAMETER", "unused")

/*
 * The part of LiteRT's Kotlin API that the Android guide uses. LiteRT 2 is published where this
 * build does not reach, so the code of the guide is compiled against these declarations, taken from
 * litert/kotlin of github.com/google-ai-edge/LiteRT at f67457790c9c2ab67347d6fe53270e8d3df20868.
 */
package com.google.ai.edge.litert

enum class Accelerator { NONE, CPU, GPU, NPU }

abstract class JniHandle internal constructor() : AutoCloseable {
    final override fun close(): Unit = TODO()
}

class TensorBuffer internal constructor() : JniHandle() {
    fun writeInt8(data: ByteArray): Unit = TODO()

    fun readInt8(): ByteArray = TODO()

    fun writeFloat(data: FloatArray): Unit = TODO()

    fun readFloat(): FloatArray = TODO()
}

class CompiledModel private constructor() : JniHandle() {
    class Options(vararg accelerators: Accelerator)

    fun createInputBuffers(signatureIndex: Int = 0): List<TensorBuffer> = TODO()

    fun createOutputBuffers(signatureIndex: Int = 0): List<TensorBuffer> = TODO()

    fun run(
        inputs: List<TensorBuffer>,
        outputs: List<TensorBuffer>,
        signatureIndex: Int = 0,
    ): Unit = TODO()

    companion object {
        fun create(filePath: String, options: Options = Options()): CompiledModel = TODO()
    }
}
