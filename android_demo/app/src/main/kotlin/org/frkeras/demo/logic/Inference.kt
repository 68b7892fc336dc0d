package org.frkeras.demo.logic

import java.io.IOException
import java.nio.ByteBuffer
import java.util.concurrent.Executor

/** Where a screen works, one piece at a time, and where it shows. */
class Threads(val work: Executor, val main: Executor)

/** The file and the accelerator that a screen uses. */
data class Choice(val model: ModelFile, val accelerator: Accelerator)

/**
 * How an inference went.
 *
 * @property ranOn What it ran on; not what was chosen where [fallback] says why.
 */
data class Report(
    val choice: Choice,
    val ranOn: Accelerator,
    val milliseconds: Double,
    val fallback: String?,
    val notes: List<String>,
)

/** A line of the sheet; without a time where the file did not run on the accelerator yet. */
data class Row(val model: ModelFile, val milliseconds: Double?, val isChosen: Boolean)

/** Real outputs of an inference, or why there are none. */
sealed class Outcome {
    class Done(val outputs: FloatArray, val type: TensorType, val report: Report) : Outcome()

    class Failed(val message: String) : Outcome()
}

/**
 * Runs one network of the files for a task, off the main thread. All is called on the main thread.
 *
 * @property models What can be chosen from; the first is chosen in the beginning.
 */
class Inference(
    private val engine: Engine,
    private val files: Files,
    private val threads: Threads,
    val models: List<ModelFile>,
    private val clock: () -> Long = System::nanoTime,
) {
    /** What the next inference uses. */
    var choice = Choice(models.first(), Accelerator.CPU)
        private set

    /** Only on the thread that works. */
    private var loaded: Loaded? = null
    private val times = HashMap<Choice, Double>()
    private var latest = 0

    /** Chooses a file and an accelerator. */
    fun choose(model: ModelFile, accelerator: Accelerator) {
        require(model in models) { "'${model.file}' is none of the files of this screen" }
        choice = Choice(model, accelerator)
    }

    /** The lines of the sheet for an accelerator. */
    fun rows(accelerator: Accelerator): List<Row> = models.map {
        Row(it, times[Choice(it, accelerator)], it == choice.model)
    }

    /**
     * Runs the network that is chosen.
     *
     * @param inputs Makes the inputs, on the thread that works.
     * @param done Gets the outcome on the main thread, unless another was asked for since.
     */
    fun infer(inputs: (ModelFile, TensorType) -> FloatArray, done: (Outcome) -> Unit) {
        val wanted = choice
        val number = ++latest
        threads.work.execute {
            val outcome = try {
                run(wanted, inputs)
            } catch (error: RefusedException) {
                Outcome.Failed(error.message.orEmpty())
            } catch (error: IOException) {
                Outcome.Failed(error.message.orEmpty())
            } catch (error: IllegalArgumentException) {
                Outcome.Failed(error.message.orEmpty())
            } catch (_: OutOfMemoryError) {
                closeLoaded()
                Outcome.Failed("There is not enough memory for '${wanted.model.file}'")
            }
            threads.main.execute {
                if (outcome is Outcome.Done && outcome.report.fallback == null) {
                    times[wanted] = outcome.report.milliseconds
                }
                if (number == latest) done(outcome)
            }
        }
    }

    /** Forgets what was asked for; nothing of it is answered. */
    fun cancel() {
        latest++
    }

    /** Closes the network, until it is used again: for when memory is low or the app is away. */
    fun release() {
        threads.work.execute(::closeLoaded)
    }

    private fun run(wanted: Choice, inputs: (ModelFile, TensorType) -> FloatArray): Outcome {
        val ready = loaded?.takeIf { it.choice == wanted } ?: load(wanted)
        ready.network.input.write(inputs(wanted.model, ready.network.input), ready.input)
        ready.output.clear()
        val begin = clock()
        ready.network.run(ready.input, ready.output)
        val milliseconds = (clock() - begin) / NANOSECONDS
        return Outcome.Done(
            ready.network.output.read(ready.output),
            ready.network.output,
            Report(
                wanted,
                ready.opened.accelerator,
                milliseconds,
                ready.opened.fallback,
                ready.network.notes,
            ),
        )
    }

    private fun load(wanted: Choice): Loaded {
        closeLoaded()
        val file = files.flatbuffer(wanted.model)
        return owning { resources ->
            val opened = engine.openOrFallBack(file, wanted.accelerator, THREADS)
            resources.add(opened.network)
            Loaded(wanted, opened).also { loaded = it }
        }
    }

    private fun closeLoaded() {
        val old = loaded
        loaded = null // also if it does not close
        old?.network?.close()
    }

    private class Loaded(val choice: Choice, val opened: Opened) {
        val network = opened.network
        val input: ByteBuffer = network.input.buffer()
        val output: ByteBuffer = network.output.buffer()
    }

    private companion object {
        const val THREADS = 2
        const val NANOSECONDS = 1e6
    }
}
