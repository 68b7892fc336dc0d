package org.frkeras.scheduler

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

class SchedulerTest {
    private val large = Capacity(0.9, 4_000_000, 20.0)
    private val small = Capacity(0.8, 1_000_000, 5.0)

    private fun plain(name: String) = Application(name, listOf(large, small), 0.9, 40.0)

    @Test
    fun `memory is never exceeded, and shrinking is at once`() {
        val scheduler = Scheduler(8_000_000)
        scheduler.start(plain("a"), 0.0)
        assertEquals(Share(0, 50), scheduler.start(plain("b"), 0.1).shares["b"])
        assertEquals(Share(1, 13), scheduler.trim(10, 0.2).shares["b"])
        assertEquals(Share(1, 13), scheduler.trim(0, 0.3).shares["b"])
        assertEquals(2.2, scheduler.due)
        assertEquals(Share(0, 50), scheduler.update(2.2).shares["b"])
        assertEquals(mapOf("b" to Lack.MEMORY), scheduler.allow(1_000_000, 2.3).waiting)
    }

    @Test
    fun `what is wrong is said, and changes nothing`() {
        val scheduler = Scheduler(8_000_000)
        val before = scheduler.start(plain("a"), 0.0)
        refused("end the other one first") { scheduler.start(plain("a"), 1.0) }
        refused("has started: a. Received: 'b'") { scheduler.end("b", 1.0) }
        refused("`priority` of 'a'") { scheduler.prioritize("a", 0.0, 1.0) }
        refused("`now`") { scheduler.heat(6, Double.NaN) }
        refused("`now`") { scheduler.end("a", Double.POSITIVE_INFINITY) }
        refused("0 to 6") { scheduler.heat(7, 1.0) }
        refused("`level`") { scheduler.trim(-1, 1.0) }
        refused("`memory`") { scheduler.allow(-1, 1.0) }
        assertEquals(before, scheduler.update(1.0))
        refused("names of their own") { choose(listOf(plain("a"), plain("a")), 1) }
        refused("`units`") { choose(emptyList(), 1, 101) }
        refused("`capacities` of 'a'") { Application("a", emptyList(), 0.9, 40.0) }
        refused("`accuracy` of a capacity") { Capacity(Double.NaN, 1, 1.0) }
        refused("`latencyMs` must be") { Capacity(0.9, 1, 0.0) }
        refused("`memory`") { Capacity(0.9, -1, 1.0) }
        refused("`margin`") { Scheduler(1, margin = Double.NaN) }
        refused("`holdSeconds`") { Scheduler(1, holdSeconds = -1.0) }
    }

    private fun refused(text: String, mistake: () -> Unit) {
        val error = assertThrows(IllegalArgumentException::class.java) { mistake() }
        assertTrue(text in error.message!!, error.message)
    }
}
