package org.frkeras.demo.logic

import java.io.File
import java.io.IOException
import java.nio.ByteBuffer
import java.util.Random

/** How a benchmark measures. */
data class Settings(
    val threads: Int = 2,
    val warmup: Int = 3,
    val runs: Int = 30,
    val rows: Int = 4,
) {
    init {
        require(threads in 1..64) { "There must be 1 to 64 threads, not $threads" }
        require(warmup in 1..10_000) { "There must be 1 to 10,000 runs to warm up, not $warmup" }
        require(runs in 1..10_000) { "There must be 1 to 10,000 runs, not $runs" }
        require(rows in 1..1000) { "There must be 1 to 1,000 rows, not $rows" }
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
    private var reference: Pair<ModelFile, List<FloatArray>?>? = null

    /** Measures one file; what refuses or fails is a result that says so. */
    fun measure(model: ModelFile, accelerator: Accelerator): Result {
        var sha256 = model.sha256
        return try {
            val file = files.flatbuffer(model)
            sha256 = sha256(file.readBytes())
            val expected = expected(model, file)
            val before = memory.begin()
            val begin = clock()
            engine.open(file, accelerator, threads(accelerator) ?: 1).use { network ->
                val init = microseconds(begin)
                measured(network, result(model, accelerator, sha256), init, before, expected)
            }
        } catch (error: RefusedException) {
            result(model, accelerator, sha256, Status.REFUSED, error.message)
        } catch (error: IOException) {
            result(model, accelerator, sha256, Status.FAILED, error.message)
        } catch (error: IllegalArgumentException) {
            result(model, accelerator, sha256, Status.FAILED, error.message)
        } catch (_: OutOfMemoryError) {
            result(model, accelerator, sha256, Status.FAILED, "There is not enough memory")
        }
    }

    private fun measured(
        network: Network,
        result: Result,
        initUs: Double,
        before: Long?,
        expected: List<FloatArray>?,
    ): Result {
        val input = network.input.buffer()
        val output = network.output.buffer()
        network.input.write(rows(network.input).first(), input)
        val firstUs = timed(network, input, output)
        repeat(settings.warmup - 1) { timed(network, input, output) }
        val times = DoubleArray(settings.runs) { timed(network, input, output) }
        val peak = memory.peak(before)
        val agreement = expected?.let {
            mapOf(network.output.name to Agreement.of(outputs(network), it, network.output))
        }
        return result.copy(
            times = Times.of(initUs, firstUs, times),
            peakMemoryBytes = peak,
            agreement = agreement.orEmpty(),
            notes = network.notes + if (expected == null) NO_REFERENCE else REFERENCE,
        )
    }

    private fun result(
        model: ModelFile,
        accelerator: Accelerator,
        sha256: String,
        status: Status = Status.DONE,
        message: String? = null,
    ) = Result(
        model = model,
        sha256 = sha256,
        device = device,
        tool = tool,
        accelerator = accelerator,
        status = status,
        threads = threads(accelerator),
        message = message,
    )

    /** The outputs of the CPU reference; `null` where it does not run the file. */
    private fun expected(model: ModelFile, file: File): List<FloatArray>? {
        reference?.let { (known, outputs) -> if (known == model) return outputs }
        val outputs = try {
            engine.open(file, Accelerator.REFERENCE, 1).use(::outputs)
        } catch (_: RefusedException) {
            null
        }
        reference = model to outputs
        return outputs
    }

    private fun outputs(network: Network): List<FloatArray> {
        val input = network.input.buffer()
        val output = network.output.buffer()
        return rows(network.input).map { row ->
            network.input.write(row, input)
            output.clear()
            network.run(input, output)
            network.output.read(output)
        }
    }

    /** Inputs from 0 to 1, the same at each call. */
    private fun rows(type: TensorType): List<FloatArray> {
        val random = Random(0)
        return List(settings.rows) { FloatArray(type.size) { random.nextFloat() } }
    }

    private fun timed(network: Network, input: ByteBuffer, output: ByteBuffer): Double {
        input.rewind()
        output.clear()
        val begin = clock()
        network.run(input, output)
        return microseconds(begin)
    }

    private fun microseconds(begin: Long) = (clock() - begin) / NANOSECONDS

    private fun threads(accelerator: Accelerator): Int? = when (accelerator) {
        Accelerator.REFERENCE, Accelerator.CPU -> settings.threads
        Accelerator.GPU, Accelerator.NNAPI -> null
    }

    private companion object {
        const val NANOSECONDS = 1e3
        const val REFERENCE = "agreement is with TFLite's CPU kernels without XNNPACK on this phone"
        const val NO_REFERENCE = "TFLite's CPU kernels without XNNPACK do not run this file"
    }
}
