package org.frkeras.demo

import android.app.Activity
import android.graphics.Bitmap
import android.graphics.Canvas
import android.os.Looper
import android.view.MotionEvent
import android.view.View
import android.widget.TextView
import java.io.File
import java.util.concurrent.TimeUnit
import org.junit.Assume.assumeTrue
import org.frkeras.demo.logic.Engine
import org.robolectric.Shadows.shadowOf

private val COMMAND: String? = System.getProperty("app.engine")

/** The app with an engine for this machine; `robolectric.properties` names it. */
class TestApplication : DemoApplication() {
    internal val python = PythonEngine(COMMAND.orEmpty().split(File.pathSeparator))
    override val engine: Engine get() = python
}

/** Skips a test where nobody says how to run a network. */
internal fun assumeEngine() =
    assumeTrue("Nothing runs networks: run `make android`", COMMAND != null)

/** Waits for the thread that works, and shows what it says. */
internal fun waitUntil(what: String, isSo: () -> Boolean) {
    val end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60)
    while (!isSo()) {
        check(System.nanoTime() < end) { "$what: never" }
        shadowOf(Looper.getMainLooper()).idle()
        Thread.sleep(5)
    }
}

internal fun Activity.textOf(id: Int): String = find<TextView>(id).text.toString()

internal fun Activity.click(id: Int) {
    check(find<View>(id).performClick())
    shadowOf(Looper.getMainLooper()).idle()
}

/** Moves a finger along points of the view, from 0 to 1. */
internal fun View.stroke(vararg points: Pair<Float, Float>) {
    fun touch(action: Int, point: Pair<Float, Float>) {
        val event = MotionEvent.obtain(
            0,
            0,
            action,
            point.first * width,
            point.second * height,
            0,
        )
        dispatchTouchEvent(event)
        event.recycle()
    }
    touch(MotionEvent.ACTION_DOWN, points.first())
    points.drop(1).forEach { touch(MotionEvent.ACTION_MOVE, it) }
    touch(MotionEvent.ACTION_UP, points.last())
}

/** Leaves a picture of a view for people, in the folder of `app.pictures`. */
internal fun View.photograph(name: String) {
    val folder = System.getProperty("app.pictures") ?: return
    File(folder).mkdirs()
    shadowOf(Looper.getMainLooper()).idle()
    val bitmap = Bitmap.createBitmap(width, height, Bitmap.Config.ARGB_8888)
    draw(Canvas(bitmap))
    File(folder, "$name.png").outputStream().use {
        bitmap.compress(Bitmap.CompressFormat.PNG, 100, it)
    }
}
