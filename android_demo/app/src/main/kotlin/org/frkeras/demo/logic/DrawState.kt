package org.frkeras.demo.logic

/**
 * The screen *Draw*: a drawing, and what the network takes it for. All on the main thread.
 *
 * @property changed Is called after each change; set while there is somebody to show it.
 */
class DrawState(val inference: Inference) {
    var changed: () -> Unit = {}

    var drawing = Drawing()
        private set

    /** The surest first; empty where there is nothing to show. */
    var guesses: List<Guess> = emptyList()
        private set

    var report: Report? = null
        private set

    /** Why there is no guess, where an inference failed. */
    var failure: String? = null
        private set

    /** A finger goes down, or moves on. */
    fun draw(point: Point, begins: Boolean) {
        drawing = drawing.with(point, begins)
        changed()
    }

    /** The finger is lifted: time to guess. */
    fun lift() = guess()

    fun clear() {
        inference.cancel()
        drawing = Drawing()
        guesses = emptyList()
        report = null
        failure = null
        changed()
    }

    /** Takes another file or accelerator, and guesses anew. */
    fun choose(model: ModelFile, accelerator: Accelerator) {
        inference.choose(model, accelerator)
        guess()
    }

    /** Takes a drawing that was kept by [Drawing.save]. */
    fun restore(kept: String) {
        drawing = Drawing.restore(kept)
        guess()
    }

    private fun guess() {
        val drawn = drawing
        if (drawn.isEmpty) {
            changed()
            return
        }
        inference.infer(
            inputs = { model, _ -> drawn.picture().inputs(model.normalization) },
            done = ::show,
        )
    }

    private fun show(outcome: Outcome) {
        when (outcome) {
            is Outcome.Done -> {
                report = outcome.report
                guesses = guesses(outcome.outputs, outcome.report.choice.model.labels)
                failure = null
            }
            is Outcome.Failed -> {
                report = null
                guesses = emptyList()
                failure = outcome.message
            }
        }
        changed()
    }
}
