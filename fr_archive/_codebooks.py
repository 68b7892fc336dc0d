"""Kernels of few levels: the levels, and for each number the place of its level.

A place is coded in binary decisions. The first asks whether it is the base, the level nearest to 0;
the others are the binary digits of the place among the other levels. Each decision is predicted
twice: from all numbers of the kernel, and from those of the same column, which is an output
channel. The column counts the more, the more it has learned.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np

from fr_archive._errors import ArchiveError
from fr_archive._integers import real
from fr_archive._steps import complete_rows, whole
from fr_archive.rangecoder import Chance, Chances, Decoder, Encoder

MOST_LEVELS = 16


@dataclass(frozen=True)
class Codebook:
    """The numbers of a kernel as they lie in space, each one of at most 16 levels.

    Args:
        values: For each number the place of its level, laid out with the last axis fastest.
        levels: 1 to 16 numbers of float32, in ascending order.
        columns: The length of the last axis, at least 1.

    Raises:
        ArchiveError: If a place or a level is none, or the last row is not complete.

    Example:

    >>> Codebook((2, 0, 1, 2), levels=(-0.3, 0, 0.3), columns=2).reals()
    array([ 0.3, -0.3,  0. ,  0.3], dtype=float32)
    """

    values: tuple[int, ...]
    levels: tuple[float, ...]
    columns: int

    def __post_init__(self):
        with np.errstate(over="ignore"):
            levels = np.asarray(self.levels, np.float32) + np.float32(0)  # no -0
        count = len(levels)
        ascending = np.isfinite(levels).all() and (np.diff(levels.astype(np.float64)) > 0).all()
        if not (1 <= count <= MOST_LEVELS and ascending):
            raise ArchiveError(
                f"`levels` must be 1 to {MOST_LEVELS} finite numbers of float32, in ascending "
                f"order. Received: {self.levels!r:.200}"
            )
        values = whole("values", self.values, 0, count - 1)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "levels", tuple(levels.tolist()))
        object.__setattr__(self, "columns", complete_rows(values, self.columns))

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return len(self.values)

    def reals(self) -> np.ndarray:
        """Returns the numbers in float32."""
        return np.asarray(self.levels, np.float32)[np.asarray(self.values, np.int64)]


class Levels:
    """Codes the levels of codebooks, as the bits of float32."""

    def __init__(self):
        self._mirrored = Chance()

    def code(
        self, coder: Encoder | Decoder, count: int, levels: tuple[float, ...] = ()
    ) -> tuple[float, ...] | None:
        """Codes so many levels; returns `None` where no writer writes what is read.

        Of levels that are mirrored at 0, only those above 0 are coded.
        """
        mirrored = coder.bit(self._mirrored.one, int(_are_mirrored(levels)))
        self._mirrored.learn(mirrored)
        first = (count + 1) // 2 if mirrored else 0
        upper = [real(coder, levels[k] if levels else 0.0) for k in range(first, count)]
        middle = [0.0] * (count % 2 if mirrored else 0)
        lower = [-one for one in reversed(upper)] if mirrored else []
        found = (*lower, *middle, *upper)
        canonical = mirrored == _are_mirrored(found) and _are_levels(found)
        return found if canonical else None


def _are_levels(found: tuple[float, ...]) -> bool:
    """Whether they are finite and ascend, and none is -0."""
    ascending = all(a < b for a, b in itertools.pairwise(found))
    return ascending and all(math.isfinite(one) and str(one) != "-0.0" for one in found)


def _are_mirrored(levels: tuple[float, ...]) -> bool:
    return levels == tuple(-one for one in reversed(levels))


class Places:
    """Codes the places of the levels of one kernel, row by row.

    Args:
        levels: Its levels.
        rows: How many rows it has.
        columns: The length of the last axis.
    """

    def __init__(self, levels: tuple[float, ...], rows: int, columns: int):
        self._count = len(levels)
        self._base = min(range(len(levels)), key=lambda place: abs(levels[place]))
        # A column with fewer numbers than levels would learn nothing.
        self._columns = columns if rows >= self._count > 1 else 1
        self._column = 0
        self._digits = max(0, self._count - 2).bit_length()
        # For each decision; first those of the whole kernel. They are at most 1.6 times as many as
        # its numbers, and 16 more.
        self._chances = Chances((1 << self._digits) * (1 + self._columns))

    def code(self, coder: Encoder | Decoder, value: int = 0) -> int:
        """Codes the next place."""
        if self._count == 1:
            return 0
        self._column += 1
        of_column = self._column << self._digits
        if self._column == self._columns:
            self._column = 0
        chances = self._chances
        if not chances.code(coder, 0, of_column, int(value != self._base)):
            return self._base
        other = value - (value > self._base)
        node = 1
        for rest in range(self._digits - 1, -1, -1):
            bit = 0
            # A digit 1 may lead beyond the last level.
            if (2 * node + 1 << rest) - (1 << self._digits) < self._count - 1:
                bit = chances.code(coder, node, of_column + node, other >> rest & 1)
            node = 2 * node + bit
        other = node - (1 << self._digits)
        return other + (other >= self._base)
