package org.frkeras.demo.logic

import java.io.File
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Assumptions.assumeTrue
import org.junit.jupiter.api.Test

/** Against what Python makes of the same images: the values of `tools/android/app_corpus.py`. */
class PythonTest {
    private val cases: Map<*, *> by lazy {
        val file = File(System.getProperty("app.corpus") ?: "corpus", "cases.json")
        assumeTrue(file.exists(), "There is no '$file' to compare with: run `make android`")
        JsonParser.parse(file.readText()) as Map<*, *>
    }

    private fun all(name: String) = (cases[name] as List<*>).map { it as Map<*, *> }

    @Test
    fun `pictures become what TensorFlow makes of them`() {
        for (case in all("pictures")) {
            val width = case.whole("width")
            val height = case.whole("height")
            val colors = case.numbers("colors").map { it.toLong().toInt() }.toIntArray()
            for ((side, wanted) in case["resized"] as Map<*, *>) {
                val to = (side as String).toInt()
                val found = GrayPicture.of(width, height, colors).square().resized(to, to)
                // float32 sums over up to 121 pixels of 255.
                assertArrayEquals(floats(wanted), found.pixels, 1e-2f, "$width x $height to $to")
            }
        }
    }

    @Test
    fun `strokes become what numpy makes of them`() {
        for (case in all("drawings")) {
            val strokes = (case["strokes"] as List<*>).map { stroke ->
                floats(stroke).toList().chunked(2) { (x, y) -> Point(x, y) }
            }
            // A pixel that the ink's edge crosses changes by 255 for each pixel of distance, and
            // the points of the reference are a few thousandths of one apart.
            val found = Drawing(strokes).picture().pixels
            assertArrayEquals(floats(case["pixels"]), found, 0.5f)
        }
    }

    @Test
    fun `real values become the numbers of a file, and its outputs real values`() {
        val tensors = all("tensors")
        assertTrue(tensors.size >= 5)
        for (case in tensors) {
            val input = tensor(case["input"] as Map<*, *>)
            val buffer = input.buffer()
            input.write(floats(case["real"]), buffer)
            val own = input.copy(scale = 1f, zeroPoint = 0)
            assertArrayEquals(floats(case["own"]), own.read(buffer), "${case["file"]}")
            val output = tensor(case["output"] as Map<*, *>)
            val numbers = output.buffer()
            output.copy(scale = 1f, zeroPoint = 0).write(floats(case["raw"]), numbers)
            val values = output.read(numbers)
            assertArrayEquals(floats(case["values"]), values, "${case["file"]}")
            val classes = case.numbers("classes").map { it.toInt() }.toIntArray()
            assertArrayEquals(classes, classesOf(values, output.shape.last()))
        }
    }

    @Test
    fun `outputs agree as fr-keras benchmark says`() {
        for (case in all("agreements")) {
            val step = case["step"] as Double?
            val type = TensorType(
                "out",
                listOf(1, 2, 4),
                if (step == null) NumberType.FLOAT32 else NumberType.INT8,
                (step ?: 0.0).toFloat(),
            )
            val found = (case["found"] as List<*>).map(::floats)
            val said = Agreement.of(found, (case["expected"] as List<*>).map(::floats), type)
            assertEquals(case["largest"] as Double, said.largest, 1e-12)
            assertEquals(case["relative"] as Double, said.relative, 1e-6)
            assertEquals(case["steps"], said.steps)
            assertEquals(case["argmax"] as Double, checkNotNull(said.argmax), 1e-12)
        }
    }

    @Test
    fun `percentiles are those of numpy`() {
        for (case in all("percentiles")) {
            val values = case.numbers("values").toDoubleArray()
            val times = Times.of(0.0, 0.0, values)
            assertEquals(case["p5"] as Double, times.p5Us, 1e-9)
            assertEquals(case["p50"] as Double, times.medianUs, 1e-9)
            assertEquals(case["p95"] as Double, times.p95Us, 1e-9)
            assertEquals(case["mean"] as Double, times.meanUs, 1e-9)
        }
    }

    @Test
    fun `intents of fr-keras benchmark ask for what it means`() {
        val cases = all("intents")
        assertEquals(Accelerator.entries.size, cases.size)
        for (case in cases) {
            val extras = (case["extras"] as Map<*, *>).entries
                .associate { it.key as String to it.value as String }
            assertTrue(BenchmarkRequest.EXTRAS.containsAll(extras.keys))
            val meant = BenchmarkRequest(
                files = listOf(case["file"] as String),
                accelerators = listOf(Accelerator.named(case["delegate"] as String)),
                threads = listOf(case.whole("threads")),
                settings = Settings(warmup = case.whole("warmup"), runs = case.whole("runs")),
                output = case["output"] as String,
            )
            assertEquals(meant, BenchmarkRequest.of(extras))
        }
    }

    /** Python then reads it: `tools/android/app.py` gives it to `fr_bench.benchmark.result`. */
    @Test
    fun `a result file is left for Python`() {
        val target = System.getProperty("app.results")
        assumeTrue(target != null, "Nobody reads a result file: run `make android`")
        val device = Device("A \"Phone\"\n", "arm64-v8a", "Android 15", 35, "chip", 8)
        val times = Times(3, 1.5, 2.0, 1e-5, 1e7, 0.1, 3.0)
        val done = Result(
            model = model("digits.fr", form = Form.ARCHIVE),
            sha256 = "0".repeat(64),
            device = device,
            tool = "test",
            accelerator = Accelerator.CPU,
            status = Status.DONE,
            threads = 2,
            notes = listOf("a note"),
            times = times,
            peakMemoryBytes = 4096,
            agreement = mapOf("out" to Agreement(4, 0.5, 0.25, 2.0, 1.0)),
        )
        val refused = done.copy(
            accelerator = Accelerator.GPU,
            status = Status.REFUSED,
            message = "no",
            notes = emptyList(),
            times = null,
            peakMemoryBytes = null,
            agreement = emptyMap(),
        )
        File(checkNotNull(target)).writeText(document(listOf(done, refused)))
    }

    private fun tensor(held: Map<*, *>) = TensorType(
        "tensor",
        held.numbers("shape").map { it.toInt() },
        NumberType.valueOf((held["type"] as String).uppercase()),
        (held["scale"] as Double).toFloat(),
        held.whole("zero_point"),
    )

    private fun Map<*, *>.numbers(name: String) = (this[name] as List<*>).map { it as Double }

    private fun Map<*, *>.whole(name: String) = (this[name] as Double).toInt()

    private fun floats(held: Any?) =
        (held as List<*>).map { (it as Double).toFloat() }.toFloatArray()
}
