package org.frkeras.demo.logic

import java.io.File
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.PriorityQueue
import org.frkeras.scheduler.Capacity

private val PIXEL = TensorType("in", listOf(1, 1), NumberType.INT8)
private val CLASS = TensorType("out", listOf(1, 1), NumberType.INT8)

/** Three networks of three capacities of 100 to 400 bytes; each frame takes its milliseconds. */
internal val NETWORKS = listOf("a", "b", "c").map { name ->
    NestedNetwork(
        name,
        "Network $name",
        listOf(
            Capacity(0.8, 100, 1.0),
            Capacity(0.9, 200, 2.0),
            Capacity(0.95, 400, 4.0),
        ),
    )
}

/** A clock, threads and timers in the hands of a test; loads wait until the test lets them. */
internal class World {
    var now = 100.0
    val hands = Hands()
    val load = Queue()
    private val timers = PriorityQueue<Timer>(compareBy({ it.at }, { it.number }))
    private var number = 0
    val crew = Crew(hands.threads, load) { seconds, work ->
        timers += Timer(now + seconds, number++) { hands.work.execute { work() } }
    }

    /** Does all that can be done now, and loads only if [loads]. */
    fun settle(loads: Boolean = true) {
        do hands.all() while (loads && load.step())
    }

    /** Lets time pass; frames take some of it. What is not done in this time stays to be done. */
    fun pass(seconds: Double, loads: Boolean = true) {
        val end = now + seconds
        while (now <= end) {
            // Each has its turn: a thread with too much to do does not stop the others.
            val did = listOf(hands.work.step(), hands.main.step(), loads && load.step())
            if (true in did) continue
            val next = timers.peek()?.takeIf { it.at <= end } ?: break
            timers.poll()
            now = maxOf(now, next.at)
            next.work()
        }
        while (hands.main.step()) continue
        now = maxOf(now, end)
    }

    private class Timer(val at: Double, val number: Int, val work: () -> Unit)
}

/** Capacities whose files are called `a0` to `c2`. */
internal class FakeSource(override val networks: List<NestedNetwork> = NETWORKS) : CapacitySource {
    override fun flatbuffer(network: NestedNetwork, place: Int) = File("${network.name}$place")

    /** Two rows. */
    override fun rows(network: NestedNetwork, place: Int): Reference {
        val content = ByteBuffer.allocate(2 * (PIXEL.bytes + CLASS.bytes))
        return Reference(content.order(ByteOrder.LITTLE_ENDIAN).array())
    }
}

/** Loads what [FakeSource] has. Its frames take time of the [world], and it keeps a diary. */
internal class TogetherEngine(private val world: World) : Engine {
    override val version = "fake"

    /** Files that do not load, with what comes instead. */
    val broken = HashMap<String, () -> Throwable>()

    /** Files that load, and then fail to run. */
    val failing = HashSet<String>()

    /** The files that are open, each as often as it is. */
    val open = ArrayList<String>()

    /** The most bytes that were open at once. */
    var peak = 0L
    val frames = ArrayList<Pair<String, Double>>()

    /** How much slower frames are than the profiles say. */
    var slowness = 1.0

    override fun open(file: File, accelerator: Accelerator, threads: Int): Network {
        broken[file.name]?.let { throw it() }
        open += file.name
        peak = maxOf(peak, bytes())
        return FakeNetwork(file.name)
    }

    fun bytes(): Long = open.sumOf { capacity(it).memory }

    private fun capacity(file: String) =
        NETWORKS.first { it.name == file.take(1) }.capacities[file.drop(1).toInt()]

    private inner class FakeNetwork(private val file: String) : Network {
        override val input = PIXEL
        override val output = CLASS
        override val notes = emptyList<String>()

        override fun run(input: ByteBuffer, output: ByteBuffer) {
            check(file in open) { "$file runs and is closed" }
            check(input.position() == 0 && output.position() == 0)
            if (file in failing) throw RefusedException("$file fails")
            frames += file to world.now
            world.now += capacity(file).latencyMs / 1000 * slowness
            output.put(0)
        }

        override fun close() {
            check(open.remove(file)) { "$file is closed twice" }
        }
    }
}

internal val broken = { IOException("the file is damaged") }
