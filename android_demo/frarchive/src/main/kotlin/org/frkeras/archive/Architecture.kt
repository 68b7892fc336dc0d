package org.frkeras.archive

import java.util.zip.CRC32

private const val MOST_TEXT = 1 shl 21
private const val DICTIONARY_CRC = 0xAE536979

// From the root: a shrinker may rename the package of the class, and leaves the file.
private const val DICTIONARY = "/org/frkeras/archive/dictionary.txt"

/** Which network the numbers of an archive belong to, as canonical JSON. Nothing in it can run. */
public sealed interface Architecture {
    /**
     * A network that a reader knows by name.
     *
     * @property name Its name, as `lenet5`.
     * @property arguments A JSON object of its arguments, as `{"batch_norm":true}`.
     */
    public data class Reference(val name: String, val arguments: String) : Architecture

    /**
     * A network by its whole configuration.
     *
     * @property json A JSON object.
     */
    public data class Config(val json: String) : Architecture
}

/** An architecture, and the text that says it. */
internal class ArchitectureText(val architecture: Architecture, val text: ByteArray)

/** Reads an architecture; [before] is what its window holds behind the dictionary. */
internal fun readArchitecture(
    section: Section,
    before: ByteArray = ByteArray(0),
): ArchitectureText {
    val decoder = section.decoder()
    val text = decompress(decoder, MOST_TEXT, dictionary + before)
    try {
        val architecture = parsed(text.decodeToString(throwOnInvalidSequence = true))
        return ArchitectureText(architecture, text)
    } catch (error: CharacterCodingException) {
        throw decoder.refused("The architecture is refused: it is no UTF-8")
    } catch (error: JsonException) {
        throw decoder.refused("The architecture is refused: ${error.message}")
    }
}

private fun parsed(text: String): Architecture {
    val json = CanonicalJson(text)
    if (text.startsWith("{")) {
        json.value()
        json.end()
        return Architecture.Config(text)
    }
    json.token('[')
    val name = json.string()
    json.token(',')
    val begin = json.position
    if (name.isEmpty() || !text.startsWith("{", begin)) {
        throw JsonException("an architecture is [name, {arguments}] with a name, or an object")
    }
    json.value(depth = 2)
    val arguments = text.substring(begin, json.position)
    json.token(']')
    json.end()
    return Architecture.Reference(name, arguments)
}

/** The text with which the window of an architecture begins, a part of the format. */
private val dictionary: ByteArray by lazy {
    val stream = checkNotNull(Architecture::class.java.getResourceAsStream(DICTIONARY)) {
        "`$DICTIONARY` must be packed with the classes"
    }
    val bytes = stream.use { it.readBytes() }
    val crc = CRC32().apply { update(bytes, 0, bytes.size) }
    check(crc.value == DICTIONARY_CRC) { "`$DICTIONARY` is not the dictionary of the format" }
    bytes
}
