package org.frkeras.demo

import android.app.Activity
import android.content.ComponentCallbacks2
import android.os.Bundle
import android.view.View
import android.view.WindowManager
import android.widget.CheckBox
import android.widget.LinearLayout
import android.widget.ProgressBar
import android.widget.SeekBar
import android.widget.Switch
import android.widget.TextView
import org.frkeras.demo.logic.TogetherState

private const val WISHES = "wishes"

/** Shows a [TogetherState], and tells it how short memory is and how hot the phone. */
class TogetherActivity : Activity() {
    private lateinit var state: TogetherState
    private lateinit var texts: TogetherTexts
    private lateinit var heat: Heat

    /** The views of each network, which stay while their texts change. */
    private val rows = ArrayList<View>()

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        val kept = lastNonConfigurationInstance as TogetherState?
        state = kept ?: (application as DemoApplication).togetherState()
        val wishes = savedInstanceState?.getString(WISHES)
        if (kept == null && wishes != null) state.restore(wishes)
        setContentView(R.layout.together)
        // A phone that sleeps runs nothing.
        window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
        texts = TogetherTexts(this)
        heat = Heat(this) { state.heat(it) }
        slider(R.id.memory, state.memoryShare) { state.allow(it) }
        slider(R.id.pace, state.paceShare) { state.pace(it) }
        addRows()
        state.changed = ::show
        show()
    }

    override fun onStart() {
        super.onStart()
        state.enter()
        heat.start()
    }

    override fun onStop() {
        super.onStop()
        heat.stop()
        if (!isChangingConfigurations) state.leave()
    }

    override fun onDestroy() {
        state.changed = {}
        super.onDestroy()
    }

    override fun onSaveInstanceState(outState: Bundle) {
        super.onSaveInstanceState(outState)
        outState.putString(WISHES, state.save())
    }

    override fun onRetainNonConfigurationInstance(): Any = state

    override fun onTrimMemory(level: Int) {
        super.onTrimMemory(level)
        state.trim(level)
    }

    override fun onLowMemory() {
        super.onLowMemory()
        // By Android's documentation about the same.
        @Suppress("DEPRECATION")
        state.trim(ComponentCallbacks2.TRIM_MEMORY_COMPLETE)
    }

    private fun slider(id: Int, share: Double, moved: (Double) -> Unit) {
        val bar = find<SeekBar>(id)
        bar.progress = Math.round(share * bar.max).toInt()
        bar.setOnSeekBarChangeListener(Slider(moved))
    }

    private fun addRows() {
        val list = find<LinearLayout>(R.id.networks)
        for (line in state.lines) {
            val row = layoutInflater.inflate(R.layout.together_network, list, false)
            val name = line.network.name
            row.find<Switch>(R.id.on).apply {
                text = line.network.title
                setOnClickListener { state.switch(name, isChecked) }
            }
            row.find<CheckBox>(R.id.first).apply {
                contentDescription = getString(R.string.together_first_of, line.network.title)
                setOnClickListener { state.prioritize(name, isChecked) }
            }
            list.addView(row)
            rows += row
        }
    }

    private fun show() {
        find<TextView>(R.id.memory_text).text = texts.memory(state)
        find<TextView>(R.id.pace_text).text = texts.pace(state)
        find<TextView>(R.id.comparison).text = state.comparison?.let(texts::comparison).orEmpty()
        for ((row, line) in rows.zip(state.lines)) {
            row.find<Switch>(R.id.on).isChecked = line.isOn
            row.find<CheckBox>(R.id.first).isChecked = line.isFirst
            row.find<ProgressBar>(R.id.level).apply {
                max = line.network.capacities.size
                progress = line.place?.plus(1) ?: 0
            }
            row.find<TextView>(R.id.numbers).text = texts.line(state, line)
        }
    }
}

private class Slider(private val moved: (Double) -> Unit) : SeekBar.OnSeekBarChangeListener {
    override fun onProgressChanged(bar: SeekBar, progress: Int, fromUser: Boolean) {
        if (fromUser) moved(progress.toDouble() / bar.max)
    }

    override fun onStartTrackingTouch(bar: SeekBar) = Unit

    override fun onStopTrackingTouch(bar: SeekBar) = Unit
}
