package org.frkeras.demo.logic

/** JSON in values of Kotlin's own: `Map`, `List`, `String`, `Double`, `Boolean` and `null`. */
class JsonParser private constructor(private val text: String) {
    private var position = 0

    private fun document(): Any? {
        val found = value()
        blanks()
        if (position != text.length) throw refused("the end")
        return found
    }

    private fun value(): Any? {
        blanks()
        return when (peek()) {
            '{' -> entries()
            '[' -> items()
            '"' -> string()
            't' -> word("true", true)
            'f' -> word("false", false)
            'n' -> word("null", null)
            else -> number()
        }
    }

    private fun entries(): Map<String, Any?> {
        val found = LinkedHashMap<String, Any?>()
        position++
        if (skip('}')) return found
        do {
            blanks()
            val key = string()
            if (!skip(':')) throw refused("':'")
            found[key] = value()
        } while (skip(','))
        if (!skip('}')) throw refused("'}'")
        return found
    }

    private fun items(): List<Any?> {
        val found = ArrayList<Any?>()
        position++
        if (skip(']')) return found
        do found += value() while (skip(','))
        if (!skip(']')) throw refused("']'")
        return found
    }

    private fun string(): String {
        if (peek() != '"') throw refused("a string")
        position++
        val out = StringBuilder()
        while (peek() != '"') {
            val letter = text[position++]
            out.append(if (letter == '\\') escape() else letter)
        }
        position++
        return out.toString()
    }

    private fun escape(): Char {
        val letter = peek()
        position++
        return when (letter) {
            'n' -> '\n'
            't' -> '\t'
            'r' -> '\r'
            'b' -> '\b'
            'f' -> '\u000c'
            'u' -> {
                val digits = text.substring(position, minOf(position + 4, text.length))
                position += digits.length
                digits.toIntOrNull(16)?.toChar() ?: throw refused("four digits")
            }
            '"', '\\', '/' -> letter
            else -> throw refused("an escape")
        }
    }

    private fun number(): Double {
        val begin = position
        while (position < text.length && text[position] in "+-.0123456789eE") position++
        return text.substring(begin, position).toDoubleOrNull() ?: throw refused("a value")
    }

    private fun <T> word(word: String, value: T): T {
        if (!text.startsWith(word, position)) throw refused("a value")
        position += word.length
        return value
    }

    private fun skip(character: Char): Boolean {
        blanks()
        val found = peek() == character
        if (found) position++
        return found
    }

    private fun blanks() {
        while (position < text.length && text[position] in " \n\r\t") position++
    }

    private fun peek(): Char = if (position < text.length) text[position] else throw refused("more")

    private fun refused(wanted: String) =
        IllegalArgumentException("JSON must have $wanted at character $position")

    companion object {
        /** @throws IllegalArgumentException If [text] is no JSON. */
        fun parse(text: String): Any? = JsonParser(text).document()
    }
}

/** Returns the JSON of a value made of maps, lists, strings, numbers and booleans. */
fun toJson(value: Any?): String = StringBuilder().also { write(value, it, "\n") }.toString()

private fun write(value: Any?, out: StringBuilder, line: String) {
    when (value) {
        is Map<*, *> -> writeAll(value.entries, out, line, "{}") { (key, held), inner ->
            writeString(key as String, out)
            out.append(": ")
            write(held, out, inner)
        }
        is List<*> -> writeAll(value, out, line, "[]") { held, inner -> write(held, out, inner) }
        is String -> writeString(value, out)
        is Double -> {
            require(value.isFinite()) { "JSON has no number for $value" }
            out.append(value)
        }
        null, is Boolean, is Int, is Long -> out.append(value)
        else -> throw IllegalArgumentException("JSON has nothing for ${value::class}")
    }
}

private fun <T> writeAll(
    items: Collection<T>,
    out: StringBuilder,
    line: String,
    brackets: String,
    item: (T, String) -> Unit,
) {
    val inner = "$line "
    out.append(brackets[0])
    items.forEachIndexed { place, one ->
        out.append(if (place == 0) inner else ",$inner")
        item(one, inner)
    }
    if (items.isNotEmpty()) out.append(line)
    out.append(brackets[1])
}

private fun writeString(text: String, out: StringBuilder) {
    out.append('"')
    for (letter in text) {
        when {
            letter == '"' || letter == '\\' -> out.append('\\').append(letter)
            letter < ' ' -> out.append("\\u%04x".format(letter.code))
            else -> out.append(letter)
        }
    }
    out.append('"')
}
