package org.frkeras.demo.logic

import java.io.Closeable
import java.io.File
import java.nio.ByteBuffer

/**
 * What computes.
 *
 * @property delegate Its name in the results of `fr-keras benchmark`.
 */
enum class Accelerator(val delegate: String) {
    /** TFLite's own kernels. */
    NONE("none"),
    CPU("xnnpack"),

    /** Computes in float16, as TFLite lets it unless told otherwise. */
    GPU("gpu"),
    NNAPI("nnapi"),
    ;

    companion object {
        /** @throws IllegalArgumentException If no accelerator has this name in results. */
        fun named(delegate: String): Accelerator =
            requireNotNull(entries.find { it.delegate == delegate }) {
                "A delegate must be one of ${entries.joinToString { it.delegate }}, not '$delegate'"
            }
    }
}

/** An accelerator that refuses a network, or fails on it; says why. */
class RefusedException(message: String, cause: Throwable? = null) : Exception(message, cause)

/** A network that is loaded. Is used by one thread at a time. */
interface Network : Closeable {
    val input: TensorType
    val output: TensorType

    /** What a reader of its times has to know. */
    val notes: List<String>

    /**
     * Runs it on buffers that are both at their beginnings, as TFLite wants them.
     *
     * @throws RefusedException If it fails.
     */
    fun run(input: ByteBuffer, output: ByteBuffer)
}

/** Loads networks. */
interface Engine {
    /**
     * Loads a `.tflite` file.
     *
     * @throws RefusedException If the accelerator refuses it.
     */
    fun open(file: File, accelerator: Accelerator, threads: Int): Network

    /** Its name and version, for results. */
    val version: String
}

/** A network, and what it really runs on. */
class Opened(val network: Network, val accelerator: Accelerator, val fallback: String?)

/**
 * Loads a file, on the CPU where the accelerator refuses it; [Opened.fallback] then says why.
 *
 * @throws RefusedException If the CPU refuses it, too.
 */
fun Engine.openOrFallBack(file: File, accelerator: Accelerator, threads: Int): Opened =
    try {
        Opened(open(file, accelerator, threads), accelerator, null)
    } catch (refused: RefusedException) {
        if (accelerator == Accelerator.CPU) throw refused
        Opened(open(file, Accelerator.CPU, threads), Accelerator.CPU, refused.message)
    }
