package org.frkeras.demo

import android.content.ComponentCallbacks2
import android.content.Intent
import android.content.res.Configuration
import android.os.Bundle
import android.view.View
import android.widget.RadioButton
import android.widget.RadioGroup
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController
import org.robolectric.shadows.ShadowDialog

@RunWith(RobolectricTestRunner::class)
class DrawScreenTest {
    private val app get() = RuntimeEnvironment.getApplication() as TestApplication

    @Before
    fun engine() = assumeEngine()

    private fun screen(): ActivityController<DrawActivity> =
        Robolectric.buildActivity(DrawActivity::class.java).setup()

    private fun DrawActivity.draw(vararg points: Pair<Float, Float>) {
        find<View>(R.id.canvas).stroke(*points)
        waitUntil("a guess") { textOf(R.id.guesses).isNotEmpty() }
    }

    private fun DrawActivity.seven() =
        draw(0.2f to 0.15f, 0.5f to 0.15f, 0.8f to 0.15f, 0.6f to 0.5f, 0.45f to 0.9f)

    private fun DrawActivity.guess() = textOf(R.id.guesses).trim().first()

    @Test
    fun `the first screen opens the others`() {
        val main = Robolectric.buildActivity(MainActivity::class.java).setup().get()
        main.window.decorView.photograph("main")
        for ((button, screen) in listOf(
            R.id.draw to DrawActivity::class.java,
            R.id.segment to SegmentActivity::class.java,
            R.id.benchmark to BenchmarkActivity::class.java,
            R.id.together to TogetherActivity::class.java,
        )) {
            main.click(button)
            val opened = shadowOf(main).nextStartedActivity
            assertEquals(Intent(main, screen).component, opened.component)
        }
    }

    @Test
    fun `a digit that a finger draws is known`() {
        val screen = screen().get()
        assertEquals(screen.getString(R.string.draw_hint), screen.textOf(R.id.report))
        screen.seven()
        assertEquals('7', screen.guess())
        assertTrue(screen.textOf(R.id.report).startsWith("mnist_fr_776_int8.tflite on the CPU: "))
        screen.window.decorView.photograph("draw")
        screen.click(R.id.clear)
        assertEquals("", screen.textOf(R.id.guesses))
        screen.draw(0.5f to 0.1f, 0.5f to 0.5f, 0.49f to 0.9f)
        assertEquals('1', screen.guess())
    }

    @Test
    fun `a rotation keeps the drawing and the guess`() {
        val controller = screen()
        controller.get().seven()
        val turned = Configuration(controller.get().resources.configuration)
        turned.orientation = Configuration.ORIENTATION_LANDSCAPE
        controller.configurationChange(turned)
        assertEquals('7', controller.get().guess())
    }

    @Test
    fun `the end of the process keeps the drawing`() {
        val controller = screen()
        controller.get().seven()
        val kept = Bundle()
        controller.saveInstanceState(kept).pause().stop().destroy()
        val next = Robolectric.buildActivity(DrawActivity::class.java).setup(kept).get()
        waitUntil("a guess") { next.textOf(R.id.guesses).isNotEmpty() }
        assertEquals('7', next.guess())
    }

    @Test
    fun `an accelerator that refuses gives way, and the screen says so`() {
        val screen = screen().get()
        screen.seven()
        screen.click(R.id.choose)
        val sheet = ShadowDialog.getLatestDialog()
        assertTrue(sheet.isShowing)
        sheet.find<RadioButton>(R.id.gpu).performClick()
        waitUntil("the fallback") { "There is no GPU here" in screen.textOf(R.id.report) }
        assertTrue("GPU refused it, so it ran on the CPU" in screen.textOf(R.id.report))
        assertEquals('7', screen.guess())
    }

    @Test
    fun `the sheet has the files side by side, and changes the file`() {
        val screen = screen().get()
        screen.seven()
        screen.click(R.id.choose)
        val models = ShadowDialog.getLatestDialog().find<RadioGroup>(R.id.models)
        fun row(place: Int) = models.getChildAt(place) as RadioButton
        fun lines() = List(models.childCount) { row(it).text.toString() }
        assertEquals(5, lines().size)
        assertTrue(lines()[0].endsWith(" ms"))
        val archive = lines().indexOfFirst { it.startsWith("digits.fr") }
        assertTrue("archive, expanded here" in lines()[archive])
        assertTrue(lines()[archive].endsWith("not run yet"))
        row(archive).performClick()
        waitUntil("the archive") { screen.textOf(R.id.report).startsWith("digits.fr on the CPU: ") }
        assertTrue(lines()[archive].endsWith(" ms"))
        assertEquals(listOf(archive), lines().indices.filter { row(it).isChecked })
        ShadowDialog.getLatestDialog().window!!.decorView.photograph("sheet")
    }

    @Test
    fun `a network is let go when memory is short or the screen is left`() {
        val controller = screen()
        controller.get().seven()
        assertEquals(1, app.python.open)
        controller.get().onTrimMemory(ComponentCallbacks2.TRIM_MEMORY_BACKGROUND)
        waitUntil("low memory") { app.python.open == 0 }
        controller.get().click(R.id.clear)
        controller.get().seven()
        assertEquals(1, app.python.open)
        controller.pause().stop()
        waitUntil("the end") { app.python.open == 0 }
    }
}
