package org.frkeras.scheduler

/** Reads JSON without escapes into maps, lists, texts, numbers as text, and `null`. */
internal class Json private constructor(private val text: String) {
    private var at = 0

    private fun value(): Any? = when (next()) {
        '{' -> LinkedHashMap<String, Any?>().also { found ->
            items('}') {
                val key = value() as String
                check(next() == ':')
                at++
                found[key] = value()
            }
        }
        '[' -> ArrayList<Any?>().also { found -> items(']') { found += value() } }
        '"' -> text.substring(at + 1, text.indexOf('"', at + 1)).also { at += it.length + 2 }
        else -> Regex("[^\\s,\\]}]+").matchAt(text, at)!!.value.let {
            at += it.length
            if (it == "null") null else it.toDouble()
        }
    }

    private fun items(end: Char, item: () -> Unit) {
        at++
        while (next() != end) {
            item()
            if (next() == ',') at++
        }
        at++
    }

    private fun next(): Char {
        while (text[at].isWhitespace()) at++
        return text[at]
    }

    companion object {
        fun parse(text: String): Any? = Json(text).value()
    }
}

internal fun Any?.map(): Map<*, *> = this as Map<*, *>

internal fun Any?.list(): List<*> = this as List<*>

internal fun Any?.number(): Double = this as Double

internal fun Any?.whole(): Int = number().toInt()

/** An application as `dataclasses.asdict` of Python writes it. */
internal fun application(held: Any?): Application = held.map().let { one ->
    Application(
        one["name"] as String,
        one["capacities"].list().map {
            val figures = it.map()
            Capacity(
                figures["accuracy"].number(),
                figures["memory"].number().toLong(),
                figures["latency_ms"].number(),
            )
        },
        one["goal"].number(),
        one["bound_ms"].number(),
        one["priority"].number(),
        one["late"].number(),
    )
}
