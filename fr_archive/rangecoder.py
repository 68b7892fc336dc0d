"""An adaptive binary range coder: integers only, and one encoding for each sequence of bits.

`Encoder` and `Decoder` have the same methods `bit` and `steps`, so that a syntax is written once,
as a function that works with both. The encoder writes what it is given; the decoder ignores that
and returns what it reads. Most of a file is read and written by `steps`, so it is laid out for
speed: it says itself what `bit` and `Chance.learn` say.

Source: G. N. N. Martin, "Range encoding", 1979; a carry is added to the bytes already written.
"""

import math
from array import array
from collections.abc import Sequence

from fr_archive._errors import ArchiveError

HALF = 1 << 15
_FULL = 1 << 32
_LEAST = 1 << 24
# Bounds of a probability, in 1/65536. The cheapest bit costs about 1/44 of a bit, so that a byte of
# a hostile file makes the decoder take at most 360 steps.
_FLOOR = 1 << 10
_CEILING = (1 << 16) - _FLOOR
# A probability that has seen n bits moves by the fraction 1 / (n + 1.5), and after 64 bits by
# 1 / 65.5. It moves fast at first, because streams are short.
_RATES = [(2 << 16) // (2 * seen + 3) for seen in range(65)]
# Of two predictions the first, more general one counts as much as one that has learned 15 bits.
_FIRST = 16


class Chance:
    """The probability that the next bit is 1, in 1/65536, and how many bits it has learned."""

    __slots__ = ("one", "seen")

    def __init__(self, one: int = HALF, seen: int = 0):
        self.one = one
        self.seen = seen

    def learn(self, bit: int) -> None:
        self.one += ((bit << 16) - self.one) * _RATES[self.seen] >> 16
        if self.seen < 64:
            self.seen += 1


class Chances:
    """A table of probabilities as in `Chance`, in little memory."""

    def __init__(self, size: int):
        self._one = array("H", [HALF]) * size
        self._seen = bytearray(size)

    def code(self, coder: "Encoder | Decoder", first: int, second: int, bit: int = 0) -> int:
        """Codes a bit that has been predicted twice, and has both learn it.

        The second counts as much as it has learned, up to four times the first.
        """
        ones, seen = self._one, self._seen
        a, b = ones[first], ones[second]
        n, m = seen[first], seen[second]
        bit = coder.bit((_FIRST * a + (m + 1) * b) // (_FIRST + m + 1), bit)
        aim = bit << 16
        ones[first] = a + ((aim - a) * _RATES[n] >> 16)
        ones[second] = b + ((aim - b) * _RATES[m] >> 16)
        if n < 64:
            seen[first] = n + 1
        if m < 64:
            seen[second] = m + 1
        return bit


class Encoder:
    """Writes bits of given probabilities."""

    def __init__(self):
        self._low = 0
        self._range = _FULL
        self._out = bytearray()

    def bit(self, one: int, bit: int) -> int:
        """Writes `bit`, which is 1 with probability `one` / 65536, and returns it."""
        if not _FLOOR <= one <= _CEILING:
            one = _FLOOR if one < _FLOOR else _CEILING
        bound = (self._range >> 16) * one
        if bit:
            self._range = bound
        else:
            self._low += bound
            self._range -= bound
            if self._low >= _FULL:
                self._carry()
        while self._range < _LEAST:
            self._out.append(self._low >> 24)
            self._low = (self._low << 8) & (_FULL - 1)
            self._range <<= 8
        return bit

    def steps(self, pairs: Sequence[tuple[Chance, Chance]], wanted: int) -> int:
        """Writes a number as that many bits 1 and a bit 0, which is left out after the last pair.

        Each bit has the mean of the probabilities of its pair, which both learn it.
        """
        low, width = self._low, self._range
        number = 0
        for first, second in pairs:
            one = first.one + second.one >> 1
            if not _FLOOR <= one <= _CEILING:
                one = _FLOOR if one < _FLOOR else _CEILING
            bound = (width >> 16) * one
            goes_on = number < wanted
            if goes_on:
                width = bound
            else:
                low += bound
                width -= bound
                if low >= _FULL:
                    self._low = low
                    self._carry()
                    low = self._low
            while width < _LEAST:
                self._out.append(low >> 24)
                low = (low << 8) & (_FULL - 1)
                width <<= 8
            aim = 65536 if goes_on else 0
            seen = first.seen
            first.one += (aim - first.one) * _RATES[seen] >> 16
            if seen < 64:
                first.seen = seen + 1
            seen = second.seen
            second.one += (aim - second.one) * _RATES[seen] >> 16
            if seen < 64:
                second.seen = seen + 1
            if not goes_on:
                break
            number += 1
        self._low, self._range = low, width
        return number

    def finish(self) -> bytes:
        """Returns the stream: the shortest number in the final interval, without trailing zeros."""
        if self._low + self._range > _FULL:
            self._carry()
        elif self._low:
            self._out.append((self._low + _LEAST - 1) >> 24)
        return bytes(self._out)

    def _carry(self) -> None:
        self._low -= _FULL
        last = len(self._out) - 1
        while self._out[last] == 255:
            self._out[last] = 0
            last -= 1
        self._out[last] += 1


class Undecided(Exception):
    """Raised if the available bytes do not decide the next bit."""


class Decoder:
    """Reads the bits of the stream `data[start:end]`.

    Args:
        data: The file.
        start: Where the stream begins.
        end: Where it ends. Zeros are read after that.
        cut: Whether the bytes from `end` on are unknown instead: `bit` then raises `Undecided`
            if it needs them.
    """

    def __init__(self, data: bytes, start: int, end: int, cut: bool = False):
        self.cut = cut
        self._data, self._start, self._end = data, start, end
        self._range = _FULL
        # The stream, relative to the lower end of the interval, lies in code ... code + slack.
        self._code = self._slack = 0
        self._position = start
        for _ in range(4):
            self._read()

    @property
    def position(self) -> int:
        """The index of the byte of the file that is read next."""
        return min(self._position, self._end)

    def bit(self, one: int, bit: int = 0) -> int:
        """Returns the next bit, which is 1 with probability `one` / 65536; `bit` is ignored.

        Raises:
            ArchiveError: If the stream has ended.
            Undecided: If it was cut before the bytes that decide this bit.
        """
        if not _FLOOR <= one <= _CEILING:
            one = _FLOOR if one < _FLOOR else _CEILING
        bound = (self._range >> 16) * one
        if self._code >= bound:
            self._code -= bound
            self._range -= bound
            bit = 0
        elif self._code + self._slack < bound:
            self._range = bound
            bit = 1
        else:
            raise Undecided
        while self._range < _LEAST:
            self._range <<= 8
            self._read()
        return bit

    def steps(self, pairs: Sequence[tuple[Chance, Chance]], wanted: int = 0) -> int:
        """Returns the number that `Encoder.steps` wrote with these pairs; `wanted` is ignored.

        Raises:
            ArchiveError: If the stream has ended.
            Undecided: If it was cut before the bytes that decide the number.
        """
        number = 0
        for first, second in pairs:
            one = first.one + second.one >> 1
            if not _FLOOR <= one <= _CEILING:
                one = _FLOOR if one < _FLOOR else _CEILING
            bound = (self._range >> 16) * one
            goes_on = self._code < bound
            if not goes_on:
                self._code -= bound
                self._range -= bound
            elif self._code + self._slack < bound:
                self._range = bound
            else:
                raise Undecided
            while self._range < _LEAST:
                self._range <<= 8
                self._read()
            aim = 65536 if goes_on else 0
            seen = first.seen
            first.one += (aim - first.one) * _RATES[seen] >> 16
            if seen < 64:
                first.seen = seen + 1
            seen = second.seen
            second.one += (aim - second.one) * _RATES[seen] >> 16
            if seen < 64:
                second.seen = seen + 1
            if not goes_on:
                break
            number += 1
        return number

    def spent(self) -> float:
        """Returns the bits of information read so far; in floating point, so only for reports."""
        return 8 * (self._position - self._start) - math.log2(self._range)

    def finish(self) -> None:
        """Checks that the stream is exactly what `Encoder` writes for the bits that were read.

        Raises:
            ArchiveError: If it is longer or shorter, or another number in the same interval.
        """
        written = self._position - 4
        if self._end == written:
            return
        if self._end != written + 1:
            raise ArchiveError(f"The coded stream must end here, not at byte {self._end}", written)
        low = ((self._data[self._end - 1] << 24) - self._code) % _FULL
        if not low or low + self._range > _FULL or self._code >= _LEAST:
            raise ArchiveError(
                "The last byte of the coded stream is not the canonical one", written
            )

    def _read(self) -> None:
        inside = self._position < self._end
        self._code = self._code << 8 | (self._data[self._position] if inside else 0)
        self._slack = self._slack << 8 | (255 if self.cut and not inside else 0)
        self._position += 1
        if not self.cut and self._position > self._end + 4:
            raise ArchiveError("The coded stream ends too early", self._end)
