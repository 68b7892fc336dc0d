package org.frkeras.scheduler

import java.io.File
import java.lang.management.ManagementFactory

/**
 * Makes the choices of a file of cases three times, and prints the policy and the milliseconds of
 * the processor for each of the last time, for `benchmarks/scheduler.py`: `Measure cases.json`.
 */
internal object Measure {
    @JvmStatic
    fun main(arguments: Array<String>) {
        val cases = Json.parse(File(arguments.single()).readText()).list().map { it.map() }
        val given = cases.map { one ->
            Triple(
                one["applications"].list().map(::application),
                one["memory"].number().toLong(),
                one["units"].whole(),
            )
        }
        val clock = ManagementFactory.getThreadMXBean()
        repeat(3) { round ->
            for (policy in Policy.entries) {
                for ((applications, memory, units) in given) {
                    val begin = clock.currentThreadCpuTime
                    choose(applications, memory, units, policy)
                    val took = (clock.currentThreadCpuTime - begin) / 1e6
                    if (round == 2) println("${policy.name.lowercase()} $took")
                }
            }
        }
    }
}
