package org.frkeras.demo.logic

import org.frkeras.scheduler.Capacity

/** What a network is for. */
enum class Task { DIGITS, SEGMENTATION }

/** How a network is packed: what the sheet of a screen lets one choose from. */
enum class Form { DENSE, FACTORED, ARCHIVE }

/** Pixels from 0 to 255 become inputs as `pixel * scale + offset`; the file's metadata says so. */
data class Normalization(val scale: Double, val offset: Double)

/**
 * A bundled file, or one network of a bundled archive of several.
 *
 * @property network Files of one network compute the same.
 * @property sha256 Of the file itself; of an archive, what it expands to is cached by it.
 * @property reference The file with what its outputs are compared with; see [Reference].
 * @property labels Of classes, in the order of the outputs.
 * @property share Which network of an archive of several this is: what it costs beside the largest;
 *   `null` for a file of one.
 */
data class ModelFile(
    val file: String,
    val network: String,
    val task: Task,
    val form: Form,
    val bytes: Long,
    val sha256: String,
    val reference: String,
    val labels: List<String>,
    val normalization: Normalization,
    val share: Double? = null,
)

/**
 * The bundled files, of the index that `tools/android/models.py` writes.
 *
 * @property nested Networks of several capacities, which are not among [files].
 */
class Catalog(val files: List<ModelFile>, val nested: List<NestedFiles> = emptyList()) {
    /** The files for a task. */
    fun of(task: Task): List<ModelFile> = files.filter { it.task == task }

    /**
     * The files of these names, in this order; all for an empty list.
     *
     * @throws IllegalArgumentException If there is no such file.
     */
    fun named(names: List<String>): List<ModelFile> =
        if (names.isEmpty()) {
            files
        } else {
            names.map { name ->
                requireNotNull(files.find { it.file == name }) {
                    "There is no bundled file '$name', only ${files.joinToString { it.file }}"
                }
            }
        }

    companion object {
        private const val FORMAT = "fr-keras-models"
        private const val VERSION = 1.0

        /** @throws IllegalArgumentException If [text] is no index of this version. */
        fun parse(text: String): Catalog {
            val held = JsonParser.parse(text) as? Map<*, *>
            require(held != null && held["format"] == FORMAT && held["version"] == VERSION) {
                "The index of the models must be $FORMAT of version 1"
            }
            return Catalog(entries(held["files"]), (held["nested"] as List<*>).map(::nested))
        }

        private fun entries(held: Any?) = (held as List<*>).map { entry(it as Map<*, *>) }

        private fun nested(held: Any?): NestedFiles {
            val found = held as Map<*, *>
            val capacities = (found["capacities"] as List<*>).map { one ->
                val profile = (one as Map<*, *>)["profile"] as Map<*, *>
                Capacity(
                    profile["accuracy"] as Double,
                    (profile["memory"] as Double).toLong(),
                    profile["latency_ms"] as Double,
                )
            }
            val (name, title) = listOf("network", "title").map { found[it] as String }
            return NestedFiles(
                NestedNetwork(name, title, capacities),
                entries(found["capacities"]),
            )
        }

        private fun entry(held: Map<*, *>): ModelFile {
            val normalization = held["normalization"] as Map<*, *>
            return ModelFile(
                file = held["file"] as String,
                network = held["network"] as String,
                task = Task.valueOf((held["task"] as String).uppercase()),
                form = Form.valueOf((held["form"] as String).uppercase()),
                bytes = (held["bytes"] as Double).toLong(),
                sha256 = held["sha256"] as String,
                reference = held["reference"] as String,
                labels = (held["labels"] as List<*>).map { it as String },
                normalization = Normalization(
                    normalization["scale"] as Double,
                    normalization["offset"] as Double,
                ),
                share = held["share"] as Double?,
            )
        }
    }
}
