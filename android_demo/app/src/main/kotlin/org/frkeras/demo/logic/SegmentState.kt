package org.frkeras.demo.logic

/** A picture as Android has it, `0xAARRGGBB` row by row. */
class ColorPicture(val width: Int, val height: Int, val colors: IntArray)

/** The classes of the pixels of a square. */
class Mask(val side: Int, val classes: IntArray)

/**
 * The screen *Segment*: a picture, and the mask of the network over its middle square. All on the
 * main thread.
 */
class SegmentState(val inference: Inference) {
    /** Is called after each change; set while there is somebody to show it. */
    var changed: () -> Unit = {}

    var picture: ColorPicture? = null
        private set
    var mask: Mask? = null
        private set
    var report: Report? = null
        private set

    /** Why there is no picture or no mask. */
    var failure: String? = null
        private set

    /** Of the mask, 0 to 1. */
    var opacity = 0.5f
        private set

    /** The mask as colors, `0xAARRGGBB`. */
    val overlay: IntArray? get() = mask?.let { overlay(it.classes, opacity) }

    /** What of the square is not of class 0. */
    val covered: Float? get() = mask?.let { covered(it.classes) }

    fun take(picture: ColorPicture) {
        this.picture = picture
        mask = null
        report = null
        failure = null
        changed()
        segment()
    }

    /** There is no picture: the app that should give one is missing, or gave none. */
    fun refuse(why: String) {
        failure = why
        changed()
    }

    fun fade(opacity: Float) {
        this.opacity = opacity.coerceIn(0f, 1f)
        changed()
    }

    /** Takes another file or accelerator, and segments anew. */
    fun choose(model: ModelFile, accelerator: Accelerator) {
        inference.choose(model, accelerator)
        if (picture == null) changed() else segment()
    }

    private fun segment() {
        val shown = picture ?: return
        inference.infer(
            inputs = { model, type ->
                val (height, width, channels) = type.shape.takeLast(3)
                require(channels == 1) { "'${model.file}' must take gray pictures" }
                GrayPicture.of(shown.width, shown.height, shown.colors)
                    .square().resized(width, height).inputs(model.normalization)
            },
            done = ::show,
        )
    }

    private fun show(outcome: Outcome) {
        when (outcome) {
            is Outcome.Done -> {
                val (side, _, classes) = outcome.type.shape.takeLast(3)
                mask = Mask(side, classesOf(outcome.outputs, classes))
                report = outcome.report
                failure = null
            }
            is Outcome.Failed -> {
                mask = null
                report = null
                failure = outcome.message
            }
        }
        changed()
    }
}
