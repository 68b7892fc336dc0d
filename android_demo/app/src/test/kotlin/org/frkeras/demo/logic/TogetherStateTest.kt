package org.frkeras.demo.logic

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

class TogetherStateTest {
    private val world = World()
    private val engine = TogetherEngine(world)
    private val state = state()

    private fun state() = TogetherState(FakeSource(), engine, world.crew) { world.now }

    /** The screen is seen, and all is measured. */
    private fun TogetherState.begun(memory: Long = 1200): TogetherState {
        allow(memory / 1200.0)
        enter()
        world.pass(0.5)
        return this
    }

    private fun places() = state.lines.map { it.place }

    private fun standings() = state.lines.map { it.standing }

    private fun pace(perSecond: Double) =
        state.pace(Math.log10(perSecond) / 3)

    @Test
    fun `first all capacities are measured, and nothing runs meanwhile`() {
        engine.slowness = 2.0
        state.allow(1.0)
        state.enter()
        assertEquals(0 to 9, state.measured to state.capacities)
        assertEquals(List(3) { Standing.MEASURING }, standings())
        assertTrue(engine.open.isEmpty())
        world.settle(loads = false)
        assertEquals(9, state.measured)
        // Each alone.
        assertEquals(400L, engine.peak)
        world.pass(1.0)
        assertEquals(listOf(2, 2, 2), places())
        assertTrue(state.lines.all { it.isMeasured })
        assertEquals(8.0, checkNotNull(state.lines[0].capacity).latencyMs, 1e-9)
        assertEquals(List(3) { Standing.RUNNING }, standings())
    }

    @Test
    fun `memory decides which capacity each has, and what no choice fits is said`() {
        state.begun()
        assertEquals(listOf(2, 2, 2), places())
        state.allow(0.5)
        world.pass(1.0)
        assertEquals(600L, engine.bytes())
        assertEquals(3, engine.open.size)
        state.allow(200 / 1200.0)
        world.pass(1.0)
        assertEquals(listOf(0, 0, null), places())
        assertEquals(Standing.NO_MEMORY, standings()[2])
        state.prioritize("c", true)
        world.pass(1.0)
        assertEquals(listOf(0, null, 0), places())
        state.allow(0.0)
        world.pass(1.0)
        assertEquals(List(3) { Standing.NO_MEMORY }, standings())
        assertTrue(engine.open.isEmpty())
    }

    @Test
    fun `networks are switched on and off, and the others take what is free`() {
        state.begun(600)
        assertEquals(600L, engine.bytes())
        world.pass(3.0)
        state.switch("b", false)
        world.pass(3.0)
        assertEquals(Standing.OFF, standings()[1])
        // 400 and 200, or 200 and 400.
        assertEquals(600L, engine.bytes())
        assertEquals(2, engine.open.size)
        state.switch("b", true)
        world.pass(3.0)
        assertEquals(3, engine.open.size)
    }

    @Test
    fun `nothing is missed while capacities change with room for both`() {
        state.begun()
        state.switch("c", false)
        repeat(6) {
            pace(if (it % 2 == 0) 30.0 else 500.0)
            world.pass(3.0)
        }
        val said = state.lines.take(2).map { it.performance }
        assertTrue(said.any { it.switches > 0 }, "$said")
        assertEquals(listOf(0L, 0L), said.map { it.missedInSwitches })
        assertEquals(listOf(0, 0), said.map { it.closedFirst })
    }

    @Test
    fun `sliders that move quickly do not make capacities flap`() {
        state.begun()
        var changes = 0
        var before = places()
        repeat(100) {
            state.allow(if (it % 2 == 0) 0.4 else 1.0)
            world.pass(0.05)
            if (places() != before) changes++
            before = places()
        }
        // In 5 seconds: down at once, and up again at most each 2 seconds.
        assertTrue(changes in 1..8, "$changes")
        assertTrue(engine.bytes() <= 480)
        state.allow(1.0)
        world.pass(3.0)
        assertEquals(listOf(2, 2, 2), places())
    }

    @Test
    fun `Android takes memory at once, and without another word it is back later`() {
        state.begun()
        state.trim(15)
        world.pass(1.0)
        assertEquals(480L, state.memoryNow)
        assertTrue(engine.bytes() <= 480)
        world.pass(20.0)
        state.trim(10)
        world.pass(20.0)
        assertEquals(720L, state.memoryNow)
        world.pass(15.0)
        assertEquals(1200L, state.memoryNow)
        assertEquals(listOf(2, 2, 2), places())
    }

