package org.frkeras.demo.logic

import java.io.File
import java.io.IOException
import java.nio.ByteBuffer
import org.frkeras.scheduler.Capacity

/**
 * A network of several capacities.
 *
 * @property title What people call it.
 * @property capacities What each needs, from the smallest to the largest; times are a computer's.
 */
class NestedNetwork(val name: String, val title: String, val capacities: List<Capacity>)

/** Where the files of capacities come from. Is used by several threads. */
interface CapacitySource {
    val networks: List<NestedNetwork>

    /**
     * Returns the `.tflite` file of a capacity.
     *
     * @throws IOException If it is damaged, or there is no room for it.
     */
    fun flatbuffer(network: NestedNetwork, place: Int): File

    /**
     * Returns rows to run a capacity on.
     *
     * @throws IOException If there are none.
     */
    fun rows(network: NestedNetwork, place: Int): Reference
}

/** A nested network with what is bundled for each capacity, in their order. */
class NestedFiles(val network: NestedNetwork, val files: List<ModelFile>)

/** Capacities that are bundled: in one archive for each network, or in a file each. */
class BundledCapacities(nested: List<NestedFiles>, private val files: Files) : CapacitySource {
    private val bundled = nested.associate { it.network to it.files }
    override val networks = nested.map { it.network }

    override fun flatbuffer(network: NestedNetwork, place: Int): File =
        files.flatbuffer(bundled.getValue(network)[place])

    override fun rows(network: NestedNetwork, place: Int): Reference =
        files.reference(bundled.getValue(network)[place])
}

/** A capacity that is loaded, with rows that it runs on, one after the other. */
internal class LoadedCapacity(
    val place: Int,
    private val network: Network,
    private val reference: Reference,
) : AutoCloseable {
    private val rows = reference.rows(network.input, network.output)
    private val input: ByteBuffer = network.input.buffer()
    private val output: ByteBuffer = network.output.buffer()
    private var row = 0

    /** Runs it on the next row. */
    fun frame() {
        reference.input(row, network.input, input)
        output.clear()
        network.run(input, output)
        row = (row + 1) % rows
    }

    /** The median of some inferences after some others, in milliseconds. */
    fun milliseconds(clock: () -> Double): Double {
        repeat(WARMUP) { frame() }
        val times = DoubleArray(RUNS) {
            val begin = clock()
            frame()
            (clock() - begin) * MILLISECONDS
        }
        return percentile(times, MEDIAN)
    }

    override fun close() = network.close()

    private companion object {
        const val WARMUP = 2
        const val RUNS = 7
        const val MEDIAN = 50.0
        const val MILLISECONDS = 1e3
    }
}

/** Loads a capacity, on one thread of the CPU. */
internal fun CapacitySource.load(
    engine: Engine,
    network: NestedNetwork,
    place: Int,
): LoadedCapacity {
    val rows = rows(network, place)
    val file = flatbuffer(network, place)
    return owning { resources ->
        val opened = resources.add(engine.open(file, Accelerator.CPU, threads = 1))
        LoadedCapacity(place, opened, rows)
    }
}

/** What came of work with a network; or `null`, and [failed] is told why. */
internal inline fun <T : Any> tried(failed: (String) -> Unit, work: () -> T): T? =
    try {
        work()
    } catch (error: RefusedException) {
        failed(error.message.orEmpty())
        null
    } catch (error: IOException) {
        failed(error.message.orEmpty())
        null
    } catch (error: IllegalArgumentException) {
        failed(error.message.orEmpty())
        null
    } catch (_: OutOfMemoryError) {
        failed("There is not enough memory")
        null
    }
