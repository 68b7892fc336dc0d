package org.frkeras.demo

import android.os.Bundle
import android.view.View
import android.widget.TextView
import org.frkeras.demo.logic.DrawState

private const val DRAWING = "drawing"
private const val SHOWN = 3

/** Shows a [DrawState]. */
class DrawActivity : InferenceActivity() {
    private lateinit var state: DrawState
    override val inference get() = state.inference
    private lateinit var canvas: DrawingView
    private lateinit var sheet: ChoiceSheet

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        val kept = lastNonConfigurationInstance as DrawState?
        state = kept ?: (application as DemoApplication).drawState()
        setContentView(R.layout.draw)
        canvas = find(R.id.canvas)
        canvas.drawn = { point, begins -> state.draw(point, begins) }
        canvas.lifted = { state.lift() }
        sheet = ChoiceSheet(this, inference, state::choose)
        find<View>(R.id.clear).setOnClickListener { state.clear() }
        find<View>(R.id.choose).setOnClickListener { sheet.show() }
        state.changed = ::show
        val drawing = savedInstanceState?.getString(DRAWING)
        if (kept == null && drawing != null) state.restore(drawing)
        show()
    }

    override fun onSaveInstanceState(outState: Bundle) {
        super.onSaveInstanceState(outState)
        outState.putString(DRAWING, state.drawing.save())
    }

    override fun onRetainNonConfigurationInstance(): Any = state

    override fun onDestroy() {
        state.changed = {}
        sheet.dismiss()
        super.onDestroy()
    }

    private fun show() {
        canvas.show(state.drawing)
        sheet.update()
        find<TextView>(R.id.guesses).text = state.guesses.take(SHOWN).joinToString("\n") {
            getString(R.string.guess, it.label, 100 * it.confidence)
        }
        find<TextView>(R.id.report).text =
            state.failure ?: state.report?.let(::text) ?: getString(R.string.draw_hint)
    }
}
