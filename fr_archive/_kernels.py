"""The section of kernels in space: a table of their shapes and steps, then all their numbers.

A kernel is coded as a matrix: its last axis gives the columns, all other axes together the rows.
Kernels follow one another. The form of a kernel is 0 for whole numbers of a step, 1 to 16 for as
many levels, and 17 for signs of a seed.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fr_archive import _signs
from fr_archive._codebooks import MOST_LEVELS, Codebook, Levels, Places
from fr_archive._errors import ArchiveError
from fr_archive._integers import LARGEST, Columns, Kernels, Numbers
from fr_archive._series import FREE_NUMBERS, MOST_NUMBERS_A_BYTE, MOST_SERIES
from fr_archive._signs import Signs
from fr_archive._steps import HIGHEST, LOWEST, Kernel
from fr_archive.rangecoder import Decoder, Encoder

MOST_NUMBERS = 1 << 24
_SIGNS = MOST_LEVELS + 1  # a form

InSpace = Kernel | Codebook | Signs


@dataclass(frozen=True)
class Read:
    """The kernels of a section.

    Attributes:
        kernels: The kernels.
        table_bits: The information in the table, in bits.
        bits: The information in each kernel, in bits.
    """

    kernels: tuple[InSpace, ...]
    table_bits: float
    bits: tuple[float, ...]


class _Table:
    """The numbers in the table: each row as its difference from the row before."""

    def __init__(self):
        self.number = Numbers()
        # Shapes repeat, or differ by much.
        self.rows, self.columns = Numbers(3 << 14), Numbers(3 << 14)
        self.step, self.form = Numbers(), Numbers()


class _Row(NamedTuple):
    """What the table says of one kernel."""

    rows: int
    columns: int
    step: int
    form: int


class _Contents:
    """The numbers of all kernels, one kernel after the other."""

    def __init__(self):
        self._numbers, self._levels = Kernels(), Levels()

    def write(self, encoder: Encoder, one: InSpace) -> None:
        if isinstance(one, Signs):
            _signs.code(encoder, one.seed, one.scale)
            return
        if isinstance(one, Codebook):
            self._levels.code(encoder, len(one.levels), one.levels)
            places = Places(one.levels, one.size // one.columns, one.columns)
            for value in one.values:
                places.code(encoder, value)
            return
        state = Columns(one.columns)
        for value in one.values:
            self._numbers.code(encoder, state, value)

    def read(self, decoder: Decoder, row: _Row) -> InSpace:
        if row.form == _SIGNS:
            return self._read_signs(decoder, row)
        count = range(row.rows * row.columns)
        if not row.form:
            state = Columns(row.columns)
            values = [self._numbers.code(decoder, state) for _ in count]
            return Kernel(values, row.step, row.columns)
        levels = self._levels.code(decoder, row.form)
        if levels is None:
            raise ArchiveError(
                "Levels must be finite and ascend, without -0, and be coded as mirrored if so",
                decoder.position,
            )
        places = Places(levels, row.rows, row.columns)
        return Codebook([places.code(decoder) for _ in count], levels, row.columns)

    def _read_signs(self, decoder: Decoder, row: _Row) -> Signs:
        found = _signs.code(decoder)
        if found is None:
            raise ArchiveError(
                "The scale of signs must be a finite number above 0", decoder.position
            )
        return Signs(*found, row.rows * row.columns, row.columns)


def size(kernel: InSpace) -> int:
    """Returns how many bytes a section of one kernel has."""
    return len(_payload([kernel]))


def write(kernels: Sequence[InSpace]) -> bytes:
    """Returns the payload of the section.

    Raises:
        ArchiveError: If there are too many kernels or numbers, or nearly all of many numbers are 0.
    """
    total = sum(max(one.size, one.columns) for one in kernels)
    if len(kernels) > MOST_SERIES or total > MOST_NUMBERS:
        raise ArchiveError(
            f"An archive may hold at most {MOST_SERIES} kernels in space and {MOST_NUMBERS} "
            "numbers in them: convert large layers with `fr_keras.regularize`, or make them "
            f"smaller. Received: {len(kernels)} and {total}"
        )
    payload = _payload(kernels)
    total -= sum(max(one.size, one.columns) for one in kernels if isinstance(one, Signs))
    if total > _most_numbers(len(payload)):
        raise ArchiveError(
            f"{len(payload)} bytes may hold at most {_most_numbers(len(payload))} numbers of "
            "kernels in space, and nearly all of these are 0, or of one level: remove whole "
            f"channels, or deliver the .tflite file, gzipped. Received: {total}"
        )
    return payload


def _payload(kernels: Sequence[InSpace]) -> bytes:
    encoder, table = Encoder(), _Table()
    table.number.magnitude(encoder, len(kernels))
    rows = columns = step = 0
    for one in kernels:
        height, form = one.size // one.columns, _form(one)
        change = 0 if form else one.step - step
        table.rows.signed(encoder, height - rows)
        table.columns.signed(encoder, one.columns - columns)
        table.step.signed(encoder, change)
        table.form.magnitude(encoder, form)
        rows, columns, step = height, one.columns, step + change
    contents = _Contents()
    for one in kernels:
        contents.write(encoder, one)
    return encoder.finish()


def _form(one: InSpace) -> int:
    if isinstance(one, Signs):
        return _SIGNS
    return len(one.levels) if isinstance(one, Codebook) else 0


def read(decoder: Decoder, size: int) -> Read:
    """Returns the kernels of a section.

    Args:
        decoder: A decoder at the beginning of the section.
        size: The number of bytes of the section.

    Raises:
        ArchiveError: If `write` cannot have made the section.
    """
    table = _read_table(decoder, size)
    spent = [decoder.spent()]
    kernels, contents = [], _Contents()
    for row in table:
        kernels.append(contents.read(decoder, row))
        spent.append(decoder.spent())
    decoder.finish()
    bits = (after - before for before, after in itertools.pairwise(spent))
    return Read(tuple(kernels), spent[0], tuple(bits))


def _read_table(decoder: Decoder, size: int) -> list[_Row]:
    """What the table says of each kernel."""
    table, found, most = _Table(), [], _most_numbers(size)
    number = table.number.magnitude(decoder)
    if not 1 <= number <= MOST_SERIES:
        raise ArchiveError(
            f"A section must hold 1 to {MOST_SERIES} kernels, not {number}", decoder.position
        )
    rows = columns = step = total = of_seeds = 0
    for _ in range(number):
        rows += table.rows.signed(decoder)
        columns += table.columns.signed(decoder)
        change = table.step.signed(decoder)
        step += change
        row = _Row(rows, columns, step, table.form.magnitude(decoder))
        _check_row(row, change, decoder)
        # An empty kernel takes time for its columns, too.
        total += max(rows, 1) * columns
        of_seeds += max(rows, 1) * columns if row.form == _SIGNS else 0
        if total > MOST_NUMBERS or total - of_seeds > most:
            raise ArchiveError(
                f"{size} bytes may hold at most {most} numbers, and {MOST_NUMBERS} with signs of "
                f"seeds, not {total - of_seeds} and {total}",
                decoder.position,
            )
        found.append(row)
    return found


def _check_row(row: _Row, change: int, decoder: Decoder) -> None:
    rows, columns, step, form = row
    if not (rows >= 0 and 1 <= columns <= LARGEST and LOWEST <= step <= HIGHEST):
        raise ArchiveError(
            f"A kernel must have at least 0 rows and 1 column, and a step from {LOWEST} to "
            f"{HIGHEST}, not {rows}, {columns} and {step}",
            decoder.position,
        )
    if form > _SIGNS or (form and change):
        raise ArchiveError(
            f"A kernel must have a form up to {_SIGNS}, and above 0 no step of its own, "
            f"not the form {form} and a step that differs by {change}",
            decoder.position,
        )


def _most_numbers(size: int) -> int:
    return min(MOST_NUMBERS, FREE_NUMBERS + MOST_NUMBERS_A_BYTE * size)
