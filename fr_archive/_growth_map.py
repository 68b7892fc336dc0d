"""The section that says how the numbers of a network contain those of the one before.

For each vector and each kernel: whether it is new, or the one before as it is, or along which axes
that one has grown. An axis is described where it occurs first. Later it is named by its number.
"""

from collections.abc import Sequence

from fr_archive._axes import MOST_AXES, Axis, Run, check_axes
from fr_archive._errors import ArchiveError
from fr_archive._integers import Numbers
from fr_archive._series import MOST_SERIES
from fr_archive.rangecoder import Chance, Decoder, Encoder

MOST_RUNS = 1 << 14
# The most axes of a vector, and of a kernel.
_MOST_AXES = 1, MOST_AXES

#: `None` for what is new, or the axes along which what was there has grown: none if it has not.
Entry = tuple[Axis, ...] | None


def write(vectors: Sequence[Entry], kernels: Sequence[Entry]) -> bytes:
    """Returns the payload of the section."""
    encoder, coded = Encoder(), _Map()
    for entries in (vectors, kernels):
        coded.number.magnitude(encoder, len(entries))
    for of_kernels, entries in enumerate((vectors, kernels)):
        for entry in entries:
            coded.entry(encoder, bool(of_kernels), entry)
    return encoder.finish()


def read(decoder: Decoder) -> tuple[list[Entry], list[Entry]]:
    """Returns what is said of the vectors and of the kernels.

    Raises:
        ArchiveError: If `write` cannot have made the section.
    """
    coded = _Map()
    numbers = [coded.number.magnitude(decoder) for _ in range(2)]
    if max(numbers) > MOST_SERIES:
        raise ArchiveError(
            f"An archive may hold at most {MOST_SERIES} vectors or kernels, not {max(numbers)}",
            decoder.position,
        )
    try:
        found = [
            [coded.entry(decoder, bool(of_kernels)) for _ in range(count)]
            for of_kernels, count in enumerate(numbers)
        ]
    except ArchiveError as error:
        raise error if error.offset is not None else error.at(decoder.position) from None
    decoder.finish()
    return found[0], found[1]


class _Pointer:
    """The numbers of the axes at one place: they often follow one another."""

    def __init__(self):
        self._numbers, self._next = Numbers(), 0

    def code(self, coder: Encoder | Decoder, number: int = 0) -> int:
        number = self._next + self._numbers.signed(coder, number - self._next)
        self._next = number + 1
        return number


class _Map:
    """The state of the coder; each method writes what it is given, or returns what it reads."""

    def __init__(self):
        self.number = Numbers()
        self._kinds = Numbers(), Numbers()
        self._of_vectors = _Pointer()
        self._of_kernels = [_Pointer() for _ in range(3)]  # by the place from the last axis
        self._makes = Chance(), Chance()
        self._runs = Numbers()
        self._lengths = [Numbers(3 << 14) for _ in range(3)]
        self._known: list[tuple[Run, ...]] = []
        self._places: dict[tuple[Run, ...], int] = {}
        self._left = MOST_RUNS

    def entry(self, coder: Encoder | Decoder, of_kernels: bool, entry: Entry = None) -> Entry:
        kind = 0 if entry is None else 1 + len(entry)
        kind = self._kinds[of_kernels].magnitude(coder, kind)
        if kind > 1 + _MOST_AXES[of_kernels]:
            raise ArchiveError(f"Nothing grows along {kind - 1} axes")
        if not kind:
            return None
        axes = entry or [None] * (kind - 1)
        if not of_kernels:
            return tuple(Axis(self._axis(coder, self._of_vectors, one)) for one in axes)
        found = tuple(
            self._axis_of_kernel(coder, len(axes) - 1 - place, one)
            for place, one in enumerate(axes)
        )
        if found:
            check_axes(found)
        return found

    def _axis_of_kernel(self, coder: Encoder | Decoder, from_last: int, axis: Axis | None) -> Axis:
        runs = self._axis(coder, self._of_kernels[min(from_last, 2)], axis)
        if not any(new for _, new, _ in runs):
            return Axis(runs)
        chance = self._makes[from_last == 0]
        makes = coder.bit(chance.one, int(axis is not None and axis.makes))
        chance.learn(makes)
        return Axis(runs, bool(makes))

    def _axis(
        self, coder: Encoder | Decoder, pointer: _Pointer, axis: Axis | None
    ) -> tuple[Run, ...]:
        number = 0 if axis is None else self._places.get(axis.runs, len(self._known))
        number = pointer.code(coder, number)
        if not 0 <= number <= len(self._known):
            raise ArchiveError(f"There is no axis {number} yet, of {len(self._known)}")
        if number == len(self._known):
            self._learn(self._described(coder, axis))
        return self._known[number]

    def _described(self, coder: Encoder | Decoder, axis: Axis | None) -> tuple[Run, ...]:
        count = 1 + self._runs.magnitude(coder, 0 if axis is None else len(axis.runs) - 1)
        self._left -= count
        if self._left < 0:
            raise ArchiveError(f"Axes may have at most {MOST_RUNS} runs of positions in all")
        given = [(0, 0, 1)] * count if axis is None else axis.runs
        runs = []
        for old, new, times in given:
            found = (
                numbers.magnitude(coder, value)
                for numbers, value in zip(self._lengths, (old, new, times - 1), strict=True)
            )
            old, new, more = found
            runs.append((old, new, more + 1))
        return tuple(runs)

    def _learn(self, runs: tuple[Run, ...]) -> None:
        if runs in self._places:
            raise ArchiveError("An axis must be described where it occurs first, and not again")
        self._places[runs] = len(self._known)
        self._known.append(runs)
