package org.frkeras.scheduler

import java.io.File

/**
 * Makes the choices of a file of cases three times, and prints the policy and the milliseconds of
 * each of the last time, for `benchmarks/scheduler.py`: `Measure cases.json`.
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
        repeat(3) { round ->
            for (policy in Policy.entries) {
                for ((applications, memory, units) in given) {
                    val begin = System.nanoTime()
                    choose(applications, memory, units, policy)
                    val took = (System.nanoTime() - begin) / 1e6
                    if (round == 2) println("${policy.name.lowercase()} $took")
                }
            }
        }
    }
}
