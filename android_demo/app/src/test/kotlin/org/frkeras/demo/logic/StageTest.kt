package org.frkeras.demo.logic

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

class StageTest {
    private val world = World()
    private val engine = TogetherEngine(world)
    private val failures = ArrayList<String>()
    private var all = emptyMap<String, Performance>()
    private val stage = Stage(
        FakeSource(),
        engine,
        world.crew,
        { world.now },
        object : Audience {
            override fun performed(all: Map<String, Performance>) {
                this@StageTest.all = all
            }

            override fun failed(network: String, place: Int, why: String) {
                failures += "$network$place: $why"
            }
        },
    )

    private fun follow(limit: Long, vararg parts: Pair<String, Part>) {
        stage.follow(mapOf(*parts), limit)
        world.settle(loads = false)
    }

    private fun times(file: String) = engine.frames.filter { it.first == file }.map { it.second }

    @Test
    fun `each runs as often as it shall`() {
        follow(1000, "a" to Part(0, 50.0), "b" to Part(2, 20.0))
        world.pass(2.0)
        assertEquals(100.0, times("a0").size.toDouble(), 2.0)
        assertEquals(40.0, times("b2").size.toDouble(), 2.0)
        assertEquals(50.0, all.getValue("a").perSecond, 2.0)
        assertEquals(0L, all.getValue("a").missed)
        // A frame that another one keeps waiting is late, and the next one is on time again.
        val begin = times("a0").first()
        times("a0").forEachIndexed { n, time -> assertEquals(begin + n / 50.0, time, 0.0041) }
    }

    @Test
    fun `a switch drops no frame - the old capacity goes on while the new one is loaded`() {
        follow(1000, "a" to Part(0, 100.0))
        world.pass(1.0)
        follow(1000, "a" to Part(2, 100.0))
        assertEquals(2, all.getValue("a").loading)
        // The load takes half a second.
        world.pass(0.5, loads = false)
        assertEquals(listOf("a0"), engine.open)
        world.pass(0.5)
        assertEquals(listOf("a2"), engine.open)
        val both = engine.frames.map { it.second }
        assertTrue(both.zipWithNext { one, next -> next - one }.all { it < 0.0101 })
        assertEquals(50.0, times("a2").size.toDouble(), 1.0)
        val said = all.getValue("a")
        assertEquals(listOf(2, 1, 0), listOf(said.place, said.switches, said.closedFirst))
        assertEquals(0L, said.missed)
    }

    @Test
    fun `without room for both the old one is closed, and what is missed is counted and said`() {
        follow(400, "a" to Part(1, 100.0))
        world.pass(1.0)
        follow(400, "a" to Part(2, 100.0))
        assertTrue(engine.open.isEmpty())
        world.pass(0.2, loads = false)
        world.pass(1.5)
        assertEquals(400L, engine.peak)
        val said = all.getValue("a")
        assertEquals(1, said.closedFirst)
        assertEquals(1, said.switches)
        assertEquals(19.5, said.missedInSwitches.toDouble(), 1.0)
        assertEquals(said.missed, said.missedInSwitches)
    }

    @Test
    fun `a capacity that does not load leaves the old one running, and is not tried again`() {
        engine.broken["a2"] = broken
        follow(1000, "a" to Part(1, 100.0))
        world.pass(1.0)
        follow(1000, "a" to Part(2, 100.0))
        world.pass(1.0)
        assertEquals(listOf("a2: the file is damaged"), failures)
        assertEquals(listOf("a1"), engine.open)
        assertEquals(200.0, times("a1").size.toDouble(), 2.0)
        assertEquals(0L, all.getValue("a").missed)
        assertNull(all.getValue("a").loading)
        // The same again does nothing; another one is tried.
        follow(1000, "a" to Part(2, 50.0))
        world.pass(0.1)
        assertEquals(1, failures.size)
        follow(1000, "a" to Part(0, 50.0))
        world.pass(0.1)
        assertEquals(listOf("a0"), engine.open)
    }

    @Test
    fun `whatever a load throws is told, and the others go on`() {
        engine.broken["a0"] = { OutOfMemoryError() }
        engine.broken["b0"] = { RefusedException("no") }
        follow(1000, "a" to Part(0, 10.0), "b" to Part(0, 10.0), "c" to Part(0, 10.0))
        world.pass(1.0)
        assertEquals(listOf("a0: There is not enough memory", "b0: no"), failures)
        assertEquals(10.0, times("c0").size.toDouble(), 1.0)
    }

    @Test
    fun `a capacity that fails to run is closed and told`() {
        engine.failing += "a1"
        follow(1000, "a" to Part(1, 10.0), "b" to Part(0, 10.0))
        world.pass(1.0)
        assertEquals(listOf("a1: a1 fails"), failures)
        assertEquals(listOf("b0"), engine.open)
        assertEquals(10.0, times("b0").size.toDouble(), 1.0)
    }

    @Test
    fun `a wish that changes while it is loaded is followed`() {
        follow(1000, "a" to Part(0, 100.0))
        world.pass(0.1)
        follow(1000, "a" to Part(1, 100.0))
        follow(1000, "a" to Part(2, 100.0))
        follow(1000, "a" to Part(0, 100.0))
        world.pass(0.5)
        assertEquals(listOf("a0"), engine.open)
        assertTrue(times("a1").isEmpty() && times("a2").isEmpty())
        assertEquals(0, all.getValue("a").switches)
        follow(1000, "a" to Part(1, 100.0))
        follow(1000, "a" to Part(2, 100.0))
        world.pass(0.5)
        assertEquals(listOf("a2"), engine.open)
        assertTrue(times("a1").isEmpty())
        assertEquals(0L, all.getValue("a").missed)
    }

    @Test
    fun `what stops while it is loaded is closed`() {
        follow(1000, "a" to Part(0, 100.0))
        stage.stop()
        world.pass(1.0)
        assertTrue(engine.open.isEmpty())
        assertTrue(engine.frames.isEmpty())
    }

    @Test
    fun `a phone that is slower than its profile misses frames and is fair`() {
        engine.slowness = 10.0
        follow(1000, "a" to Part(0, 100.0), "b" to Part(0, 100.0))
        world.pass(2.0)
        stage.stop()
        world.settle()
        assertEquals(100.0, all.getValue("a").missed.toDouble(), 3.0)
        val (a, b) = listOf("a0", "b0").map { times(it).size.toDouble() }
        assertEquals(a, b, 2.0)
        // They were missed in no switch.
        assertEquals(0L, all.getValue("a").missedInSwitches)
    }

    @Test
    fun `another pace begins at once`() {
        follow(1000, "a" to Part(0, 0.1))
        world.pass(1.0)
        assertEquals(1, times("a0").size)
        follow(1000, "a" to Part(0, 10.0))
        world.pass(1.0)
        assertEquals(11.0, times("a0").size.toDouble(), 1.0)
        assertEquals(0L, all.getValue("a").missed)
    }
}
