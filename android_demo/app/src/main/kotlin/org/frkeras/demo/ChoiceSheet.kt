package org.frkeras.demo

import android.app.Activity
import android.app.Dialog
import android.text.format.Formatter
import android.view.Gravity
import android.view.ViewGroup
import android.view.Window
import android.widget.RadioButton
import android.widget.RadioGroup
import org.frkeras.demo.logic.Accelerator
import org.frkeras.demo.logic.Form
import org.frkeras.demo.logic.Inference
import org.frkeras.demo.logic.ModelFile
import org.frkeras.demo.logic.Report
import org.frkeras.demo.logic.Row

private val SHOWN = listOf(
    R.id.cpu to Accelerator.CPU,
    R.id.gpu to Accelerator.GPU,
    R.id.nnapi to Accelerator.NNAPI,
)

/** The sheet of a screen: its files side by side, with size and latency, and the accelerator. */
class ChoiceSheet(
    private val activity: Activity,
    private val inference: Inference,
    private val choose: (ModelFile, Accelerator) -> Unit,
) {
    private val dialog = Dialog(activity)

    fun show() {
        dialog.requestWindowFeature(Window.FEATURE_NO_TITLE)
        dialog.setContentView(R.layout.choice)
        dialog.window?.setGravity(Gravity.BOTTOM)
        dialog.window?.setLayout(
            ViewGroup.LayoutParams.MATCH_PARENT,
            ViewGroup.LayoutParams.WRAP_CONTENT,
        )
        val accelerators = dialog.find<RadioGroup>(R.id.accelerators)
        accelerators.check(SHOWN.first { it.second == inference.choice.accelerator }.first)
        accelerators.setOnCheckedChangeListener { _, button ->
            choose(inference.choice.model, SHOWN.first { it.first == button }.second)
            showRows()
        }
        showRows()
        dialog.show()
    }

    /** Shows the latency of an inference that came meanwhile. */
    fun update() {
        if (dialog.isShowing) showRows()
    }

    fun dismiss() = dialog.dismiss()

    private fun showRows() {
        val group = dialog.find<RadioGroup>(R.id.models)
        group.setOnCheckedChangeListener(null)
        group.removeAllViews()
        for (row in inference.rows(inference.choice.accelerator)) {
            val button = RadioButton(activity)
            button.id = inference.models.indexOf(row.model) + 1
            button.text = line(row)
            // Before it is added: a group that held another with this id would not check it.
            button.isChecked = row.isChosen
            group.addView(button)
        }
        group.setOnCheckedChangeListener { _, id ->
            choose(inference.models[id - 1], inference.choice.accelerator)
        }
    }

    private fun line(row: Row): String {
        val form = when (row.model.form) {
            Form.DENSE -> R.string.form_dense
            Form.FACTORED -> R.string.form_factored
            Form.ARCHIVE -> R.string.form_archive
        }
        val time = row.milliseconds?.let { activity.getString(R.string.milliseconds, it) }
        return activity.getString(
            R.string.row,
            row.model.file,
            activity.getString(form),
            Formatter.formatShortFileSize(activity, row.model.bytes),
            time ?: activity.getString(R.string.not_run),
        )
    }
}

/** What an inference ran on and how long it took, and why where that is not what was chosen. */
fun Activity.text(report: Report): String {
    val line = getString(
        R.string.report,
        report.choice.model.file,
        name(report.ranOn),
        report.milliseconds,
    )
    val fallback = report.fallback?.let {
        getString(R.string.fallback, name(report.choice.accelerator), name(report.ranOn), it)
    }
    return (listOfNotNull(line, fallback) + report.notes).joinToString("\n")
}

/** The name of an accelerator for people. */
fun Activity.name(accelerator: Accelerator): String = getString(
    when (accelerator) {
        Accelerator.NONE -> R.string.none
        Accelerator.CPU -> R.string.cpu
        Accelerator.GPU -> R.string.gpu
        Accelerator.NNAPI -> R.string.nnapi
    },
)
