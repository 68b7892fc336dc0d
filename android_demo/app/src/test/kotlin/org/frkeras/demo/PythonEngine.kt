package org.frkeras.demo

import java.io.DataInputStream
import java.io.File
import java.io.IOException
import java.nio.ByteBuffer
import org.frkeras.demo.logic.Accelerator
import org.frkeras.demo.logic.Engine
import org.frkeras.demo.logic.JsonParser
import org.frkeras.demo.logic.Network
import org.frkeras.demo.logic.NumberType
import org.frkeras.demo.logic.RefusedException
import org.frkeras.demo.logic.TensorType

/**
 * Runs files on LiteRT's CPU kernels in a process of Python: `tools/android/serve.py`. It has no
 * GPU, and for NNAPI the same CPU stands.
 *
 * @property command Runs that script.
 */
internal class PythonEngine(private val command: List<String>) : Engine {
    override val version = "LiteRT for Python"

    /** How many networks are loaded. */
    @Volatile
    var open = 0
        private set

    override fun open(file: File, accelerator: Accelerator, threads: Int): Network {
        if (accelerator == Accelerator.GPU) throw RefusedException("There is no GPU here")
        val delegate = if (accelerator == Accelerator.NONE) "none" else "xnnpack"
        val words = command + listOf(file.path, delegate, "$threads")
        val process = ProcessBuilder(words).redirectError(File("/dev/null")).start()
        open++
        return PythonNetwork(process) { open-- }
    }
}

private class PythonNetwork(private val process: Process, private val closed: () -> Unit) :
    Network {
    private val answers = DataInputStream(process.inputStream)
    override val input: TensorType
    override val output: TensorType
    override val notes = emptyList<String>()

    init {
        val line = generateSequence { answers.read() }.takeWhile { it >= 0 && it != '\n'.code }
        val text = line.map { it.toChar() }.joinToString("")
        if (text.isEmpty()) throw IOException("It ended with the code ${process.waitFor()}")
        val types = JsonParser.parse(text) as Map<*, *>
        input = type(types["input"] as Map<*, *>)
        output = type(types["output"] as Map<*, *>)
    }

    override fun run(input: ByteBuffer, output: ByteBuffer) {
        val row = ByteArray(this.input.bytes)
        input.duplicate().get(row)
        process.outputStream.apply { write(row) }.flush()
        val made = ByteArray(this.output.bytes)
        answers.readFully(made)
        output.put(made)
    }

    override fun close() {
        process.outputStream.close()
        process.waitFor()
        closed()
    }

    private fun type(held: Map<*, *>) = TensorType(
        held["name"] as String,
        (held["shape"] as List<*>).map { (it as Double).toInt() },
        NumberType.valueOf((held["type"] as String).uppercase()),
        (held["scale"] as Double).toFloat(),
        (held["zero_point"] as Double).toInt(),
    )
}
