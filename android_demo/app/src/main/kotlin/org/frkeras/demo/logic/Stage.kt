package org.frkeras.demo.logic

import java.util.concurrent.Executor

/**
 * Who works for networks that run together.
 *
 * @property threads Frames run on the thread that works, one at a time.
 * @property load Where networks are loaded meanwhile.
 * @property later Has the thread that works do something after some seconds.
 */
class Crew(
    val threads: Threads,
    val load: Executor,
    val later: (seconds: Double, work: () -> Unit) -> Unit,
)

/** Hears what happens on a [Stage], on the main thread. */
interface Audience {
    /** How each network runs: after each switch, and once a second. */
    fun performed(all: Map<String, Performance>)

    /** A capacity did not load, or failed. */
    fun failed(network: String, place: Int, why: String)
}

/**
 * Runs several networks in turn, each as often as it shall, and gives them other capacities while
 * they run: the new one is loaded on another thread while the old one goes on, and takes over
 * between two frames. Where memory has no room for both, the old one is closed first.
 *
 * @property clock Seconds.
 */
class Stage(
    private val source: CapacitySource,
    private val engine: Engine,
    private val crew: Crew,
    private val clock: () -> Double,
    private val audience: Audience,
) {
    // All of this belongs to the thread that works.
    private val runners = source.networks.map(::Runner)
    private var limit = 0L
    private var isLoading = false
    private var turn = 0
    private var told = clock()

    /**
     * Gives each network its part; those without one stop.
     *
     * @param limit The bytes that all together may take.
     */
    fun follow(parts: Map<String, Part>, limit: Long) = crew.threads.work.execute {
        this.limit = limit
        runners.forEach { it.take(parts[it.network.name], clock()) }
        proceed()
    }

    /** Stops all. */
    fun stop() = follow(emptyMap(), 0)

    /** Does what can be done, and waits for the next frame. */
    private fun proceed() {
        change()
        tell()
        await()
    }

    /** Closes and loads until all have what they shall have, or something is being loaded. */
    private fun change() {
        while (!isLoading) {
            val step = nextStep(runners.map { it.holding }, limit) ?: return
            val runner = runners[step.place]
            when (step) {
                is Step.Close -> runner.closeFirst()
                is Step.Load -> load(runner, checkNotNull(runner.part).place)
            }
        }
    }

    private fun load(runner: Runner, place: Int) {
        isLoading = true
        runner.load(place)
        crew.load.execute {
            var why = ""
            val made = tried({ why = it }) { source.load(engine, runner.network, place) }
            crew.threads.work.execute {
                isLoading = false
                if (made == null) refuse(runner, place, why) else arrive(runner, made)
                proceed()
            }
        }
    }

    /** What is there may not be wanted any more. */
    private fun arrive(runner: Runner, made: LoadedCapacity) {
        if (runner.part?.place == made.place) {
            runner.swap(made, clock())
        } else {
            runner.waive()
            made.close()
        }
    }

    private fun refuse(runner: Runner, place: Int, why: String) {
        runner.refuse(place)
        val name = runner.network.name
        crew.threads.main.execute { audience.failed(name, place, why) }
    }

    /** Wakes up for the next frame, and for nothing that was waited for before. */
    private fun await() {
        val number = ++turn
        val due = runners.mapNotNull { it.ready }.minOrNull() ?: return
        val wait = due - clock()
        val next = { if (number == turn) play() }
        if (wait > 0) crew.later(wait, next) else crew.threads.work.execute(next)
    }

    /** Runs one frame: whatever else the thread has to do is then done before the next one. */
    private fun play() {
        val now = clock()
        val (runner, due) = runners.mapNotNull { one -> one.ready?.let { one to it } }
            .minByOrNull { it.second } ?: return
        if (due > now) return await()
        val place = checkNotNull(runner.place)
        var why = ""
        if (tried({ why = it }) { runner.frame(now) } == null) {
            refuse(runner, place, why)
            return proceed()
        }
        if (now - told >= TELLING) {
            runners.forEach { it.count(now - told) }
            told = now
            tell()
        }
        await()
    }

    private fun tell() {
        val all = runners.associate { it.network.name to it.performance }
        crew.threads.main.execute { audience.performed(all) }
    }

    private companion object {
        const val TELLING = 1.0
    }
}
