package org.frkeras.archive

import java.io.File

/**
 * Expands an archive so many times and prints the milliseconds of each, and the largest resident
 * size in kB, for `benchmarks/archive_jvm.py`: `Measure m.fr m.tflite 20`.
 */
internal object Measure {
    @JvmStatic
    fun main(arguments: Array<String>) {
        val (archive, file, runs) = arguments
        repeat(runs.toInt()) {
            val begin = System.nanoTime()
            val decoded = File(archive).inputStream().use { Archive.decode(it) }
            File(file).outputStream().use { decoded.expand(it) }
            println((System.nanoTime() - begin) / 1e6)
        }
        val status = File("/proc/self/status").readLines()
        println(status.first { it.startsWith("VmHWM") }.filter(Char::isDigit))
    }
}
