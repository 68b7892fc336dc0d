package org.frkeras.demo.logic

import java.util.ArrayDeque

/** What has to be closed together: the last that was added first, and all of it. */
class Resources : AutoCloseable {
    private val held = ArrayDeque<AutoCloseable>()

    /** Takes one over, and returns it. */
    fun <T : AutoCloseable> add(one: T): T = one.also(held::push)

    override fun close() {
        var first: Throwable? = null
        while (held.isNotEmpty()) {
            try {
                held.pop().close()
            } catch (error: Throwable) {
                first?.addSuppressed(error)
                first = first ?: error
            }
        }
        first?.let { throw it }
    }
}

/** Makes something that owns [Resources]; they are closed if that does not come to its end. */
inline fun <T> owning(work: (Resources) -> T): T {
    val resources = Resources()
    try {
        return work(resources)
    } catch (error: Throwable) {
        try {
            resources.close()
        } catch (other: Throwable) {
            error.addSuppressed(other)
        }
        throw error
    }
}
