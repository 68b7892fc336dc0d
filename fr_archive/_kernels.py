"""The section of kernels in space: a table of their shapes and steps, then all their numbers.

A kernel is a matrix, whose columns are its last axis. The numbers of one kernel follow those of
another, row by row.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from fr_archive._errors import ArchiveError
from fr_archive._integers import LARGEST, Columns, Kernels, Numbers
from fr_archive._series import FREE_NUMBERS, MOST_NUMBERS_A_BYTE, MOST_SERIES
from fr_archive._steps import HIGHEST, LOWEST, Kernel
from fr_archive.rangecoder import Decoder, Encoder

MOST_NUMBERS = 1 << 24


@dataclass(frozen=True)
class Read:
    """The kernels of a section.

    Attributes:
        kernels: The kernels.
        table_bits: The information in the table, in bits.
        bits: The information in each kernel, in bits.
    """

    kernels: tuple[Kernel, ...]
    table_bits: float
    bits: tuple[float, ...]


class _Table:
    """The numbers in the table: each row as its difference from the row before."""

    def __init__(self):
        self.number = Numbers()
        # Shapes repeat, or differ by much.
        self.rows, self.columns = Numbers(3 << 14), Numbers(3 << 14)
        self.step, self.form = Numbers(), Numbers()


def write(kernels: Sequence[Kernel]) -> bytes:
    """Returns the payload of the section.

    Raises:
        ArchiveError: If there are too many kernels or numbers, or nearly all of many numbers are 0.
    """
    total = sum(len(one.values) for one in kernels)
    if len(kernels) > MOST_SERIES or total > MOST_NUMBERS:
        raise ArchiveError(
            f"An archive may hold at most {MOST_SERIES} kernels in space and {MOST_NUMBERS} "
            "numbers in them: put the large kernels into the DCT domain, or make them smaller. "
            f"Received: {len(kernels)} and {total}"
        )
    encoder, table = Encoder(), _Table()
    table.number.magnitude(encoder, len(kernels))
    rows = columns = step = 0
    for one in kernels:
        height = len(one.values) // one.columns
        table.rows.signed(encoder, height - rows)
        table.columns.signed(encoder, one.columns - columns)
        table.step.signed(encoder, one.step - step)
        table.form.magnitude(encoder, 0)
        rows, columns, step = height, one.columns, one.step
    coder = Kernels()
    for one in kernels:
        state = Columns(one.columns)
        for value in one.values:
            coder.code(encoder, state, value)
    payload = encoder.finish()
    if total > _most_numbers(len(payload)):
        raise ArchiveError(
            f"{len(payload)} bytes may hold at most {_most_numbers(len(payload))} numbers of "
            f"kernels in space, and nearly all of these are 0: make the network smaller. Received: "
            f"{total}"
        )
    return payload


def read(decoder: Decoder, size: int) -> Read:
    """Returns the kernels of a section.

    Args:
        decoder: A decoder at the beginning of the section.
        size: The number of bytes of the section.

    Raises:
        ArchiveError: If `write` cannot have made the section.
    """
    shapes = _read_table(decoder, size)
    spent = [decoder.spent()]
    kernels, coder = [], Kernels()
    for rows, columns, step in shapes:
        state = Columns(columns)
        values = [coder.code(decoder, state) for _ in range(rows * columns)]
        kernels.append(Kernel(values, step, columns))
        spent.append(decoder.spent())
    decoder.finish()
    bits = (after - before for before, after in itertools.pairwise(spent))
    return Read(tuple(kernels), spent[0], tuple(bits))


def _read_table(decoder: Decoder, size: int) -> list[tuple[int, int, int]]:
    """The rows, columns and step of each kernel."""
    table, found, most = _Table(), [], _most_numbers(size)
    number = table.number.magnitude(decoder)
    if not 1 <= number <= MOST_SERIES:
        raise ArchiveError(
            f"A section must hold 1 to {MOST_SERIES} kernels, not {number}", decoder.position
        )
    rows = columns = step = total = 0
    for _ in range(number):
        rows += table.rows.signed(decoder)
        columns += table.columns.signed(decoder)
        step += table.step.signed(decoder)
        form = table.form.magnitude(decoder)
        if not (rows >= 0 and 1 <= columns <= LARGEST and LOWEST <= step <= HIGHEST) or form:
            raise ArchiveError(
                "A kernel must have at least 0 rows and 1 column, a step from "
                f"{LOWEST} to {HIGHEST} and the form 0, not {rows}, {columns}, {step} and {form}",
                decoder.position,
            )
        # An empty kernel takes time for its columns, too.
        total += max(rows, 1) * columns
        if total > most:
            raise ArchiveError(
                f"{size} bytes may hold at most {most} numbers, not {total}", decoder.position
            )
        found.append((rows, columns, step))
    return found


def _most_numbers(size: int) -> int:
    return min(MOST_NUMBERS, FREE_NUMBERS + MOST_NUMBERS_A_BYTE * size)
