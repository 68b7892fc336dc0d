package org.frkeras.demo

import android.app.Application
import android.os.Build
import android.os.Handler
import android.os.Looper
import java.io.File
import java.util.concurrent.Executor
import java.util.concurrent.Executors
import java.util.concurrent.TimeUnit
import org.frkeras.demo.logic.BenchmarkState
import org.frkeras.demo.logic.BundledCapacities
import org.frkeras.demo.logic.Catalog
import org.frkeras.demo.logic.Crew
import org.frkeras.demo.logic.Device
import org.frkeras.demo.logic.DrawState
import org.frkeras.demo.logic.Engine
import org.frkeras.demo.logic.Files
import org.frkeras.demo.logic.Inference
import org.frkeras.demo.logic.Measurement
import org.frkeras.demo.logic.SegmentState
import org.frkeras.demo.logic.Task
import org.frkeras.demo.logic.Threads
import org.frkeras.demo.logic.TogetherState

/** What the screens are made of. One thread runs networks: nothing runs beside a measurement. */
open class DemoApplication : Application() {
    /** Tests have another. */
    protected open val engine: Engine = TfliteEngine()
    private val files by lazy { Files(File(cacheDir, "flatbuffers")) { assets.open("models/$it") } }
    private val catalog by lazy {
        Catalog.parse(assets.open("models/index.json").bufferedReader().use { it.readText() })
    }

    private val worker by lazy { Executors.newSingleThreadScheduledExecutor() }

    val threads: Threads by lazy {
        val main = Handler(Looper.getMainLooper())
        Threads(worker, Executor { main.post(it) })
    }

    /** Loads networks of *Together* while others run. */
    private val crew by lazy {
        Crew(threads, Executors.newSingleThreadExecutor()) { seconds, work ->
            worker.schedule(work, (seconds * NANOSECONDS).toLong(), TimeUnit.NANOSECONDS)
        }
    }

    fun drawState() = DrawState(inference(Task.DIGITS))

    fun segmentState() = SegmentState(inference(Task.SEGMENTATION))

    fun togetherState() = TogetherState(BundledCapacities(catalog.nested, files), engine, crew)

    fun benchmarkState(): BenchmarkState {
        val tool by lazy { "$packageName ${versionName()}, ${engine.version}" }
        // The one folder of an app that adb's shell reads on every Android.
        @Suppress("DEPRECATION")
        val folder = externalMediaDirs.firstOrNull()
        return BenchmarkState(catalog, folder, threads) { settings ->
            Measurement(engine, files, device(), tool, settings)
        }
    }

    private fun inference(task: Task) = Inference(engine, files, threads, catalog.of(task))

    private fun versionName() = packageManager.getPackageInfo(packageName, 0).versionName

    private fun device(): Device {
        val soc = if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.S) {
            "${Build.SOC_MANUFACTURER} ${Build.SOC_MODEL}"
        } else {
            Build.HARDWARE
        }
        return Device(
            name = "${Build.MANUFACTURER} ${Build.MODEL}",
            abi = Build.SUPPORTED_ABIS.first(),
            os = "Android ${Build.VERSION.RELEASE}",
            api = Build.VERSION.SDK_INT,
            soc = soc,
            cores = Runtime.getRuntime().availableProcessors(),
        )
    }

    private companion object {
        const val NANOSECONDS = 1e9
    }
}
