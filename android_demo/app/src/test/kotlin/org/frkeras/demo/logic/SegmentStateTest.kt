package org.frkeras.demo.logic

import java.io.File
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

private const val WHITE = -1
private const val BLACK = 0xff shl 24

class SegmentStateTest {
    @TempDir
    lateinit var folder: File
    private val hands = Hands()
    private val model = model("unet", Task.SEGMENTATION)

    /** Says class 1 where a pixel is light. */
    private fun engine(channels: Int = 1) = FakeEngine(
        input = TensorType("in", listOf(1, 2, 2, channels), NumberType.FLOAT32),
        output = TensorType("out", listOf(1, 2, 2, 2), NumberType.FLOAT32),
        outputs = { _, inputs -> FloatArray(8) { if (it % 2 == 0) 0.5f else inputs[it / 2] } },
    )

    private fun state(engine: FakeEngine) =
        SegmentState(Inference(engine, files(folder), hands.threads, listOf(model)))

    /** 6 wide and 4 high: of its middle square the upper left quarter is white. */
    private fun picture() = ColorPicture(
        6,
        4,
        IntArray(24) { if (it % 6 in 1..2 && it / 6 < 2) WHITE else BLACK },
    )

    @Test
    fun `a picture gives a mask over its middle square`() {
        val state = state(engine())
        state.take(picture())
        assertNull(state.mask)
        hands.all()
        assertArrayEquals(intArrayOf(1, 0, 0, 0), state.mask?.classes)
        assertEquals(0.25f, state.covered)
        assertEquals(Accelerator.CPU, state.report?.ranOn)
    }

    @Test
    fun `the opacity is that of the overlay`() {
        val state = state(engine())
        assertNull(state.overlay)
        state.take(picture())
        hands.all()
        state.fade(1f)
        assertArrayEquals(intArrayOf(0xffe53935.toInt(), 0, 0, 0), state.overlay)
        state.fade(7f)
        assertEquals(1f, state.opacity)
        state.fade(0f)
        assertEquals(0, checkNotNull(state.overlay)[0] ushr 24)
    }

    @Test
    fun `a new picture takes the old mask away`() {
        val state = state(engine())
        state.take(picture())
        hands.all()
        state.take(ColorPicture(2, 2, IntArray(4) { BLACK }))
        assertNull(state.mask)
        hands.all()
        assertArrayEquals(intArrayOf(0, 0, 0, 0), state.mask?.classes)
    }

    @Test
    fun `no picture is said, and the next one is taken`() {
        val state = state(engine())
        state.refuse("not allowed")
        assertEquals("not allowed", state.failure)
        state.take(picture())
        hands.all()
        assertNull(state.failure)
    }

    @Test
    fun `a network for colors is a failure, not a crash`() {
        val state = state(engine(channels = 3))
        state.take(picture())
        hands.all()
        assertEquals("'unet' must take gray pictures", state.failure)
        assertNull(state.mask)
    }

    @Test
    fun `nothing runs without a picture`() {
        val engine = engine()
        val state = state(engine)
        state.choose(model, Accelerator.GPU)
        hands.all()
        assertEquals(0, engine.opened.size)
        assertEquals(Accelerator.GPU, state.inference.choice.accelerator)
    }
}
