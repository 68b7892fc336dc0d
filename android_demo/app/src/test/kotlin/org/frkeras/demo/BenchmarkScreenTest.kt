package org.frkeras.demo

import android.app.Activity
import android.app.KeyguardManager
import android.content.Intent
import android.content.res.Configuration
import android.net.Uri
import android.view.View
import android.view.ViewGroup
import java.io.ByteArrayOutputStream
import java.io.File
import org.frkeras.demo.logic.JsonParser
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController
import org.robolectric.shadows.ShadowEnvironment

@RunWith(RobolectricTestRunner::class)
class BenchmarkScreenTest {
    private val app get() = RuntimeEnvironment.getApplication()

    @Suppress("DEPRECATION")
    private val folder get() = app.externalMediaDirs.first()

    @Before
    fun engine() {
        assumeEngine()
        // Robolectric has no storage by itself.
        ShadowEnvironment.addExternalDir("storage")
    }

    private fun intent(vararg extras: Pair<String, String>) =
        Intent(app, BenchmarkActivity::class.java)
            .apply { extras.forEach { (name, text) -> putExtra(name, text) } }

    private fun screen(vararg extras: Pair<String, String>): ActivityController<BenchmarkActivity> =
        Robolectric.buildActivity(BenchmarkActivity::class.java, intent(*extras)).setup()
            .windowFocusChanged(true)

    private fun results(text: String) =
        ((JsonParser.parse(text) as Map<*, *>)["results"] as List<*>).map { it as Map<*, *> }

    private fun wait(name: String): String {
        waitUntil(name) { File(folder, name).exists() }
        return File(folder, name).readText()
    }

    private fun BenchmarkActivity.isOver() = find<View>(R.id.start).isEnabled

    @Test
    fun `an intent measures without touch`() {
        val screen = screen(
            "output" to "r.json",
            "files" to "digits.fr,shapes.fr",
            "delegates" to "xnnpack,gpu",
            "threads" to "1",
            "runs" to "3",
            "warmup" to "1",
        ).get()
        val found = results(wait("r.json"))
        assertEquals(listOf("done", "refused", "done", "refused"), found.map { it["status"] })
        for (one in found.filter { it["status"] == "done" }) {
            val agreement = (one["agreement"] as Map<*, *>).values.single() as Map<*, *>
            // The reference's own kernels.
            assertEquals(0.0, agreement["steps"])
            assertEquals(4.0, agreement["rows"])
        }
        waitUntil("the end") { screen.isOver() }
        assertEquals(4, screen.find<ViewGroup>(R.id.results).childCount)
        assertTrue(screen.textOf(R.id.status).endsWith("r.json"))
        screen.window.decorView.photograph("benchmark")
    }

    @Test
    fun `a locked phone is said, and what was asked for does not wait`() {
        val guard = shadowOf(app.getSystemService(KeyguardManager::class.java)!!)
        guard.setKeyguardLocked(true)
        val controller = screen("output" to "locked.json", "files" to "digits.fr")
        assertEquals(app.getString(R.string.locked) + "\n", wait("locked.json.error"))
        guard.setKeyguardLocked(false)
        controller.windowFocusChanged(true)
        assertTrue(controller.get().isOver())
    }

    @Test
    fun `a screen that is left before it is drawn does not begin`() {
        val intent = intent("output" to "early.json", "files" to "digits.fr")
        val controller = Robolectric.buildActivity(BenchmarkActivity::class.java, intent).setup()
        controller.pause().stop()
        assertEquals(app.getString(R.string.left) + "\n", wait("early.json.error"))
        controller.get().onWindowFocusChanged(true)
        assertTrue(controller.get().isOver())
    }

    @Test
    fun `a rotation before the screen is drawn loses nothing`() {
        val extras = arrayOf("output" to "turned.json", "files" to "digits.fr", "threads" to "1")
        val intent = intent("delegates" to "none", *extras)
        val controller = Robolectric.buildActivity(BenchmarkActivity::class.java, intent).setup()
        val turned = Configuration(controller.get().resources.configuration)
        turned.orientation = Configuration.ORIENTATION_LANDSCAPE
        controller.configurationChange(turned)
        controller.get().onWindowFocusChanged(true)
        assertEquals("done", results(wait("turned.json")).single()["status"])
    }

    @Test
    fun `a second intent comes to the same screen`() {
        val controller = screen()
        val hint = app.getString(R.string.benchmark_hint)
        assertEquals(hint, controller.get().textOf(R.id.status))
        val extras = arrayOf("files" to "digits.fr", "delegates" to "none", "threads" to "1")
        controller.newIntent(intent("output" to "a.json", *extras))
        controller.newIntent(intent("output" to "b.json", *extras))
        assertEquals("Another benchmark is running\n", wait("b.json.error"))
        assertEquals("none", results(wait("a.json")).single()["delegate"])
    }

    @Test
    fun `what makes no sense is answered`() {
        val controller = screen("output" to "r.json", "files" to "none.tflite")
        assertTrue(wait("r.json.error").startsWith("There is no bundled file 'none.tflite'"))
        assertTrue(controller.get().isOver())
    }

    @Test
    fun `a rotation goes on, and a screen that is left stops`() {
        val controller = screen("output" to "left.json", "delegates" to "xnnpack", "runs" to "2")
        waitUntil("a result") { controller.get().find<ViewGroup>(R.id.results).childCount > 0 }
        val turned = Configuration(controller.get().resources.configuration)
        turned.orientation = Configuration.ORIENTATION_LANDSCAPE
        controller.configurationChange(turned)
        assertFalse(controller.get().isOver())
        val before = controller.get().find<ViewGroup>(R.id.results).childCount
        assertTrue(before > 0)
        waitUntil("more") { controller.get().find<ViewGroup>(R.id.results).childCount > before }
        controller.pause().stop()
        assertEquals(app.getString(R.string.left) + "\n", wait("left.json.error"))
        assertTrue(controller.get().isOver())
        assertFalse(File(folder, "left.json").exists())
    }

    @Test
    fun `touch starts, stops and exports`() {
        val screen = screen().get()
        assertFalse(screen.find<View>(R.id.export).isEnabled)
        screen.click(R.id.start)
        waitUntil("a result") { screen.find<ViewGroup>(R.id.results).childCount > 0 }
        screen.click(R.id.stop)
        assertEquals(screen.getString(R.string.stopped), screen.textOf(R.id.status))
        val target = Uri.parse("content://documents/1")
        val written = ByteArrayOutputStream()
        shadowOf(app.contentResolver).registerOutputStream(target, written)
        screen.click(R.id.export)
        val asked = shadowOf(screen).nextStartedActivityForResult.intent
        assertEquals(Intent.ACTION_CREATE_DOCUMENT, asked.action)
        shadowOf(screen).receiveResult(asked, Activity.RESULT_OK, Intent().setData(target))
        waitUntil("the file") { screen.textOf(R.id.status) == screen.getString(R.string.exported) }
        assertEquals("android", results(written.toString()).first()["target"])
    }
}