    @Test
    fun `heat takes the processor, and a phone that shuts down runs nothing`() {
        state.begun()
        pace(100.0)
        state.heat(5)
        world.pass(5.0)
        assertEquals(20, state.unitsNow)
        val before = engine.frames.size
        world.pass(10.0)
        // 20 % of the time.
        val busy = engine.frames.drop(before).sumOf { (file, _) ->
            NETWORKS[0].capacities[file.drop(1).toInt()].latencyMs / 1000
        }
        assertEquals(2.0, busy, 0.1)
        state.heat(6)
        world.pass(1.0)
        assertEquals(List(3) { Standing.NO_PROCESSOR }, standings())
        assertTrue(engine.open.isEmpty())
        state.heat(0)
        world.pass(1.0)
        assertEquals(List(3) { Standing.RUNNING }, standings())
    }

    @Test
    fun `a capacity that does not load is left out until the network is switched on anew`() {
        state.begun(400)
        val old = places()[0]
        state.switch("b", false)
        state.switch("c", false)
        engine.broken["a2"] = broken
        world.pass(5.0)
        val line = state.lines[0]
        assertEquals("the file is damaged", line.failure)
        assertEquals(1, line.place)
        assertTrue(line.isOn && old != 2)
        engine.broken.clear()
        state.switch("a", false)
        state.switch("a", true)
        world.pass(5.0)
        assertEquals(2, places()[0])
        assertNull(state.lines[0].failure)
    }

    @Test
    fun `a network of which nothing loads is off, and says why`() {
        for (place in 0..2) engine.broken["a$place"] = broken
        state.begun()
        assertEquals(listOf(null, 2, 2), places())
        assertFalse(state.lines[0].isOn)
        assertEquals("the file is damaged", state.lines[0].failure)
        state.switch("a", true)
        world.pass(1.0)
        assertFalse(state.lines[0].isOn)
        engine.broken.clear()
        state.switch("a", true)
        world.pass(1.0)
        assertEquals(2, places()[0])
        // It was never measured.
        assertFalse(state.lines[0].isMeasured)
    }

    @Test
    fun `a screen that is left holds nothing, and goes on when it is seen again`() {
        state.begun()
        state.trim(80)
        state.leave()
        world.pass(60.0)
        assertTrue(engine.open.isEmpty())
        val before = engine.frames.size
        state.allow(0.9)
        state.trim(20)
        world.pass(1.0)
        assertEquals(before, engine.frames.size)
        state.enter()
        world.pass(3.0)
        assertEquals(1080L, state.memoryNow)
        assertTrue(places().all { it != null })
    }

    @Test
    fun `a screen that is left while it measures stops, and measures the rest later`() {
        state.enter()
        repeat(5) { world.hands.work.step() || world.hands.main.step() }
        val before = state.measured
        assertTrue(before in 1..8)
        state.leave()
        world.pass(1.0)
        assertEquals(before, state.measured)
        assertTrue(engine.open.isEmpty())
        state.enter()
        state.enter() // A rotation.
        world.pass(1.0)
        assertEquals(9, state.measured)
        assertEquals(List(3) { Standing.RUNNING }, standings())
    }

    @Test
    fun `what was set survives the end of the process`() {
        state.begun()
        state.allow(0.25)
        pace(125.0)
        state.switch("b", false)
        state.prioritize("c", true)
        val other = state()
        other.restore(state.save())
        assertEquals(300L, other.memory)
        assertEquals(125.0, other.perSecond, 1e-9)
        assertEquals(listOf(true, false, true), other.lines.map { it.isOn })
        assertEquals(listOf(false, false, true), other.lines.map { it.isFirst })
        assertEquals(0.25, other.memoryShare, 1e-9)
        assertEquals(state.paceShare, other.paceShare, 1e-9)
    }

    @Test
    fun `fixed networks have a third of the memory each, whatever runs`() {
        state.begun(600)
        world.pass(3.0)
        val (together, fixed) = checkNotNull(state.comparison)
        assertEquals(listOf(3, 3), listOf(fixed.asked, fixed.running))
        assertEquals(600L, fixed.memory)
        val numbers = listOf(fixed.accuracy, fixed.perSecond, fixed.cost)
        assertEquals(listOf(0.9, 90.0, 0.15), numbers.map(::round))
        assertTrue(together.cost <= fixed.cost)
        state.switch("b", false)
        state.switch("c", false)
        val alone = checkNotNull(state.comparison)
        assertEquals(0.9, alone.fixed.accuracy)
        world.pass(3.0)
        assertEquals(0.95, checkNotNull(state.comparison).together.accuracy)
        state.switch("a", false)
        assertNull(state.comparison)
    }

    @Test
    fun `fixed networks do not shrink when memory is short, and one of them cannot run`() {
        state.begun(600)
        state.trim(10)
        world.pass(1.0)
        val (together, fixed) = checkNotNull(state.comparison)
        assertEquals(3 to 1, together.running to fixed.running)
        // Two that do not run: their goals.
        assertEquals(0.3, fixed.accuracy, 1e-9)
        assertEquals(0.05 + 2 * 0.95, fixed.cost, 1e-9)
        assertTrue(together.cost < fixed.cost)
    }

    private fun round(number: Double) = Math.rint(number * 1e9) / 1e9
}
