package org.frkeras.demo.logic

import java.io.File
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNotNull
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

class BenchmarkStateTest {
    @TempDir
    lateinit var folder: File
    private val hands = Hands()
    private val catalog = Catalog(listOf(model("one"), model("two")))
    private val device = Device("Some Phone", "arm64-v8a", "Android 15", 35, "chip", 8)

    private fun state(
        engine: FakeEngine,
        target: File? = folder,
        reference: FloatArray = floatArrayOf(0.1f, 0.7f, 0.2f),
    ): BenchmarkState {
        var now = 0L
        return BenchmarkState(catalog, target, hands.threads) { settings ->
            val files = files(File(folder, "cache"), reference)
            val memory = ProcessMemory(File(folder, "proc"))
            // Each look at the clock is 1 ms later.
            Measurement(engine, files, device, "test 1.0", settings, memory) {
                now += 1_000_000
                now
            }
        }
    }

    @Test
    fun `each file is measured on each accelerator`() {
        val state = state(FakeEngine(refused = setOf(Accelerator.NNAPI)))
        state.start(BenchmarkRequest(settings = Settings(warmup = 2, runs = 5)))
        assertTrue(state.isRunning)
        assertEquals(8, state.planned)
        hands.all()
        assertFalse(state.isRunning)
        assertEquals(8, state.results.size)
        val (cpu, _, gpu, nnapi) = state.results
        assertEquals(Times(5, 1000.0, 1000.0, 1000.0, 1000.0, 1000.0, 1000.0), cpu.times)
        assertEquals(listOf(1, 4, 4, 4), state.results.take(4).map { it.threads })
        assertEquals(Status.REFUSED, nnapi.status)
        assertEquals("no NNAPI here", nnapi.message)
        assertNull(nnapi.times)
        assertEquals(Agreement(2, 0.0, 0.0, null, 1.0), gpu.agreement["out"])
        assertEquals(listOf(1f, 1f, 1f, 0f), state.bars.take(4).map { it.share })
        assertNull(state.written)
    }

    @Test
    fun `agreement is with the bundled reference, on its rows`() {
        val engine = FakeEngine(outputs = { accelerator, _ ->
            val off = if (accelerator == Accelerator.GPU) 0.25f else 0f
            floatArrayOf(off, 1f, 0.5f)
        })
        val state = state(engine, reference = floatArrayOf(0f, 1f, 0.5f))
        val wanted = listOf(Accelerator.CPU, Accelerator.GPU)
        val settings = Settings(warmup = 0, runs = 1)
        state.start(BenchmarkRequest(listOf("one"), wanted, listOf(1), settings))
        hands.all()
        // Of each accelerator the first, a timed one, and both rows.
        assertEquals(listOf(0f, 0f, 0f, 1f, 0f, 0f, 0f, 1f), engine.inputs.map { it[9] })
        val (cpu, gpu) = state.results.map { checkNotNull(it.agreement["out"]) }
        assertEquals(0.0, cpu.largest)
        assertEquals(Agreement(2, 0.25, 0.25, null, 1.0), gpu)
        assertEquals(0, engine.open)
    }

    @Test
    fun `an intent measures without touch and leaves a file`() {
        val state = state(FakeEngine())
        state.start(
            mapOf(
                "files" to "two",
                "delegates" to "xnnpack, gpu",
                "threads" to "2, 3",
                "runs" to "3",
                "warmup" to "1",
                "output" to "out.json",
            ),
        )
        hands.all()
        assertEquals(listOf("two", "two", "two"), state.results.map { it.model.file })
        assertEquals(listOf(2, 3, 3), state.results.map { it.threads })
        assertEquals(3, state.results[0].times?.runs)
        val written = File(folder, "out.json")
        assertEquals(written, state.written)
        assertEquals(state.document, written.readText())
        val held = JsonParser.parse(written.readText()) as Map<*, *>
        assertEquals("fr-keras-benchmark", held["format"])
        assertEquals(3, (held["results"] as List<*>).size)
    }

