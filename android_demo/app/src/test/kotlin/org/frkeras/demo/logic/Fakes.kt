package org.frkeras.demo.logic

import java.io.File
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.ArrayDeque
import java.util.concurrent.Executor

internal val DIGITS = TensorType("in", listOf(1, 28, 28, 1), NumberType.FLOAT32)
internal val SCORES = TensorType("out", listOf(1, 3), NumberType.FLOAT32)

/** What a test runs when it wants to: work and answers wait until then. */
internal class Queue : Executor {
    private val waiting = ArrayDeque<Runnable>()

    override fun execute(command: Runnable) {
        waiting.add(command)
    }

    /** Runs the first that waits; false where there is none. */
    fun step(): Boolean {
        val next = waiting.poll() ?: return false
        next.run()
        return true
    }
}

/** Both threads of a screen, in the hands of a test. */
internal class Hands {
    val work = Queue()
    val main = Queue()
    val threads = Threads(work, main)

    fun all() {
        while (work.step() || main.step()) continue
    }
}

/** Gives [outputs] of inputs; refuses what is in [refused]. Counts what is open. */
internal class FakeEngine(
    private val input: TensorType = DIGITS,
    private val output: TensorType = SCORES,
    private val refused: Set<Accelerator> = emptySet(),
    private val outputs: (Accelerator, FloatArray) -> FloatArray = { _, _ ->
        floatArrayOf(0.1f, 0.7f, 0.2f)
    },
) : Engine {
    val opened = ArrayList<Pair<String, Accelerator>>()
    val inputs = ArrayList<FloatArray>()
    var open = 0
    override val version = "fake"

    override fun open(file: File, accelerator: Accelerator, threads: Int): Network {
        if (accelerator in refused) throw RefusedException("no $accelerator here")
        if (!file.exists()) throw IOException("no $file")
        opened += file.name to accelerator
        open++
        return FakeNetwork(accelerator)
    }

    private inner class FakeNetwork(private val accelerator: Accelerator) : Network {
        override val input = this@FakeEngine.input
        override val output = this@FakeEngine.output
        override val notes = emptyList<String>()

        override fun run(input: ByteBuffer, output: ByteBuffer) {
            // TFLite goes on from where a buffer is, and fails at its end.
            check(input.position() == 0 && output.position() == 0)
            val real = this.input.read(input)
            inputs += real
            this.output.write(outputs(accelerator, real), output)
        }

        override fun close() {
            open--
        }
    }
}

/** A bundled file with its content. */
internal fun model(
    name: String,
    task: Task = Task.DIGITS,
    form: Form = Form.FACTORED,
    content: ByteArray = name.toByteArray(),
    scale: Double = 1.0 / 255,
) = ModelFile(
    file = name,
    network = "network",
    task = task,
    form = form,
    bytes = content.size.toLong(),
    sha256 = sha256(content),
    reference = ROWS,
    labels = listOf("a", "b", "c"),
    normalization = Normalization(scale, 0.0),
)

private const val ROWS = "reference.rows"

/** Bundled files whose content is their name, and a reference of two rows with these outputs. */
internal fun files(folder: File, outputs: FloatArray = floatArrayOf(0.1f, 0.7f, 0.2f)) =
    Files(folder) { name ->
        if (name == ROWS) {
            rows(outputs).inputStream()
        } else {
            name.byteInputStream()
        }
    }

private fun rows(outputs: FloatArray): ByteArray {
    val buffer = ByteBuffer.allocate(2 * (DIGITS.bytes + SCORES.bytes))
    buffer.order(ByteOrder.LITTLE_ENDIAN)
    // The pixels of a row are its number.
    repeat(2) { row -> repeat(DIGITS.size) { buffer.putFloat(row.toFloat()) } }
    repeat(2) { outputs.forEach(buffer::putFloat) }
    return buffer.array()
}
