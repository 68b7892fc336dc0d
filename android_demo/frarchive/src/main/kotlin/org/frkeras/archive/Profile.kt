package org.frkeras.archive

private const val MOST_TEXT = 1 shl 12

/** What a file says of one of its networks: canonical JSON, and what the network costs. */
internal class Profile(val text: ByteArray, val json: String, val share: Double)

/** Reads a profile; [before] is what its window begins with. */
internal fun readProfile(section: Section, before: ByteArray): Profile {
    val decoder = section.decoder()
    val text = decompress(decoder, MOST_TEXT, before)
    try {
        val json = text.decodeToString(throwOnInvalidSequence = true)
        CanonicalJson(json).run {
            value()
            end()
        }
        val share = shareIn(json)?.toDoubleOrNull()
        if (share == null || share <= 0 || share > 1) {
            throw JsonException("it has no `share` above 0 and at most 1")
        }
        return Profile(text, json, share)
    } catch (error: CharacterCodingException) {
        throw decoder.refused("The profile is refused: it is no UTF-8")
    } catch (error: JsonException) {
        throw decoder.refused("The profile is refused: ${error.message}")
    }
}

/** The value of `share` in a canonical text. */
private fun shareIn(json: String): String? {
    val found = CanonicalJson(json)
    var share: String? = null
    found.token('{')
    while (json[found.position] != '}') {
        if (json[found.position] == ',') found.token(',')
        val key = found.string()
        found.token(':')
        val begin = found.position
        found.value(depth = 2)
        if (key == "share") share = json.substring(begin, found.position)
    }
    return share
}
