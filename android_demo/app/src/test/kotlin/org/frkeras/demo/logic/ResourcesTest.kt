package org.frkeras.demo.logic

import java.io.File
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertSame
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

class ResourcesTest {
    @TempDir
    lateinit var folder: File
    private val closed = ArrayList<String>()

    private fun resource(name: String, error: Throwable? = null) = AutoCloseable {
        closed += name
        error?.let { throw it }
    }

    @Test
    fun `what was made before an error is closed, whatever the error is`() {
        for (error in listOf(RefusedException("no"), IllegalStateException(), OutOfMemoryError())) {
            closed.clear()
            val thrown = assertThrows(Throwable::class.java) {
                owning { resources ->
                    resources.add(resource("delegate"))
                    resources.add(resource("interpreter"))
                    throw error
                }
            }
            assertSame(error, thrown)
            assertEquals(listOf("interpreter", "delegate"), closed)
        }
    }

    @Test
    fun `what comes to its end stays open, and is closed once`() {
        val made = owning { resources ->
            resources.add(resource("delegate"))
            resources.add(resource("interpreter"))
            resources
        }
        assertTrue(closed.isEmpty())
        made.close()
        made.close()
        assertEquals(listOf("interpreter", "delegate"), closed)
    }

    @Test
    fun `one that does not close does not keep the others open, nor hide the error`() {
        val stuck = IllegalStateException("stuck")
        val error = RefusedException("no")
        val thrown = assertThrows(RefusedException::class.java) {
            owning { resources ->
                resources.add(resource("delegate"))
                resources.add(resource("interpreter", stuck))
                throw error
            }
        }
        assertSame(error, thrown)
        assertSame(stuck, thrown.suppressed.single())
        assertEquals(listOf("interpreter", "delegate"), closed)
        val resources = Resources()
        resources.add(resource("delegate"))
        resources.add(resource("interpreter", stuck))
        assertSame(stuck, assertThrows(IllegalStateException::class.java, resources::close))
        assertEquals(4, closed.size)
    }

    @Test
    fun `a network that has no room for its tensors is closed`() {
        // More bytes than a buffer can have.
        val huge = TensorType("in", listOf(1, 50_000, 50_000), NumberType.INT8)
        val engine = FakeEngine(input = huge)
        val hands = Hands()
        val inference = Inference(engine, files(folder), hands.threads, listOf(model("first")))
        val outcomes = ArrayList<Outcome>()
        inference.infer({ _, _ -> FloatArray(0) }, outcomes::add)
        hands.all()
        assertTrue(outcomes.single() is Outcome.Failed)
        assertEquals(1, engine.opened.size)
        assertEquals(0, engine.open)
    }
}
