package org.frkeras.scheduler

import java.io.File
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** The choices of Python, to the last bit: `tests/scheduler_vectors.json`. */
class VectorsTest {
    private val vectors = Json.parse(File(System.getProperty("scheduler.vectors")).readText()).map()

    @Test
    fun `choices are those of Python`() {
        val choices = vectors["choices"].list().map { it.map() }
        assertTrue(choices.size > 50)
        for (one in choices) {
            val plan = choose(
                one["applications"].list().map(::application),
                one["memory"].number().toLong(),
                one["units"].whole(),
                policy(one),
            )
            checkOutcome(one, plan, "$one")
            one["cost"]?.let { assertEquals(it.number(), plan.cost, 0.0) }
            one["worst"]?.let { assertEquals(it.number(), plan.worst, 0.0) }
        }
    }

    @Test
    fun `a scheduler does what that of Python does`() {
        for (trace in vectors["traces"].list().map { it.map() }) {
            val scheduler = Scheduler(trace["memory"].number().toLong(), policy(trace))
            for (step in trace["steps"].list().map { it.map() }) {
                val plan = scheduler.happen(step)
                checkOutcome(step, plan, "$step")
                assertEquals(step["due"], scheduler.due, "$step")
                assertEquals(step["memory"].number().toLong(), scheduler.memoryNow, "$step")
                assertEquals(step["units"].whole(), scheduler.unitsNow, "$step")
            }
        }
    }

    private fun Scheduler.happen(step: Map<*, *>): Plan {
        val given = step["given"].list()
        val now = step["now"].number()
        return when (step["event"]) {
            "start" -> start(application(given[0]), now)
            "end" -> end(given[0] as String, now)
            "prioritize" -> prioritize(given[0] as String, given[1].number(), now)
            "bound" -> bound(
                given[0].map().entries.associate { it.key as String to it.value.number() },
                now,
            )
            "allow" -> allow(given[0].number().toLong(), now)
            "trim" -> trim(given[0].whole(), now)
            "heat" -> heat(given[0].whole(), now)
            else -> update(now)
        }
    }

    private fun policy(held: Map<*, *>) = Policy.valueOf((held["policy"] as String).uppercase())

    private fun checkOutcome(wanted: Map<*, *>, plan: Plan, about: String) {
        val shares = wanted["shares"].map().mapValues { (_, held) ->
            Share(held.list()[0].whole(), held.list()[1].whole())
        }
        assertEquals(shares, plan.shares, about)
        val waiting = wanted["waiting"].map()
            .mapValues { Lack.valueOf((it.value as String).uppercase()) }
        assertEquals(waiting, plan.waiting, about)
    }
}
