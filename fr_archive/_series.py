"""The sections of numbers: a table of counts and steps, then series of quantized numbers.

The coefficients of the tensors are interleaved: coefficient `j` of `n` in a tensor comes at time
`(j + 0.5) / n`, so that every prefix is a network of lower capacity. Vectors follow one another.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from fr_archive._errors import ArchiveError
from fr_archive._integers import Coefficients, Numbers, Scale
from fr_archive._steps import HIGHEST, LOWEST, Quantized
from fr_archive.rangecoder import Decoder, Encoder, Undecided

MOST_SERIES = 1 << 12
MOST_NUMBERS = 1 << 22
# Zeros take nearly no space, but they take time. So a file may hold many numbers only if it has
# enough bytes. Networks have a handful of numbers per byte.
FREE_NUMBERS = 1 << 16
MOST_NUMBERS_A_BYTE = 1 << 6

# The first series of a table is written as its difference from this one.
_BEFORE = Quantized((), 0)

Order = Callable[[Sequence[int]], np.ndarray]


@dataclass(frozen=True)
class Read:
    """The part of a section that was read.

    Attributes:
        series: The series, each as far as it was read.
        table_bits: The information in the table of counts and steps, in bits.
        bits: The information in each series, in bits; empty unless it was asked for.
    """

    series: tuple[Quantized, ...]
    table_bits: float
    bits: tuple[float, ...]


def interleaved(counts: Sequence[int]) -> np.ndarray:
    """Returns the series to which each number of the section belongs, by time.

    A tie goes to the earlier series.

    Example:

    >>> interleaved([2, 4]).tolist()
    [1, 0, 1, 1, 0, 1]
    """
    # With counts up to 2 ** 22, times are equal or differ by at least 2 ** -44, so float64 orders
    # them exactly.
    times = [(2 * np.arange(count) + 1) / count for count in counts if count]
    return _owners(counts)[np.argsort(np.concatenate([[], *times]), kind="stable")]


def one_by_one(counts: Sequence[int]) -> np.ndarray:
    """Returns the series to which each number of the section belongs: all of one, then the next.

    Example:

    >>> one_by_one([1, 2]).tolist()
    [0, 1, 1]
    """
    return _owners(counts)


def write(series: Sequence[Quantized], order: Order) -> bytes:
    """Returns the payload of a section.

    Raises:
        ArchiveError: If there are too many series or numbers, or many numbers of which nearly all
            are 0.
    """
    counts = [len(one.values) for one in series]
    if len(counts) > MOST_SERIES or sum(counts) > MOST_NUMBERS:
        raise ArchiveError(
            f"An archive may hold at most {MOST_SERIES} tensors or vectors and {MOST_NUMBERS} "
            f"numbers of each kind: keep fewer. Received: {len(counts)} and {sum(counts)}"
        )
    encoder = Encoder()
    table = _Table()
    table.number.magnitude(encoder, len(counts))
    for before, one in zip([_BEFORE, *series], series, strict=False):
        table.count.signed(encoder, len(one.values) - len(before.values))
        table.step.signed(encoder, one.step - before.step)
    states = [Scale(count) for count in counts]
    coefficients = Coefficients()
    for owner in order(counts).tolist():
        state = states[owner]
        coefficients.code(encoder, state, series[owner].values[state.count])
    payload = encoder.finish()
    if sum(counts) > _most_numbers(len(payload)):
        raise ArchiveError(
            f"{len(payload)} bytes may hold at most {_most_numbers(len(payload))} numbers, and "
            f"nearly all of these are 0: keep fewer. Received: {sum(counts)}"
        )
    return payload


def read(
    decoder: Decoder,
    size: int,
    order: Order,
    capacity: Fraction | None = None,
    measured: bool = False,
) -> Read:
    """Returns the series of a section.

    Args:
        decoder: A decoder at the beginning of the section.
        size: The number of bytes of the whole section.
        order: The order in which it was written.
        capacity: Reads the first `ceil(capacity * n)` of the `n` numbers of each series, and
            nothing after the last of these; `None` reads all. The end is checked if it is reached.
        measured: Whether to measure the information in each series, which takes time.

    Raises:
        ArchiveError: If `write` cannot have made the section, or it is cut within its table.
    """
    try:
        counts, steps = _read_table(decoder, size)
    except Undecided:
        raise ArchiveError("The file is cut before the first number", decoder.position) from None
    table_bits = decoder.spent()
    owners, wanted = order(counts), counts
    if capacity is not None:
        wanted = [math.ceil(capacity * count) for count in counts]
        owners = owners[: _end_of_wanted(owners, counts, wanted)]
    values, bits = _values(decoder, counts, owners.tolist(), measured)
    if len(owners) == sum(counts) and not decoder.cut:
        decoder.finish()
    series = (
        Quantized(found[:count], step)
        for found, count, step in zip(values, wanted, steps, strict=True)
    )
    return Read(tuple(series), table_bits, tuple(bits))


class _Table:
    """The numbers in the table of a section: counts and steps as differences from the last ones."""

    def __init__(self):
        self.number = Numbers()
        self.count = Numbers(3 << 14)  # counts are in the tens and hundreds
        self.step = Numbers()


def _most_numbers(size: int) -> int:
    return min(MOST_NUMBERS, FREE_NUMBERS + MOST_NUMBERS_A_BYTE * size)


def _owners(counts: Sequence[int]) -> np.ndarray:
    return np.repeat(np.arange(len(counts)), counts)


def _read_table(decoder: Decoder, size: int) -> tuple[list[int], list[int]]:
    table = _Table()
    number = table.number.magnitude(decoder)
    if number > MOST_SERIES:
        raise ArchiveError(
            f"A section may hold at most {MOST_SERIES} tensors or vectors, not {number}",
            decoder.position,
        )
    most = _most_numbers(size)
    counts, steps = [], []
    count = step = total = 0
    for _ in range(number):
        count += table.count.signed(decoder)
        step += table.step.signed(decoder)
        if count < 0 or not LOWEST <= step <= HIGHEST:
            raise ArchiveError(
                f"A series must have a count of at least 0 and a step from {LOWEST} to {HIGHEST}, "
                f"not {count} and {step}",
                decoder.position,
            )
        total += count
        if total > most:
            raise ArchiveError(
                f"{size} bytes may hold at most {most} numbers, not {total}", decoder.position
            )
        counts.append(count)
        steps.append(step)
    return counts, steps


def _end_of_wanted(owners: np.ndarray, counts: Sequence[int], wanted: Sequence[int]) -> int:
    """How many numbers of the section are read until each series has the numbers it needs."""
    places = np.argsort(owners, kind="stable")  # of the first series, then of the next
    before = np.cumsum(counts) - counts
    last = [places[start + count - 1] for start, count in zip(before, wanted, strict=True) if count]
    return int(max(last, default=-1)) + 1


def _values(
    decoder: Decoder, counts: Sequence[int], owners: Sequence[int], measured: bool
) -> tuple[list[list[int]], list[float]]:
    """The numbers of each series, as far as the bytes decide them, and the information in them."""
    states = [Scale(count) for count in counts]
    values = [[] for _ in counts]
    bits = [0.0] * len(counts) if measured else []
    coefficients = Coefficients()
    spent = decoder.spent()
    for owner in owners:
        try:
            values[owner].append(coefficients.code(decoder, states[owner]))
        except Undecided:
            break
        if measured:
            before, spent = spent, decoder.spent()
            bits[owner] += spent - before
    return values, bits
