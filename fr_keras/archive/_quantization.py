"""Turns the coefficients of a tensor, or a vector, into whole numbers of steps.

Nothing here depends on the machine: sums have a fixed order, and square roots follow IEEE 754.

Values that already lie on a grid of steps are taken as they are. So numbers that came from an
archive go back into one unchanged, and packing a loaded model again gives the same bytes.
"""

import functools
import math

import numpy as np

from fr_archive import (
    Codebook,
    Kernel,
    Quantized,
    cosines,
    nearest_step,
    quantize,
    rebuild,
    step_value,
)
from fr_archive.archive import MOST_LEVELS, kernel_size

_FINEST, _COARSEST = -512, 511
# How much finer than requested the grid may be on which values already lie. For a tensor it is half
# an octave, so that a larger step still makes a smaller file. The steps of a vector depend on how
# much of the error its tail has used up, which is nothing the second time; the steps of a variance
# also depend on how far it had to be lifted above 0.
_TENSOR_SLACK = 4
_VECTOR_SLACK = 24
_VARIANCE_SLACK = 80
# The search for the steps of a vector ends when this many in a row were worse than the best.
_PATIENCE = 8
# So many numbers of a tensor tell whether all can be multiples of a step, or are few levels.
_GLANCE = 64
# No variance that is read is below this, whoever wrote the file.
LEAST_VARIANCE = np.float32(1e-12)


def root_of_squares(values: np.ndarray) -> float:
    """Returns the Euclidean norm, rounded the same way everywhere."""
    return math.sqrt(math.fsum(np.square(values, dtype=np.float64).ravel().tolist()))


def quantize_tensor(coefficients: np.ndarray, step: float) -> Quantized:
    """Returns coefficients in whole steps.

    Args:
        coefficients: Finite float32 numbers in zigzag order.
        step: The step, relative to their Euclidean norm.

    Example:

    >>> quantize_tensor(np.float32([4, -3, 0.1]), step=0.1).values
    (4, -3, 0)
    """
    kind = _Tensor(len(coefficients))
    wanted = _nearest(step * root_of_squares(coefficients))
    found = _on_grid(kind, coefficients, wanted - _TENSOR_SLACK)
    while found is None:
        restored = kind.restore(quantize(coefficients, wanted))
        # Rounding up may have made the norm, and so the next time the steps, too large.
        finest = _nearest(step * root_of_squares(restored)) - _TENSOR_SLACK
        found = _on_grid(kind, restored, finest)
        wanted += 1
    return found


def quantize_kernel(values: np.ndarray, columns: int, error: float) -> Kernel | Codebook:
    """Returns the numbers of a kernel in space in the form that takes the fewest bytes.

    A kernel of at most 16 different numbers is stored exactly, as a codebook, unless whole steps
    are smaller. What whole steps leave of a kernel may be stored as a codebook, too.

    Args:
        values: Finite float32 numbers, flat.
        columns: The length of the last axis.
        error: The root mean square error, relative to their root mean square.

    Example:

    >>> quantize_kernel(np.float32([3, -2, 1, 1]), 2, error=0.1).values
    (3, -2, 1, 1)
    >>> quantize_kernel(np.float32(40 * [0.3, -0.1]), 2, error=0.1).levels == (
    ...     np.float32(-0.1),
    ...     np.float32(0.3),
    ... )
    True
    """
    rounded = _in_steps(values, columns, error)
    # Their order matters: a kernel that is read is the first of its forms, so packing it again
    # gives the same.
    books = [_in_levels(values, columns), _in_levels(rounded.reals(), columns)]
    books = [book for book in books if book is not None]
    if not books:
        return rounded  # its size, which takes long to find, says nothing
    size = kernel_size(rounded)
    return next((book for book in books if kernel_size(book) <= size), rounded)


def _in_levels(values: np.ndarray, columns: int) -> Codebook | None:
    """The kernel as a codebook; `None` if it has too many different numbers, or none."""
    if len(np.unique(values[:_GLANCE])) > MOST_LEVELS:
        return None
    levels, places = np.unique(values, return_inverse=True)
    return Codebook(places, levels, columns) if 1 <= len(levels) <= MOST_LEVELS else None


def _in_steps(values: np.ndarray, columns: int, error: float) -> Kernel:
    # An error is even between two steps, so that its root mean square is a step / sqrt(12).
    step = error * math.sqrt(12 / max(1, len(values)))
    found = quantize_tensor(values, step)
    return Kernel(found.values, found.step, columns)


def quantize_vector(values: np.ndarray, error: float, variance: bool = False) -> Quantized:
    """Returns the DCT coefficients of a vector, as few and as coarse as an error allows.

    Args:
        values: Finite float32 numbers.
        error: The largest root mean square error that is allowed.
        variance: Whether the vector must be above 0 when it is read.

    Example:

    >>> quantize_vector(np.full(64, 3, np.float32), error=0.1).values
    (3,)
    """
    kind = _Vector(len(values), variance)
    coefficients = kind.coefficients(values)
    chosen = _search(coefficients, error)
    slack = _VARIANCE_SLACK if variance else _VECTOR_SLACK
    found = _on_grid(kind, values, chosen.step - slack, coefficients)
    if found is not None:
        return found
    if variance:
        chosen = _above_zero(kind, values, error)
    return _on_grid(kind, kind.restore(chosen), chosen.step)


