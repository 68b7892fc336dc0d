package org.frkeras.demo

import android.app.Activity
import android.app.KeyguardManager
import android.content.ActivityNotFoundException
import android.content.Intent
import android.net.Uri
import android.os.Bundle
import android.text.format.Formatter
import android.view.View
import android.view.WindowManager
import android.widget.LinearLayout
import android.widget.ProgressBar
import android.widget.TextView
import java.io.IOException
import org.frkeras.demo.logic.Bar
import org.frkeras.demo.logic.BenchmarkRequest
import org.frkeras.demo.logic.BenchmarkState
import org.frkeras.demo.logic.Result

private const val EXPORT = 1
private const val FILE_NAME = "benchmark.json"

/**
 * Shows a [BenchmarkState]. An intent with extras starts it without touch:
 *
 *     am start -n org.frkeras.demo/.BenchmarkActivity --es output r.json --es delegates xnnpack,gpu
 */
class BenchmarkActivity : Activity() {
    private lateinit var state: BenchmarkState

    /** Waits until the screen is drawn, which takes time and memory of its own. */
    private var asked: Intent? = null

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        val kept = lastNonConfigurationInstance as BenchmarkState?
        state = kept ?: (application as DemoApplication).benchmarkState()
        setContentView(R.layout.benchmark)
        // The screen that goes dark would end a measurement.
        window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
        find<View>(R.id.start).setOnClickListener { state.start(BenchmarkRequest()) }
        find<View>(R.id.stop).setOnClickListener {
            state.stop(getString(R.string.stopped))
        }
        find<View>(R.id.export).setOnClickListener { export() }
        state.changed = ::show
        // Not after the end of the process, and after a rotation only if it did not begin yet.
        val isAsked = kept != null || savedInstanceState == null
        if (isAsked && !state.hasBegun && extras(intent).isNotEmpty()) asked = intent
        show()
    }

    /** The screen is there already when another intent comes. */
    override fun onNewIntent(intent: Intent) {
        super.onNewIntent(intent)
        startBy(intent)
    }

    override fun onStart() {
        super.onStart()
        // Behind a locked screen it would wait for ever.
        val guard = getSystemService(KeyguardManager::class.java)
        if (guard?.isKeyguardLocked == true) refuse(R.string.locked)
    }

    override fun onWindowFocusChanged(hasFocus: Boolean) {
        super.onWindowFocusChanged(hasFocus)
        val intent = asked
        if (!hasFocus || intent == null) return
        asked = null
        startBy(intent)
    }

    override fun onRetainNonConfigurationInstance(): Any = state

    override fun onActivityResult(requestCode: Int, resultCode: Int, data: Intent?) {
        super.onActivityResult(requestCode, resultCode, data)
        val target = data?.data
        val text = state.document
        if (resultCode == RESULT_OK && target != null && text != null) write(target, text)
    }

    /** What runs in the background is slowed down by the system: no number of that counts. */
    override fun onStop() {
        super.onStop()
        if (isChangingConfigurations) return
        refuse(R.string.left)
        state.stop(getString(R.string.left))
    }

    override fun onDestroy() {
        state.changed = {}
        super.onDestroy()
    }

    /** Does not begin what still waits. */
    private fun refuse(why: Int) {
        val intent = asked ?: return
        asked = null
        state.refuse(extras(intent), getString(why))
    }

    private fun startBy(intent: Intent) {
        val extras = extras(intent)
        if (extras.isNotEmpty()) state.start(extras)
    }

    private fun extras(intent: Intent): Map<String, String> {
        val found = BenchmarkRequest.EXTRAS.associateWith { intent.getStringExtra(it) }
        return found.mapNotNull { (name, text) -> text?.let { name to it } }.toMap()
    }

    private fun export() {
        val intent = Intent(Intent.ACTION_CREATE_DOCUMENT).setType("application/json")
            .addCategory(Intent.CATEGORY_OPENABLE).putExtra(Intent.EXTRA_TITLE, FILE_NAME)
        try {
            startActivityForResult(intent, EXPORT)
        } catch (_: ActivityNotFoundException) {
            say(getString(R.string.no_app))
        }
    }

    private fun write(target: Uri, text: String) {
        val threads = (application as DemoApplication).threads
        val files = applicationContext.contentResolver
        threads.work.execute {
            val said = try {
                val output = files.openOutputStream(target) ?: throw IOException("'$target'")
                output.use { it.write(text.toByteArray()) }
                R.string.exported
            } catch (_: IOException) {
                R.string.not_exported
            } catch (_: SecurityException) {
                R.string.not_exported
            }
            threads.main.execute { say(getString(said)) }
        }
    }

    private fun say(text: String) {
        find<TextView>(R.id.status).text = text
    }

    private fun show() {
        find<View>(R.id.start).isEnabled = !state.isRunning
        find<View>(R.id.stop).isEnabled = state.isRunning
        find<View>(R.id.export).isEnabled = !state.isRunning && state.document != null
        val progress = find<ProgressBar>(R.id.progress)
        progress.max = maxOf(state.planned, 1)
        progress.progress = state.results.size
        say(
            state.failure ?: state.written?.let { getString(R.string.written, it.name) }
                ?: if (state.planned == 0) {
                    getString(R.string.benchmark_hint)
                } else {
                    getString(R.string.progress, state.results.size, state.planned)
                },
        )
        val table = find<LinearLayout>(R.id.results)
        table.removeAllViews()
        state.bars.forEach { table.addView(line(it, table)) }
    }

    /** A line of the table, and its bar of the chart. */
    private fun line(bar: Bar, table: LinearLayout): View {
        val view = layoutInflater.inflate(R.layout.result, table, false)
        val result = bar.result
        view.find<TextView>(R.id.name).text =
            getString(
                R.string.result_name,
                result.model.file,
                name(result.accelerator),
                resources.getQuantityString(R.plurals.threads, result.threads, result.threads),
            )
        view.find<ProgressBar>(R.id.bar).apply { progress = Math.round(bar.share * max) }
        view.find<TextView>(R.id.numbers).text = numbers(result)
        return view
    }

    private fun numbers(result: Result): String {
        val times = result.times
            ?: return getString(R.string.no_result, result.status.name.lowercase(), result.message)
        val time = getString(
            R.string.times,
            times.medianUs / MICROSECONDS,
            times.p95Us / MICROSECONDS,
            times.runs,
        )
        val memory = result.peakMemoryBytes?.let {
            getString(R.string.memory, Formatter.formatShortFileSize(this, it))
        }
        val agreement = result.agreement.values.firstOrNull()?.let {
            val steps = it.steps
            if (steps != null) {
                getString(R.string.steps, steps)
            } else {
                getString(R.string.difference, it.largest)
            }
        }
        return listOfNotNull(time, memory, agreement).joinToString(" · ")
    }

    private companion object {
        const val MICROSECONDS = 1e3
    }
}
