package org.frkeras.demo

import android.content.ComponentCallbacks2
import android.content.res.Configuration
import android.os.Build
import android.os.Bundle
import android.os.PowerManager
import android.view.View
import android.view.ViewGroup
import android.widget.CheckBox
import android.widget.SeekBar
import android.widget.Switch
import android.widget.TextView
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

@RunWith(RobolectricTestRunner::class)
class TogetherScreenTest {
    private val app get() = RuntimeEnvironment.getApplication() as TestApplication

    @Before
    fun engine() = assumeEngine()

    private fun screen(): ActivityController<TogetherActivity> =
        Robolectric.buildActivity(TogetherActivity::class.java).setup()

    private val TogetherActivity.rows: List<View>
        get() = find<ViewGroup>(R.id.networks).let { list ->
            List(list.childCount) { list.getChildAt(it) }
        }

    private fun View.numbers() = find<TextView>(R.id.numbers).text.toString()

    private fun View.capacity() =
        Regex("Capacity ([0-9]) of").find(numbers())?.groupValues?.get(1)?.toInt()

    private fun View.rate() =
        Regex("([0-9.]+) of [0-9.]+ frames").find(numbers())?.groupValues?.get(1)?.toDouble() ?: 0.0

    /** As a finger does: the bar tells its listener that it was the user. */
    private fun TogetherActivity.slide(id: Int, share: Double) {
        val bar = find<SeekBar>(id)
        bar.progress = (share * bar.max).toInt()
        shadowOf(bar).onSeekBarChangeListener.onProgressChanged(bar, bar.progress, true)
    }

    private fun ActivityController<TogetherActivity>.turn() {
        val turned = Configuration(get().resources.configuration)
        turned.orientation = Configuration.ORIENTATION_LANDSCAPE
        configurationChange(turned)
    }

    /** One test for what needs networks: measuring them takes a process of Python for each. */
    @Test
    fun `three networks run at once, change, and survive a rotation`() {
        val controller = screen()
        val screen = controller.get()
        screen.slide(R.id.memory, 0.58)
        assertEquals(listOf("Digits", "Shapes", "Even or odd"), screen.titles())
        assertTrue("Waits until all capacities are measured" in screen.rows[0].numbers())
        waitUntil("all run") { screen.rows.all { it.capacity() != null && it.rate() > 0 } }
        assertTrue(screen.rows.all { "on this phone" in it.numbers() })
        assertEquals(3, app.python.open)
        assertTrue("Fixed networks: " in screen.textOf(R.id.comparison))
        screen.window.decorView.photograph("together")

        val small = screen.sum()
        screen.slide(R.id.memory, 1.0)
        waitUntil("larger ones") { screen.sum() > small }
        controller.turn()
        assertTrue(controller.get().sum() > small)

        @Suppress("DEPRECATION")
        controller.get().onTrimMemory(ComponentCallbacks2.TRIM_MEMORY_RUNNING_CRITICAL)
        assertTrue("of which" in controller.get().textOf(R.id.memory_text))
        waitUntil("too little") { "Cannot run" in controller.get().rows[1].numbers() }

        controller.get().rows[1].find<Switch>(R.id.on).performClick()
        waitUntil("the others") { app.python.open == 2 }
        assertEquals("Off", controller.get().rows[1].numbers())

        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.Q) {
            val power = checkNotNull(app.getSystemService(PowerManager::class.java))
            shadowOf(power).setCurrentThermalStatus(PowerManager.THERMAL_STATUS_SHUTDOWN)
            waitUntil("too hot") { "Cannot run" in controller.get().rows[0].numbers() }
            assertTrue("0 % of the processor" in controller.get().textOf(R.id.pace_text))
        }
        controller.pause().stop()
        waitUntil("the end") { app.python.open == 0 }
    }

    @Test
    fun `the end of the process keeps what was set`() {
        val controller = screen()
        controller.get().slide(R.id.memory, 0.25)
        controller.get().slide(R.id.pace, 1.0)
        controller.get().rows[0].find<Switch>(R.id.on).performClick()
        controller.get().rows[2].find<CheckBox>(R.id.first).performClick()
        val pace = controller.get().textOf(R.id.pace_text)
        assertEquals("Frames a second of each network: 1000", pace)
        val kept = Bundle()
        controller.saveInstanceState(kept).pause().stop().destroy()
        val next = Robolectric.buildActivity(TogetherActivity::class.java).setup(kept)
        assertEquals(250, next.get().find<SeekBar>(R.id.memory).progress)
        assertEquals(1000, next.get().find<SeekBar>(R.id.pace).progress)
        assertFalse(next.get().rows[0].find<Switch>(R.id.on).isChecked)
        assertTrue(next.get().rows[2].find<CheckBox>(R.id.first).isChecked)
        next.pause().stop()
        waitUntil("the end") { app.python.open == 0 }
    }

    @Test
    fun `all that can be touched has words for TalkBack`() {
        val controller = screen()
        val screen = controller.get()
        for (id in listOf(R.id.memory, R.id.pace)) {
            assertTrue(screen.find<View>(id).contentDescription.isNotEmpty())
        }
        assertEquals(
            "Shapes first: it gets a higher priority",
            screen.rows[1].find<CheckBox>(R.id.first).contentDescription,
        )
        controller.pause().stop()
        waitUntil("the end") { app.python.open == 0 }
    }

    private fun TogetherActivity.titles() = rows.map { it.find<Switch>(R.id.on).text.toString() }

    /** What the smallest are is 1. */
    private fun TogetherActivity.sum() = rows.sumOf { it.capacity() ?: 0 }
}
