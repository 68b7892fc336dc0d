"""Quantization steps on a logarithmic scale, eight per octave, with the same bits everywhere.

    value(k) = MANTISSAS[k mod 8] * 2 ** (floor(k / 8) - 15),    LOWEST <= k <= HIGHEST

A mantissa has 16 bits and a quantized number has at most 31, so their product is exact in float64
and is rounded only once, to float32.
"""

import bisect
import operator
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from fr_archive._errors import ArchiveError
from fr_archive._integers import LARGEST

#: A step is so many numbers before the one that is twice as large.
STEPS_AN_OCTAVE = 8
# 2 ** (i / 8 + 15), rounded to the nearest integer.
MANTISSAS = (32768, 35734, 38968, 42495, 46341, 50535, 55109, 60097)
LOWEST, HIGHEST = -512, 511


def value(index: int) -> float:
    """Returns the exact step with the number `index`.

    Example:

    >>> value(0), value(-16), value(4)
    (1.0, 0.25, 1.414215087890625)
    """
    return MANTISSAS[index % STEPS_AN_OCTAVE] * 2.0 ** (index // STEPS_AN_OCTAVE - 15)


def nearest(step: float) -> int:
    """Returns the number of the step whose ratio to `step` is nearest to 1.

    Example:

    >>> nearest(0.25)
    -16
    """
    if not value(LOWEST) <= step <= value(HIGHEST):
        raise ArchiveError(
            f"`step` must lie between {value(LOWEST)} and {value(HIGHEST)}. Received: step={step}"
        )
    return LOWEST + bisect.bisect_left(_BETWEEN, step * step)


# The squares of the geometric means of neighbouring steps.
_BETWEEN = [value(index) * value(index + 1) for index in range(LOWEST, HIGHEST)]


@dataclass(frozen=True)
class Quantized:
    """Real numbers as multiples of one step: the coefficients of a tensor or a vector.

    Args:
        values: Whole numbers of steps in zigzag order, from `-LARGEST` to `LARGEST`.
        step: The number of the step on the scale, from `LOWEST` to `HIGHEST`.

    Raises:
        ArchiveError: If one of them is out of range or not whole.

    Example:

    >>> Quantized((3, -1), step=-16).reals()
    array([ 0.75, -0.25], dtype=float32)
    """

    values: tuple[int, ...]
    step: int

    def __post_init__(self):
        object.__setattr__(self, "values", whole("values", self.values, -LARGEST, LARGEST))
        (step,) = whole("step", [self.step], LOWEST, HIGHEST)
        object.__setattr__(self, "step", step)

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return len(self.values)

    def exact(self) -> np.ndarray:
        """Returns the real numbers in float64, unrounded."""
        return np.asarray(self.values, np.float64) * value(self.step)

    def reals(self) -> np.ndarray:
        """Returns the real numbers in float32."""
        return self.exact().astype(np.float32)


@dataclass(frozen=True)
class Kernel(Quantized):
    """The numbers of a kernel as they lie in space, as multiples of one step.

    Args:
        values: Whole numbers of steps, laid out with the last axis fastest.
        step: The number of the step on the scale.
        columns: The length of the last axis, at least 1.

    Raises:
        ArchiveError: If a number is out of range or not whole, or the last row is not complete.

    Example:

    >>> Kernel((3, -1, 0, 2), step=-16, columns=2).reals()
    array([ 0.75, -0.25,  0.  ,  0.5 ], dtype=float32)
    """

    columns: int

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "columns", complete_rows(self.values, self.columns))


def quantize(reals: Iterable[float], step: int) -> Quantized:
    """Returns `reals` as whole multiples of a step, rounded to nearest, ties to even.

    Args:
        reals: Real numbers.
        step: The number of the step, as `nearest_step` returns it.

    Raises:
        ArchiveError: If one of them is not finite, or is too many steps.
    """
    reals = np.asarray(reals, np.float64)
    if not np.isfinite(reals).all():
        raise ArchiveError(f"`reals` must be finite. Received: {reals[~np.isfinite(reals)][0]}")
    return Quantized(tuple(map(int, np.rint(reals / value(step)).tolist())), step)


def complete_rows(values: tuple[int, ...], columns: int) -> int:
    """Returns `columns`, after a check that so many divide the values."""
    (columns,) = whole("columns", [columns], 1, LARGEST)
    if len(values) % columns:
        raise ArchiveError(
            f"`values` must fill rows of {columns} columns. Received: {len(values)} values"
        )
    return columns


def whole(name: str, numbers: Iterable[int], least: int, most: int) -> tuple[int, ...]:
    """Returns numbers after a check that they are whole and within bounds."""
    try:
        if isinstance(numbers, np.ndarray) and numbers.dtype.kind in "iu":
            numbers = numbers.tolist()  # one by one they are slow
        whole = tuple(map(operator.index, numbers))
    except TypeError:
        raise ArchiveError(f"`{name}` must be whole numbers. Received: {numbers!r:.100}") from None
    if whole and not least <= min(whole) <= max(whole) <= most:
        number = next(one for one in whole if not least <= one <= most)
        raise ArchiveError(
            f"`{name}` must lie between {least} and {most}: choose a larger step or leave the "
            f"number out. Received: {number}"
        )
    return whole
