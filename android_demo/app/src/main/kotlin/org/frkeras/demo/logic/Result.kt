package org.frkeras.demo.logic

/** A phone, as results tell it: no serial numbers. */
data class Device(
    val name: String,
    val abi: String,
    val os: String,
    val api: Int,
    val soc: String,
    val cores: Int,
) {
    internal fun toMap() = linkedMapOf(
        "name" to name,
        "abi" to abi,
        "os" to os,
        "api" to api,
        "soc" to soc,
        "cores" to cores,
    )
}

/** How a measurement ended, by the names of results. */
enum class Status { DONE, REFUSED, FAILED }

/**
 * One file on this phone with one delegate: the `Result` of `fr_bench.benchmark`, in its format.
 *
 * @property sha256 Of the flatbuffer that ran.
 * @property message Why it was refused or failed.
 * @property agreement By the name of the output.
 */
data class Result(
    val model: ModelFile,
    val sha256: String,
    val device: Device,
    val tool: String,
    val accelerator: Accelerator,
    val status: Status,
    val threads: Int,
    val message: String? = null,
    val notes: List<String> = emptyList(),
    val times: Times? = null,
    val peakMemoryBytes: Long? = null,
    val agreement: Map<String, Agreement> = emptyMap(),
) {
    internal fun toMap(): Map<String, Any?> = linkedMapOf(
        "file" to model.file,
        "bytes" to model.bytes,
        "sha256" to sha256,
        "target" to "android",
        "device" to device.toMap(),
        "tool" to tool,
        "delegate" to accelerator.delegate,
        "status" to status.name.lowercase(),
        "threads" to threads,
        "precision" to if (accelerator == Accelerator.GPU) "float16" else null,
        "message" to message,
        "notes" to notes.takeIf { it.isNotEmpty() },
        "times" to times?.toMap(),
        "peak_memory_bytes" to peakMemoryBytes,
        "agreement" to agreement.takeIf { it.isNotEmpty() }?.mapValues { it.value.toMap() },
    ).filterValues { it != null }
}

/** What a result file holds, for `fr-keras report`. */
fun document(results: List<Result>): String = toJson(
    linkedMapOf(
        "format" to "fr-keras-benchmark",
        "version" to 1,
        "results" to results.map { it.toMap() },
    ),
) + "\n"

private fun Times.toMap() = linkedMapOf(
    "runs" to runs,
    "init_us" to initUs,
    "first_us" to firstUs,
    "mean_us" to meanUs,
    "median_us" to medianUs,
    "p5_us" to p5Us,
    "p95_us" to p95Us,
)

private fun Agreement.toMap() = linkedMapOf(
    "rows" to rows,
    "largest" to largest,
    "relative" to relative,
    "steps" to steps,
    "argmax" to argmax,
).filterValues { it != null }
