package org.frkeras.demo.logic

import java.io.File
import java.io.IOException
import java.nio.ByteBuffer

/** How often a benchmark runs each file. */
data class Settings(val warmup: Int = 3, val runs: Int = 30) {
    init {
        require(warmup in 0..10_000) { "There must be 0 to 10,000 runs to warm up, not $warmup" }
        require(runs in 1..10_000) { "There must be 1 to 10,000 runs, not $runs" }
    }
}

/** Growth of this process, as Linux counts it. */
class ProcessMemory(private val folder: File = File("/proc/self")) {
    /** Begins to watch; gives what [peak] needs, or `null` where the system does not allow it. */
    fun begin(): Long? = try {
        File(folder, "clear_refs").writeText(RESET_PEAK)
        kilobytes("VmRSS")
    } catch (_: IOException) {
        null
    }

    /** The most bytes that came on top since [begin] gave [before]. */
    fun peak(before: Long?): Long? {
        val most = try {
            kilobytes("VmHWM")
        } catch (_: IOException) {
            null
        }
        return if (before == null || most == null) null else maxOf(0, most - before) * KILOBYTE
    }

    private fun kilobytes(field: String): Long? =
        File(folder, "status").readLines().find { it.startsWith("$field:") }
            ?.filter { it.isDigit() }?.toLongOrNull()

    private companion object {
        const val RESET_PEAK = "5"
        const val KILOBYTE = 1024
    }
}

/** Measures files on this phone, one after the other, on the thread that calls. */
class Measurement(
    private val engine: Engine,
    private val files: Files,
    private val device: Device,
    private val tool: String,
    private val settings: Settings,
    private val memory: ProcessMemory = ProcessMemory(),
    private val clock: () -> Long = System::nanoTime,
) {
    /** Measures one file; what refuses or fails is a result that says so. */
    fun measure(model: ModelFile, accelerator: Accelerator, threads: Int): Result {
        var sha256 = model.sha256
        fun result(status: Status, message: String? = null) =
            Result(model, sha256, device, tool, accelerator, status, threads, message)
        return try {
            val file = files.flatbuffer(model)
            sha256 = sha256(file.readBytes())
            val reference = files.reference(model)
            val before = memory.begin()
            val begin = clock()
            engine.open(file, accelerator, threads).use { network ->
                val init = microseconds(begin)
                measured(network, result(Status.DONE), init, before, reference)
            }
        } catch (error: RefusedException) {
            result(Status.REFUSED, error.message)
        } catch (error: IOException) {
            result(Status.FAILED, error.message)
        } catch (error: IllegalArgumentException) {
            result(Status.FAILED, error.message)
        } catch (_: OutOfMemoryError) {
            result(Status.FAILED, "There is not enough memory")
        }
    }

    private fun measured(
        network: Network,
        result: Result,
        initUs: Double,
        before: Long?,
        reference: Reference,
    ): Result {
        val input = network.input.buffer()
        val output = network.output.buffer()
        reference.input(0, network.input, input)
        val firstUs = timed(network, input, output)
        repeat(settings.warmup) { timed(network, input, output) }
        val times = DoubleArray(settings.runs) { timed(network, input, output) }
        val peak = memory.peak(before)
        val expected = reference.outputs(network.input, network.output)
        val found = List(expected.size) { row ->
            reference.input(row, network.input, input)
            output.clear()
            network.run(input, output)
            network.output.read(output)
        }
        val agreement = Agreement.of(found, expected, network.output)
        return result.copy(
            times = Times.of(initUs, firstUs, times),
            peakMemoryBytes = peak,
            agreement = mapOf(network.output.name to agreement),
            notes = network.notes,
        )
    }

    private fun timed(network: Network, input: ByteBuffer, output: ByteBuffer): Double {
        input.rewind()
        output.clear()
        val begin = clock()
        network.run(input, output)
        return microseconds(begin)
    }

    private fun microseconds(begin: Long) = (clock() - begin) / NANOSECONDS

    private companion object {
        const val NANOSECONDS = 1e3
    }
}
