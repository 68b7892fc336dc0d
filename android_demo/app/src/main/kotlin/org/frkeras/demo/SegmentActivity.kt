package org.frkeras.demo

import android.content.ActivityNotFoundException
import android.content.Intent
import android.graphics.Bitmap
import android.net.Uri
import android.os.Bundle
import android.provider.MediaStore
import android.view.View
import android.widget.ImageView
import android.widget.SeekBar
import android.widget.TextView
import java.io.IOException
import org.frkeras.demo.logic.ColorPicture
import org.frkeras.demo.logic.SegmentState

private const val PICK = 1
private const val CAMERA = 2

/** Shows a [SegmentState]. Pictures come from other apps, so that no permission is needed. */
class SegmentActivity : InferenceActivity() {
    private lateinit var state: SegmentState
    override val inference get() = state.inference
    private lateinit var sheet: ChoiceSheet
    private var shown: ColorPicture? = null

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        state = lastNonConfigurationInstance as SegmentState?
            ?: (application as DemoApplication).segmentState()
        setContentView(R.layout.segment)
        sheet = ChoiceSheet(this, inference, state::choose)
        find<View>(R.id.choose).setOnClickListener { sheet.show() }
        find<View>(R.id.pick).setOnClickListener {
            ask(Intent(Intent.ACTION_GET_CONTENT).setType("image/*"), PICK)
        }
        // Without a place to write to, the camera app answers with a small picture: enough here.
        find<View>(R.id.camera).setOnClickListener {
            ask(Intent(MediaStore.ACTION_IMAGE_CAPTURE), CAMERA)
        }
        val opacity = find<SeekBar>(R.id.opacity)
        opacity.progress = Math.round(state.opacity * opacity.max)
        opacity.setOnSeekBarChangeListener(Fader { state.fade(it) })
        state.changed = ::show
        show()
    }

    override fun onRetainNonConfigurationInstance(): Any = state

    override fun onActivityResult(requestCode: Int, resultCode: Int, data: Intent?) {
        super.onActivityResult(requestCode, resultCode, data)
        if (resultCode != RESULT_OK) return
        val source = data?.data
        if (requestCode == PICK && source != null) {
            read(source)
        } else {
            // The method that takes the type is there from Android 13 on.
            @Suppress("DEPRECATION")
            val small = data?.getParcelableExtra<Bitmap>("data")
            if (small == null) {
                state.refuse(getString(R.string.no_picture))
            } else {
                state.take(small.colors())
            }
        }
    }

    override fun onDestroy() {
        state.changed = {}
        sheet.dismiss()
        super.onDestroy()
    }

    private fun ask(intent: Intent, code: Int) {
        try {
            startActivityForResult(intent, code)
        } catch (_: ActivityNotFoundException) {
            state.refuse(getString(R.string.no_app))
        } catch (_: SecurityException) {
            state.refuse(getString(R.string.not_allowed))
        }
    }

    /** The screen may be rotated meanwhile: the state stays, so it alone is held on to. */
    private fun read(source: Uri) {
        val threads = (application as DemoApplication).threads
        val pictures = applicationContext.contentResolver
        val notAllowed = getString(R.string.not_allowed)
        val holder = state
        threads.work.execute {
            try {
                val picture = pictures.picture(source)
                threads.main.execute { holder.take(picture) }
            } catch (error: IOException) {
                threads.main.execute { holder.refuse(error.message.orEmpty()) }
            } catch (_: SecurityException) {
                threads.main.execute { holder.refuse(notAllowed) }
            }
        }
    }

    private fun show() {
        sheet.update()
        showPicture()
        val covered = state.covered?.let { getString(R.string.covered, 100 * it) }
        find<TextView>(R.id.report).text = state.failure
            ?: state.report?.let { listOfNotNull(text(it), covered).joinToString("\n") }
            ?: getString(R.string.segment_hint)
    }

    private fun showPicture() {
        val picture = state.picture
        if (picture != null && picture !== shown) {
            val side = minOf(picture.width, picture.height)
            val all = bitmap(picture.colors, picture.width, picture.height)
            val left = (picture.width - side) / 2
            val top = (picture.height - side) / 2
            val square = Bitmap.createBitmap(all, left, top, side, side)
            find<ImageView>(R.id.picture).setImageBitmap(square)
            shown = picture
        }
        val side = state.mask?.side
        val colors = state.overlay
        find<ImageView>(R.id.mask).setImageBitmap(
            if (side == null || colors == null) null else bitmap(colors, side, side),
        )
    }
}

private fun bitmap(colors: IntArray, width: Int, height: Int): Bitmap =
    Bitmap.createBitmap(colors, width, height, Bitmap.Config.ARGB_8888)

private class Fader(private val fade: (Float) -> Unit) : SeekBar.OnSeekBarChangeListener {
    override fun onProgressChanged(bar: SeekBar, progress: Int, fromUser: Boolean) {
        if (fromUser) fade(progress.toFloat() / bar.max)
    }

    override fun onStartTrackingTouch(bar: SeekBar) = Unit

    override fun onStopTrackingTouch(bar: SeekBar) = Unit
}
