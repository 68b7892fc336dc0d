package org.frkeras.demo.logic

import java.io.File
import java.io.IOException

/**
 * What to measure, by touch or by an intent.
 *
 * @property threads Numbers of threads for the CPU. GPU and NNAPI are measured once, with the
 *   largest of them for the ops that stay on the CPU.
 * @property output Name of the result file that is written when all is done.
 */
data class BenchmarkRequest(
    val files: List<String> = emptyList(),
    val accelerators: List<Accelerator> = listOf(
        Accelerator.CPU,
        Accelerator.GPU,
        Accelerator.NNAPI,
    ),
    val threads: List<Int> = listOf(1, 4),
    val settings: Settings = Settings(),
    val output: String? = null,
) {
    init {
        require(threads.isNotEmpty() && threads.all { it in 1..64 }) {
            "There must be 1 to 64 threads, not ${threads.joinToString()}"
        }
    }

    /** What there is to measure of these files, in order. */
    fun plan(files: List<ModelFile>): List<Case> = files.flatMap { file ->
        accelerators.flatMap { accelerator ->
            val onCpu = accelerator == Accelerator.NONE || accelerator == Accelerator.CPU
            val numbers = if (onCpu) threads else listOf(threads.max())
            numbers.map { Case(file, accelerator, it) }
        }
    }

    companion object {
        private val NAME = Regex("[A-Za-z0-9_-][A-Za-z0-9._-]*")

        /** Whether a result file may be called so. */
        fun isFileName(name: String): Boolean = NAME.matches(name)

        /**
         * Of the extras of an intent: lists with commas between, and numbers.
         *
         * @throws IllegalArgumentException If one of them is none that can be measured.
         */
        fun of(extras: Map<String, String>): BenchmarkRequest {
            val usual = Settings()
            fun number(name: String, text: String) = requireNotNull(text.toIntOrNull()) {
                "'$name' must be a number, not '$text'"
            }
            fun number(name: String, otherwise: Int) =
                extras[name]?.let { number(name, it) } ?: otherwise
            val output = extras["output"]
            require(output == null || isFileName(output)) {
                "'output' must be the name of a file, of letters, digits and '._-', not '$output'"
            }
            return BenchmarkRequest(
                files = names(extras["files"]),
                accelerators = names(extras["delegates"]).map(Accelerator::named)
                    .ifEmpty { BenchmarkRequest().accelerators },
                threads = names(extras["threads"]).map { number("threads", it) }
                    .ifEmpty { BenchmarkRequest().threads },
                settings = Settings(
                    warmup = number("warmup", usual.warmup),
                    runs = number("runs", usual.runs),
                ),
                output = output,
            )
        }

        /** The extras that [of] knows. */
        val EXTRAS = listOf("files", "delegates", "threads", "warmup", "runs", "output")

        private fun names(list: String?) =
            list.orEmpty().split(",").map { it.trim() }.filter { it.isNotEmpty() }
    }
}

/** A measurement to make. */
data class Case(val model: ModelFile, val accelerator: Accelerator, val threads: Int)

/** A bar of the chart: [share] is 1 for the slowest. */
data class Bar(val result: Result, val share: Float)

/**
 * The screen *Benchmark*. All but the measuring is on the main thread.
 *
 * @property folder Where result files go.
 * @property measurement Makes what measures with some settings.
 */
class BenchmarkState(
    private val catalog: Catalog,
    private val folder: File?,
    private val threads: Threads,
    private val measurement: (Settings) -> Measurement,
) {
    /** Is called after each change; set while there is somebody to show it. */
    var changed: () -> Unit = {}

    var results: List<Result> = emptyList()
        private set

    /** How many results there will be; 0 before a benchmark. */
    var planned = 0
        private set

    var isRunning = false
        private set

    /** Whether anything was asked for, possible or not. */
    val hasBegun: Boolean get() = planned > 0 || failure != null

    /** Why it ended before its end. */
    var failure: String? = null
        private set

    /** The result file that was written last. */
    var written: File? = null
        private set

    /** The number of the run; one that was stopped reads it on the thread that works. */
    @Volatile
    private var latest = 0

    private var outputOfRun: String? = null

    /** The results as text, for `fr-keras report`; `null` without any. */
    val document: String? get() = results.takeIf { it.isNotEmpty() }?.let(::document)

    /** The medians beside the slowest. */
    val bars: List<Bar>
        get() {
            val times = results.map { it.times?.medianUs ?: 0.0 }
            val slowest = times.maxOrNull() ?: 0.0
            return results.zip(times) { result, time ->
                Bar(result, if (slowest > 0) (time / slowest).toFloat() else 0f)
            }
        }

    /** Begins a benchmark of the extras of an intent; what is wrong with them is the failure. */
    fun start(extras: Map<String, String>) {
        val output = extras["output"]?.takeIf(BenchmarkRequest::isFileName)
        if (isRunning) {
            // Who waits for a file must not wait for ever.
            if (output != null) write(error(output), "Another benchmark is running\n")
            return
        }
        try {
            start(BenchmarkRequest.of(extras))
        } catch (error: IllegalArgumentException) {
            failed(error.message.orEmpty(), output)
        }
    }

    /**
     * Begins a benchmark, unless one is running.
     *
     * @throws IllegalArgumentException If a file is none of the bundled ones.
     */
    fun start(request: BenchmarkRequest) {
        if (isRunning) return
        val files = catalog.named(request.files)
        val plan = request.plan(files)
        val measuring = measurement(request.settings)
        val number = ++latest
        results = emptyList()
        planned = plan.size
        isRunning = true
        failure = null
        written = null
        outputOfRun = request.output
        request.output?.let(::forget)
        changed()
        threads.work.execute {
            for ((model, accelerator, threadCount) in plan) {
                if (number != latest) return@execute
                val result = measuring.measure(model, accelerator, threadCount)
                threads.main.execute { if (number == latest) add(result) }
            }
            threads.main.execute { if (number == latest) end(request.output) }
        }
    }

    /** Does not begin what the extras of an intent ask for. */
    fun refuse(extras: Map<String, String>, why: String) =
        failed(why, extras["output"]?.takeIf(BenchmarkRequest::isFileName))

    /** Stops after the file that is being measured; what there is stays. */
    fun stop(why: String) {
        if (!isRunning) return
        latest++
        isRunning = false
        failed(why, outputOfRun)
    }

    private fun add(result: Result) {
        results = results + result
        changed()
    }

    private fun end(output: String?) {
        isRunning = false
        if (output != null) written = write(output, document(results))
        changed()
    }

    /** Who waits for a result file finds one that says why there is none. */
    private fun failed(why: String, output: String?) {
        failure = why
        if (output != null) write(error(output), why + "\n")
        changed()
    }

    /** Who waits for a file must not find that of an earlier run. */
    private fun forget(output: String) {
        if (folder == null) return
        File(folder, output).delete()
        File(folder, error(output)).delete()
    }

    private fun error(output: String) = "$output.error"

    /** Returns the file; where it cannot be written, that is the failure. */
    private fun write(name: String, text: String): File? {
        return try {
            val target = File(folder ?: throw IOException("There is no storage"), name)
            // Whole or not at all, for somebody waits for it.
            val partial = File(folder, "$name.partial")
            partial.writeText(text)
            if (!partial.renameTo(target)) throw IOException("'$name' cannot be written")
            target
        } catch (error: IOException) {
            failure = error.message
            null
        }
    }
}
