package org.frkeras.archive

private const val DEEPEST = 100
private const val LONGEST_NUMBER = 32
private val SHORT_ESCAPES = mapOf(
    '"' to '"',
    '\\' to '\\',
    'b' to '\b',
    'f' to '\u000c',
    'n' to '\n',
    'r' to '\r',
    't' to '\t',
)
private val WHOLE = Regex("0|-?[1-9][0-9]*")
private val REAL = Regex("-?(0|[1-9][0-9]*)(\\.[0-9]+)?(e[+-][0-9]+)?")

/** A text that is not canonical JSON; says what is wrong. */
internal class JsonException(message: String) : Exception(message)

/**
 * Checks that a text is JSON in its one canonical form: keys sorted by code point, no spaces, no
 * escape where none is needed, numbers as Python writes them. Keeps nothing but its place.
 */
internal class CanonicalJson(private val text: String) {
    /** The place that is read next. */
    var position = 0
        private set

    /** Reads a value that lies at [depth], the outermost being 1. */
    fun value(depth: Int = 1) {
        if (depth > DEEPEST) throw refused("it is more than $DEEPEST levels deep")
        when (peek()) {
            '{' -> entries(depth)
            '[' -> items(depth)
            '"' -> string()
            't' -> word("true")
            'f' -> word("false")
            'n' -> word("null")
            else -> number()
        }
    }

    /** Reads one character. */
    fun token(character: Char) {
        if (peek() != character) throw refused("'$character' is missing")
        position++
    }

    /** Checks that nothing follows. */
    fun end() {
        if (position != text.length) throw refused("it does not end where it should")
    }

    /** Reads a string and returns what it stands for. */
    fun string(): String {
        token('"')
        val out = StringBuilder()
        while (peek() != '"') {
            val character = text[position++]
            when {
                character == '\\' -> out.append(escape())
                character < ' ' -> throw refused("a control character must be escaped")
                else -> out.append(character)
            }
        }
        position++
        return out.toString()
    }

    private fun entries(depth: Int) {
        token('{')
        if (skip('}')) return
        var before: String? = null
        do {
            val key = string()
            if (before != null && !isBefore(before, key)) throw refused("its keys are not sorted")
            before = key
            token(':')
            value(depth + 1)
        } while (skip(','))
        token('}')
    }

    private fun items(depth: Int) {
        token('[')
        if (skip(']')) return
        do value(depth + 1) while (skip(','))
        token(']')
    }

    private fun escape(): Char {
        val letter = peek()
        position++
        SHORT_ESCAPES[letter]?.let { return it }
        val digits = text.substring(position, minOf(position + 4, text.length))
        val code = if (letter == 'u' && digits.length == 4) digits.toIntOrNull(16) else null
        val character = code?.toChar()
        // Other control characters alone are written so, with small letters.
        if (character == null || character >= ' ' || character in SHORT_ESCAPES.values ||
            digits != "%04x".format(code)
        ) {
            throw refused("an escape is not needed")
        }
        position += 4
        return character
    }

    private fun number() {
        val begin = position
        while (position < text.length && text[position] in "+-.0123456789e") position++
        val number = text.substring(begin, minOf(position, begin + LONGEST_NUMBER))
        val isWhole = WHOLE.matches(number) && number.toLongOrNull() != null
        if (!isWhole && !(isReal(number) && isShortestReal(number))) {
            throw refused("'$number' is no number in its shortest form")
        }
    }

    private fun isReal(number: String) =
        number.length < LONGEST_NUMBER && ('.' in number || 'e' in number) && REAL.matches(number)

    private fun word(word: String) {
        if (!text.startsWith(word, position)) throw refused("a value is missing")
        position += word.length
    }

    private fun skip(character: Char): Boolean {
        val found = peek() == character
        if (found) position++
        return found
    }

    private fun peek(): Char =
        if (position < text.length) text[position] else throw refused("it is cut")

    private fun refused(message: String) =
        JsonException("it is no canonical JSON, for $message (at character $position)")
}

/** Whether [a] comes before [b] by code point; the order of `String` is by UTF-16 unit. */
private fun isBefore(a: String, b: String): Boolean {
    var place = 0
    while (place < a.length && place < b.length && a[place] == b[place]) place++
    if (place == a.length || place == b.length) return a.length < b.length
    return rank(a[place]) < rank(b[place])
}

/** Surrogates stand for the code points above all others. */
private fun rank(unit: Char) = if (unit.isSurrogate()) unit.code + 0x10000 else unit.code