    @Test
    fun `an intent that makes no sense is answered with a file that says so`() {
        val wrong = mapOf(
            "runs" to "many",
            "delegates" to "tpu",
            "files" to "three",
            "threads" to "0",
        )
        for ((name, value) in wrong) {
            val state = state(FakeEngine())
            state.start(mapOf(name to value, "output" to "$name.json"))
            assertNotNull(state.failure)
            assertFalse(state.isRunning)
            assertEquals("${state.failure}\n", File(folder, "$name.json.error").readText())
            assertFalse(File(folder, "$name.json").exists())
        }
    }

    @Test
    fun `a result file is no path`() {
        for (output in listOf("../out", "a/b", ".hidden", "")) {
            val state = state(FakeEngine())
            state.start(mapOf("output" to output))
            assertNotNull(state.failure)
        }
        assertEquals(emptyList<File>(), checkNotNull(folder.listFiles()).toList())
        assertThrows(IllegalArgumentException::class.java) {
            BenchmarkRequest.of(mapOf("output" to "a/b"))
        }
    }

    @Test
    fun `what is stopped keeps its results and says why`() {
        lateinit var state: BenchmarkState
        var inferences = 0
        val engine = FakeEngine(outputs = { _, _ ->
            // In the middle of the third file; the results of the first two have come.
            if (++inferences == 11) {
                while (hands.main.step()) continue
                state.stop("left")
            }
            floatArrayOf(0f, 1f, 0f)
        })
        state = state(engine)
        val extras = mapOf("output" to "out.json", "runs" to "1", "warmup" to "0")
        state.start(extras)
        hands.all()
        assertEquals("left", state.failure)
        assertFalse(state.isRunning)
        assertEquals(2, state.results.size)
        assertNotNull(state.document)
        assertEquals("left\n", File(folder, "out.json.error").readText())
        assertFalse(File(folder, "out.json").exists())
        state.start(BenchmarkRequest(listOf("one"), listOf(Accelerator.CPU), listOf(1)))
        hands.all()
        assertNull(state.failure)
        assertEquals(1, state.results.size)
    }

    @Test
    fun `what an earlier run left does not pass for a new one`() {
        val state = state(FakeEngine())
        val extras = mapOf("files" to "one", "output" to "out.json")
        state.start(extras)
        hands.all()
        assertTrue(File(folder, "out.json").exists())
        state.start(extras)
        state.stop("left")
        assertFalse(File(folder, "out.json").exists())
        assertTrue(File(folder, "out.json.error").exists())
        hands.all()
        state.start(extras)
        assertFalse(File(folder, "out.json.error").exists())
    }

    @Test
    fun `only one runs at a time`() {
        val state = state(FakeEngine())
        state.start(BenchmarkRequest())
        state.start(BenchmarkRequest(listOf("one")))
        assertEquals(8, state.planned)
        state.start(mapOf("files" to "one", "output" to "second.json"))
        val said = File(folder, "second.json.error").readText()
        assertEquals("Another benchmark is running\n", said)
        assertNull(state.failure)
        hands.all()
        assertEquals(8, state.results.size)
    }

    @Test
    fun `no storage is a failure after the results, not a crash`() {
        val state = state(FakeEngine(), target = null)
        state.start(mapOf("files" to "one", "output" to "out.json"))
        hands.all()
        assertEquals(4, state.results.size)
        assertEquals("There is no storage", state.failure)
    }

    @Test
    fun `memory is said where Linux allows to ask`() {
        val proc = File(folder, "proc")
        proc.mkdir()
        File(proc, "status").writeText("Name:\tapp\nVmHWM:\t  3000 kB\nVmRSS:\t  1000 kB\n")
        val memory = ProcessMemory(proc)
        assertEquals(2000L * 1024, memory.peak(memory.begin()))
        assertEquals("5", File(proc, "clear_refs").readText())
        assertNull(ProcessMemory(File(folder, "none")).begin())
        assertNull(memory.peak(null))
    }
}
