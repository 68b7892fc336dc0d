package org.frkeras.demo

import android.app.Activity
import android.content.Intent
import android.content.res.Configuration
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Paint
import android.graphics.drawable.BitmapDrawable
import android.net.Uri
import android.provider.MediaStore
import android.widget.ImageView
import java.io.ByteArrayInputStream
import java.io.ByteArrayOutputStream
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNotNull
import org.junit.Assert.assertNull
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
class SegmentScreenTest {
    private val source = Uri.parse("content://pictures/1")

    @Before
    fun engine() = assumeEngine()

    private fun screen(): ActivityController<SegmentActivity> =
        Robolectric.buildActivity(SegmentActivity::class.java).setup()

    /** A light disc on a dark ground. */
    private fun picture(width: Int, height: Int): Bitmap {
        val bitmap = Bitmap.createBitmap(width, height, Bitmap.Config.ARGB_8888)
        val canvas = Canvas(bitmap)
        canvas.drawColor(Color.rgb(40, 40, 40))
        val paint = Paint().apply { color = Color.rgb(220, 220, 220) }
        canvas.drawCircle(width / 2f, height / 2f, minOf(width, height) / 4f, paint)
        return bitmap
    }

    private val resolver get() = shadowOf(RuntimeEnvironment.getApplication().contentResolver)

    private fun provide(content: ByteArray) =
        resolver.registerInputStreamSupplier(source) { ByteArrayInputStream(content) }

    private fun SegmentActivity.answer(button: Int, code: Int, data: Intent?) {
        click(button)
        val asked = shadowOf(this).nextStartedActivityForResult
        shadowOf(this).receiveResult(asked.intent, code, data)
    }

    private fun Activity.drawn(id: Int): Bitmap? =
        (find<ImageView>(id).drawable as? BitmapDrawable)?.bitmap

    @Test
    fun `a picture of another app gets a mask`() {
        val png = ByteArrayOutputStream()
        picture(300, 200).compress(Bitmap.CompressFormat.PNG, 100, png)
        provide(png.toByteArray())
        val screen = screen().get()
        screen.answer(R.id.pick, Activity.RESULT_OK, Intent().setData(source))
        waitUntil("a mask") { screen.drawn(R.id.mask) != null }
        val shown = checkNotNull(screen.drawn(R.id.picture))
        assertEquals(200, shown.width)
        assertEquals(200, shown.height)
        val mask = checkNotNull(screen.drawn(R.id.mask))
        // The disc is marked, and the corner is not.
        assertTrue(Color.alpha(mask.getPixel(32, 32)) > 0)
        assertEquals(0, Color.alpha(mask.getPixel(2, 2)))
        // A disc of a quarter of the side has a fifth of the square.
        val covered = Regex("([0-9]+) % of the square").find(screen.textOf(R.id.report))
        assertTrue(screen.textOf(R.id.report), covered!!.groupValues[1].toInt() in 15..25)
        screen.window.decorView.photograph("segment")
    }

    @Test
    fun `the camera gives a small picture, and a rotation keeps it`() {
        val controller = screen()
        controller.get().click(R.id.camera)
        val asked = shadowOf(controller.get()).nextStartedActivityForResult.intent
        assertEquals(MediaStore.ACTION_IMAGE_CAPTURE, asked.action)
        val data = Intent().putExtra("data", picture(120, 160))
        shadowOf(controller.get()).receiveResult(asked, Activity.RESULT_OK, data)
        waitUntil("a mask") { controller.get().drawn(R.id.mask) != null }
        val turned = Configuration(controller.get().resources.configuration)
        turned.orientation = Configuration.ORIENTATION_LANDSCAPE
        controller.configurationChange(turned)
        assertNotNull(controller.get().drawn(R.id.mask))
        assertEquals(120, controller.get().drawn(R.id.picture)?.width)
    }

    @Test
    fun `no picture, no app and no permission are said`() {
        val screen = screen().get()
        screen.answer(R.id.camera, Activity.RESULT_CANCELED, null)
        assertEquals(screen.getString(R.string.segment_hint), screen.textOf(R.id.report))
        screen.answer(R.id.camera, Activity.RESULT_OK, null)
        assertEquals(screen.getString(R.string.no_picture), screen.textOf(R.id.report))
        provide("no picture".toByteArray())
        screen.answer(R.id.pick, Activity.RESULT_OK, Intent().setData(source))
        waitUntil("an error") { "no picture that Android can read" in screen.textOf(R.id.report) }
        resolver.registerInputStreamSupplier(source) { throw SecurityException("denied") }
        screen.answer(R.id.pick, Activity.RESULT_OK, Intent().setData(source))
        waitUntil("denied") { screen.getString(R.string.not_allowed) == screen.textOf(R.id.report) }
        shadowOf(RuntimeEnvironment.getApplication()).checkActivities(true)
        screen.click(R.id.camera)
        assertEquals(screen.getString(R.string.no_app), screen.textOf(R.id.report))
        assertNull(screen.drawn(R.id.mask))
    }

    @Test
    fun `another picture is not covered by the last mask`() {
        val screen = screen().get()
        screen.answer(R.id.camera, Activity.RESULT_OK, Intent().putExtra("data", picture(64, 64)))
        waitUntil("a mask") { screen.drawn(R.id.mask) != null }
        screen.answer(R.id.camera, Activity.RESULT_OK, Intent().putExtra("data", picture(80, 90)))
        assertNull(screen.drawn(R.id.mask))
        assertEquals(80, screen.drawn(R.id.picture)?.width)
        waitUntil("a mask") { screen.drawn(R.id.mask) != null }
    }
}
