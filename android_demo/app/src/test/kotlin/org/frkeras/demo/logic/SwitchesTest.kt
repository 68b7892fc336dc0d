package org.frkeras.demo.logic

import kotlin.random.Random
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

class SwitchesTest {
    private fun steps(limit: Long, vararg holdings: Holding): List<Step> {
        val held = holdings.toMutableList()
        return generateSequence { nextStep(held, limit) }.onEach {
            held[it.place] = when (it) {
                is Step.Load -> Holding(held[it.place].then, null)
                is Step.Close -> Holding(null, held[it.place].then)
            }
        }.toList()
    }

    @Test
    fun `where there is room for both, nothing is closed first`() {
        val found = steps(900, Holding(300, 100), Holding(200, 400), Holding(null, 100))
        // What frees memory comes first.
        assertEquals(listOf(Step.Load(0), Step.Load(2), Step.Load(1)), found)
    }

    @Test
    fun `where there is no room for both, the old one is closed first`() {
        assertEquals(listOf(Step.Close(0), Step.Load(0)), steps(400, Holding(200, 400)))
        // The second finds room only when the first is small.
        val found = steps(600, Holding(400, 100), Holding(100, 200))
        assertEquals(listOf(Step.Load(0), Step.Load(1)), found)
    }

    @Test
    fun `memory that is exceeded already is freed before anything is loaded`() {
        val found = steps(200, Holding(400, 100), Holding(200, 100))
        assertEquals(
            listOf(Step.Close(0), Step.Close(1), Step.Load(0), Step.Load(1)),
            found,
        )
    }

    @Test
    fun `what has all it shall have takes no step, and what never fits does not either`() {
        assertNull(nextStep(listOf(Holding(100, null), Holding(null, null)), 50))
        assertNull(nextStep(listOf(Holding(null, 100)), 50))
    }

    @Test
    fun `a plan that fits is reached, and no load exceeds the memory`() {
        val random = Random(0)
        repeat(2000) {
            val holdings = List(random.nextInt(1, 5)) {
                val now = random.nextLong(1, 9).takeIf { random.nextBoolean() }
                Holding(now, random.nextLong(1, 9).takeIf { random.nextInt(4) > 0 })
            }
            val wanted = holdings.sumOf { it.then ?: it.now ?: 0 }
            val limit = wanted + random.nextLong(0, 8)
            val held = holdings.map { it.now ?: 0 }.toMutableList()
            val taken = steps(limit, *holdings.toTypedArray())
            for (step in taken) {
                val then = holdings[step.place].then ?: 0
                if (step is Step.Load) assertTrue(held.sum() + then <= limit)
                held[step.place] = if (step is Step.Load) then else 0
            }
            assertEquals(holdings.map { it.then ?: it.now ?: 0 }, held)
            assertTrue(taken.size <= 2 * holdings.size)
        }
    }
}
