"""Compression of text and flatbuffers: Lempel-Ziv tokens in the adaptive range coder.

Deflate is not used because its encoders differ: zlib and zlib-ng write different bytes for the
same text, but an archive must be the same on every machine. Adaptive probabilities and a window
that begins with a dictionary also make the result smaller.

A token is a literal byte, or a match: a length of bytes to repeat, and the distance back to them.

Source: the token syntax follows LZMA, simplified.
"""

import collections

from fr_archive._errors import ArchiveError
from fr_archive._integers import Numbers
from fr_archive.rangecoder import Chance, Decoder, Encoder

SHORTEST = 3
# The weights of three predictions of a byte: by its frequency, by the byte before, and by the byte
# four back with the position modulo 4, because flatbuffers are tables of 32-bit numbers.
_TRUST = (1, 3, 6)
# The encoder's effort: how many earlier places it compares, and the length at which it stops.
_CANDIDATES = 48
_ENOUGH = 256


class _Tokens:
    """The probabilities of tokens."""

    def __init__(self):
        self._is_match = [Chance() for _ in range(4)]
        self._again = Chance()
        self._bytes = collections.defaultdict(Chance)
        self._bytes_after = collections.defaultdict(Chance)
        self._bytes_below = collections.defaultdict(Chance)
        self._lengths = (Numbers(), Numbers())
        self._distances = Numbers(3 << 14)
        self._kinds = 0
        self.last_distance = 1
        self.size = Numbers(3 << 14)

    def is_match(self, coder: Encoder | Decoder, match: bool = False) -> int:
        """Codes whether a match follows, given the kinds of the last two tokens."""
        chance = self._is_match[self._kinds]
        bit = coder.bit(chance.one, int(match))
        chance.learn(bit)
        self._kinds = (self._kinds << 1 | bit) & 3
        return bit

    def literal(
        self, coder: Encoder | Decoder, window: bytes | bytearray, place: int, byte: int = 0
    ) -> int:
        """Codes the byte at `place` by its frequency, the byte before, and the byte four back."""
        after = window[place - 1]
        column = place & 3, window[place - 4] if place > 3 else 0
        node = 1
        for digit in range(7, -1, -1):
            chances = (
                self._bytes[node],
                self._bytes_after[after, node],
                self._bytes_below[column, node],
            )
            # The mean, weighted by how much each has learned; the specific ones get more trust.
            weights = [(c.seen + 1) * trust for c, trust in zip(chances, _TRUST, strict=True)]
            weighted = sum(c.one * weight for c, weight in zip(chances, weights, strict=True))
            bit = coder.bit(weighted // sum(weights), byte >> digit & 1)
            for chance in chances:
                chance.learn(bit)
            node = node << 1 | bit
        return node - 256

    def match(
        self, coder: Encoder | Decoder, length: int = SHORTEST, distance: int = 1
    ) -> tuple[int, int]:
        """Codes the length and the distance of a match."""
        again = coder.bit(self._again.one, int(distance == self.last_distance))
        self._again.learn(again)
        if not again:
            self.last_distance = 1 + self._distances.magnitude(coder, distance - 1)
        length = SHORTEST + self._lengths[again].magnitude(coder, length - SHORTEST)
        return length, self.last_distance


def compress(data: bytes, dictionary: bytes = b"\0") -> bytes:
    """Returns `data` compressed, with the same bytes on every machine.

    Args:
        data: At most `LARGEST` bytes.
        dictionary: The beginning of the window, at least one byte.
    """
    window = dictionary + data
    encoder, tokens, places = Encoder(), _Tokens(), _Places(window)
    tokens.size.magnitude(encoder, len(data))
    place = len(dictionary)
    places.add(0, place)
    while place < len(window):
        length, distance = places.longest(place, tokens.last_distance)
        # A literal comes first if the match after it is longer by more than this one byte.
        if 0 < length < _ENOUGH:
            later, _ = places.longest(place + 1, tokens.last_distance)
            length *= later <= length + 1
        tokens.is_match(encoder, length > 0)
        if length:
            tokens.match(encoder, length, distance)
        else:
            length = 1
            tokens.literal(encoder, window, place, window[place])
        places.add(place, place + length)
        place += length
    return encoder.finish()


def decompress(decoder: Decoder, most: int, dictionary: bytes = b"\0") -> bytes:
    """Returns the data that `compress` received with the same dictionary.

    Args:
        decoder: A decoder at the beginning of the compressed bytes.
        most: The most bytes that the data may have.

    Raises:
        ArchiveError: If the bytes are not the result of `compress`, or the data are too long.
    """
    window, tokens = bytearray(dictionary), _Tokens()
    size = tokens.size.magnitude(decoder)
    if size > most:
        raise ArchiveError(f"At most {most} bytes may be packed here, not {size}", decoder.position)
    end = len(window) + size
    while len(window) < end:
        if tokens.is_match(decoder):
            length, distance = tokens.match(decoder)
            if distance > len(window) or length > end - len(window):
                raise ArchiveError(
                    f"A match of {length} bytes, {distance} bytes back, lies outside of the window",
                    decoder.position,
                )
            # A match may overlap the bytes that it writes; then it repeats.
            start = len(window) - distance
            chunk = window[start : start + length]
            window += (chunk * (length // len(chunk) + 1))[:length]
        else:
            window.append(tokens.literal(decoder, window, len(window)))
    decoder.finish()
    return bytes(window[len(dictionary) :])


class _Places:
    """Where each run of `SHORTEST` bytes was seen, the latest place first."""

    def __init__(self, window: bytes):
        self._window = window
        self._seen = {}

    def add(self, start: int, end: int) -> None:
        for place in range(start, end):
            self._seen.setdefault(self._window[place : place + SHORTEST], []).append(place)

    def longest(self, place: int, last_distance: int) -> tuple[int, int]:
        """Returns the length and the distance of the best match, or zeros.

        The last distance is nearly free, so it wins unless another match is longer by at least two
        bytes.
        """
        best, distance = self._length(place, place - last_distance), last_distance
        seen = self._seen.get(self._window[place : place + SHORTEST], ())
        for start in seen[: -_CANDIDATES - 1 : -1]:
            if best >= _ENOUGH:
                break
            length = self._length(place, start)
            if length > best + (distance == last_distance):
                best, distance = length, place - start
        return (best, distance) if best >= SHORTEST else (0, 0)

    def _length(self, place: int, start: int) -> int:
        window, length = self._window, 0
        while place + length < len(window) and window[place + length] == window[start + length]:
            length += 1
        return length