def restore_vector(vector: Quantized, length: int, variance: bool = False) -> np.ndarray:
    """Returns the float32 vector that an archive holds."""
    return _Vector(length, variance).restore(vector)


class _Tensor:
    """Coefficients as they are."""

    def __init__(self, length: int):
        self._length = length

    def coefficients(self, values: np.ndarray) -> np.ndarray:
        return values.astype(np.float64)

    def restore(self, found: Quantized) -> np.ndarray:
        return found.reals()

    def quantized(self, whole: np.ndarray, step: int) -> Quantized:
        return Quantized(whole.astype(np.int64), step)

    def nothing(self) -> Quantized:
        return Quantized((0,) * self._length, 0)


class _Vector:
    """A vector, by its DCT-II coefficients up to the last that is not 0."""

    def __init__(self, length: int, variance: bool):
        self._length, self._variance = length, variance

    def coefficients(self, values: np.ndarray) -> np.ndarray:
        # No product of matrices: its sums have an order of the machine's own.
        total, product = np.zeros((2, len(values)))
        for value, column in zip(values.tolist(), _columns(len(values)), strict=True):
            np.multiply(value, column, out=product)
            np.add(total, product, out=total)
        return total

    def restore(self, found: Quantized) -> np.ndarray:
        values = rebuild(found, self._length)
        return np.maximum(values, LEAST_VARIANCE) if self._variance else values

    def quantized(self, whole: np.ndarray, step: int) -> Quantized:
        return Quantized(np.trim_zeros(whole, "b").astype(np.int64), step)

    def nothing(self) -> Quantized:
        return Quantized((), 0)


# `_weights.rounded_vectors` takes vectors of one length together, and a matrix may have 128 MiB.
@functools.lru_cache(maxsize=1)
def _columns(length: int) -> np.ndarray:
    return np.ascontiguousarray(cosines(length, length).T)


def _nearest(step: float) -> int:
    return nearest_step(min(max(step, step_value(_FINEST)), step_value(_COARSEST)))


def _search(coefficients: np.ndarray, error: float) -> Quantized:
    """The first few coefficients in the steps that take the fewest bits."""
    budget = len(coefficients) * error * error
    squares = coefficients * coefficients
    left = np.cumsum(squares)[-1]
    # A single coefficient may make the whole error, which is half of its step.
    step = _nearest(2 * math.sqrt(budget))
    if left <= budget:
        return Quantized((), step)
    best, cost, worse = None, math.inf, 0
    while worse < _PATIENCE and step >= _FINEST:
        whole = np.rint(coefficients / step_value(step))
        gains = squares - np.square(coefficients - whole * step_value(step))
        enough = np.flatnonzero(left - np.cumsum(gains) <= budget)
        if len(enough):
            whole = whole[: enough[0] + 1]
            bits = int((2 * np.frexp(np.abs(whole))[1] + 1).sum())
            worse += 1
            if bits < cost:
                best, cost, worse = Quantized(whole.astype(np.int64), step), bits, 0
        step -= 1
    return best or Quantized((), _FINEST)  # whose numbers are all below the finest step


def _above_zero(kind: _Vector, values: np.ndarray, error: float) -> Quantized:
    """As `_search`, with a first coefficient, the mean, that lifts the vector above 0.

    What lies on a grid stays on it, which setting single numbers would not.
    """
    coefficients, part = kind.coefficients(values), error
    while True:
        found = _search(coefficients, part)
        lowest = float(rebuild(found, len(values)).min())
        if lowest > 0 or not found.values:
            return found
        unit = step_value(found.step) / math.sqrt(len(values))
        lift = math.floor(-lowest / unit) + 2
        found = Quantized((found.values[0] + lift, *found.values[1:]), found.step)
        difference = kind.restore(found) - values
        if root_of_squares(difference) <= error * math.sqrt(len(values)) or part < error / 64:
            return found
        part /= 2


def _on_grid(
    kind: _Tensor | _Vector,
    values: np.ndarray,
    finest: int,
    coefficients: np.ndarray | None = None,
) -> Quantized | None:
    """The values in the coarsest steps that restore them exactly; `None` if there are none.

    With vectors, give the `coefficients` if they are known: they take long.
    """
    if np.array_equal(kind.restore(kind.nothing()), values):
        return kind.nothing()
    if coefficients is None:
        coefficients = kind.coefficients(values)
    for step in range(_nearest(2 * np.abs(coefficients).max()), max(finest, _FINEST) - 1, -1):
        # Nearly no step comes past the first few coefficients.
        if not _are_whole(coefficients[:_GLANCE] / step_value(step)):
            continue
        parts = coefficients / step_value(step)
        whole = np.rint(parts)
        if whole.any() and _are_whole(parts):
            found = kind.quantized(whole, step)
            if np.array_equal(kind.restore(found), values):
                return found
    return None


def _are_whole(parts: np.ndarray) -> bool:
    """Whether all are near whole numbers: the coefficients of a vector have rounding errors."""
    return bool(np.abs(parts - np.rint(parts)).max() < 0.25)
