package org.frkeras.demo.logic

import java.io.File
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

class DrawStateTest {
    @TempDir
    lateinit var folder: File
    private val hands = Hands()
    private val models = listOf(model("first"), model("second"))

    private fun state(engine: FakeEngine) =
        DrawState(Inference(engine, files(folder), hands.threads, models))

    private fun DrawState.stroke() {
        draw(Point(0.2f, 0.2f), begins = true)
        draw(Point(0.2f, 0.8f), begins = false)
        lift()
    }

    @Test
    fun `a lifted finger gives guesses, the surest first, and what they took`() {
        val engine = FakeEngine()
        val state = state(engine)
        var changes = 0
        state.changed = { changes++ }
        state.stroke()
        assertEquals(2, changes)
        assertTrue(state.guesses.isEmpty())
        hands.all()
        assertEquals(listOf("b", "c", "a"), state.guesses.map { it.label })
        assertEquals(Accelerator.CPU, state.report?.ranOn)
        assertNull(state.report?.fallback)
        assertEquals(3, changes)
        val drawn = engine.inputs.single()
        assertEquals(1f, drawn.max())
        assertEquals(0f, drawn.min())
    }

    @Test
    fun `an accelerator that refuses falls back to the CPU and says so`() {
        val state = state(FakeEngine(refused = setOf(Accelerator.GPU)))
        state.stroke()
        state.choose(models[1], Accelerator.GPU)
        hands.all()
        assertEquals(Accelerator.CPU, state.report?.ranOn)
        assertEquals("no GPU here", state.report?.fallback)
        assertEquals(Accelerator.GPU, state.report?.choice?.accelerator)
        // A time of the CPU is none of the GPU.
        assertNull(state.inference.rows(Accelerator.GPU)[1].milliseconds)
        assertTrue(state.inference.rows(Accelerator.GPU)[1].isChosen)
    }

    @Test
    fun `what the CPU refuses too is a failure, and the next may work`() {
        val engine = FakeEngine(refused = setOf(Accelerator.GPU, Accelerator.CPU))
        val state = state(engine)
        state.stroke()
        hands.all()
        assertEquals("no CPU here", state.failure)
        assertTrue(state.guesses.isEmpty())
        state.choose(models[0], Accelerator.NNAPI)
        hands.all()
        assertNull(state.failure)
        assertEquals("b", state.guesses.first().label)
    }

    @Test
    fun `a cleared drawing gets no late answer`() {
        val state = state(FakeEngine())
        state.stroke()
        while (hands.work.step()) Unit
        state.clear()
        hands.all()
        assertTrue(state.drawing.isEmpty)
        assertTrue(state.guesses.isEmpty())
        assertNull(state.report)
    }

    @Test
    fun `of two strokes in a row only the last answer is shown`() {
        val state = state(FakeEngine())
        var answers = 0
        state.stroke()
        state.stroke()
        state.changed = { answers++ }
        hands.all()
        assertEquals(1, answers)
    }

    @Test
    fun `a network stays loaded until another is chosen or memory is low`() {
        val engine = FakeEngine()
        val state = state(engine)
        state.stroke()
        state.stroke()
        hands.all()
        assertEquals(1, engine.opened.size)
        state.choose(models[1], Accelerator.CPU)
        hands.all()
        assertEquals(2, engine.opened.size)
        assertEquals(1, engine.open)
        state.inference.release()
        hands.all()
        assertEquals(0, engine.open)
        state.stroke()
        hands.all()
        assertEquals(1, engine.open)
    }

    @Test
    fun `a drawing survives the end of the process`() {
        val before = state(FakeEngine())
        before.stroke()
        val after = state(FakeEngine())
        after.restore(before.drawing.save())
        hands.all()
        assertEquals(before.drawing, after.drawing)
        assertEquals("b", after.guesses.first().label)
        assertTrue(Drawing.restore("1,2 nonsense").isEmpty)
    }

    @Test
    fun `times stand beside the files that ran`() {
        val state = state(FakeEngine())
        state.stroke()
        hands.all()
        val rows = state.inference.rows(Accelerator.CPU)
        assertTrue(rows[0].milliseconds != null && rows[0].isChosen)
        assertTrue(rows[1].milliseconds == null && !rows[1].isChosen)
    }
}
