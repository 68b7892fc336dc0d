"""Cosine matrices and the inverse DCT of short vectors, with the same bits in every language.

They use only + - * / and sqrt in IEEE double precision, each rounded by itself, in a fixed order.
They use no cosine of a mathematics library, because its last bit differs between machines, and no
fused multiply-add. Each entry is computed independently, so that no error builds up along a row.
"""

import functools
from collections.abc import Iterator

import numpy as np

from fr_archive._errors import ArchiveError
from fr_archive._steps import Quantized

_PI = 3.141592653589793
_COSINE_TERMS = 9  # up to x ** 18 / 18!, which is 2e-18 at pi / 4
_SINE_TERMS = 8  # up to x ** 17 / 17!, which is 5e-17


def quarter(length: int) -> np.ndarray:
    """Returns `cos(pi * k / (2 * length))` for `k` from 0 to `length`, in float64."""
    k = np.arange(length + 1)
    # Above pi / 4, the cosine is the sine of the difference to pi / 2.
    upper = 2 * k > length
    x = _PI * np.where(upper, length - k, k) / (2 * length)
    square = x * x
    cosine, sine = np.ones_like(x), np.ones_like(x)
    for i in range(_COSINE_TERMS, 0, -1):
        cosine = 1.0 - square / (2 * i * (2 * i - 1)) * cosine
    for i in range(_SINE_TERMS, 0, -1):
        sine = 1.0 - square / (2 * i * (2 * i + 1)) * sine
    return np.where(upper, x * sine, cosine)


def cosines(length: int, rows: int) -> np.ndarray:
    """Returns the first rows of the orthonormal DCT-II matrix, in float64.

        B[u, x] = sqrt((2 if u else 1) / length) * cos(pi * (2 * x + 1) * u / (2 * length))

    Args:
        length: The number of columns, at least 1.
        rows: The number of rows, from 0 to `length`.

    Raises:
        ArchiveError: If a number is out of range.
    """
    _check(length, rows)
    matrix = np.empty((rows, length))
    for u, row in enumerate(_rows(length, rows)):
        matrix[u] = row
    return matrix


def rebuild(vector: Quantized, length: int) -> np.ndarray:
    """Returns the float32 vector of `length` numbers whose first DCT coefficients are `vector`.

    The sum is in float64, from the first coefficient to the last, and is rounded once at the end.

    Raises:
        ArchiveError: If `vector` has more coefficients than `length`.
    """
    _check(length, len(vector.values))
    total = np.zeros(length)
    for coefficient, row in zip(vector.exact(), _rows(length, len(vector.values)), strict=True):
        total = total + coefficient * row
    return total.astype(np.float32)


def _rows(length: int, rows: int) -> Iterator[np.ndarray]:
    if rows:
        yield np.full(length, np.sqrt(1.0 / length))
    wave, odd = _wave(length), 2 * np.arange(length) + 1
    places = np.zeros_like(odd)
    for _ in range(1, rows):
        places += odd
        np.subtract(places, len(wave), out=places, where=places >= len(wave))
        yield wave[places]


@functools.lru_cache(maxsize=32)
def _wave(length: int) -> np.ndarray:
    """`sqrt(2 / length) * cos(pi * k / (2 * length))` for `k` from 0 to `4 * length - 1`."""
    table = quarter(length)
    # Mirrored at `length`, where it changes its sign, and at `2 * length`, where it does not.
    half = np.concatenate([table, -table[-2::-1]])
    wave = np.sqrt(2.0 / length) * np.concatenate([half, half[-2:0:-1]])
    wave.setflags(write=False)
    return wave


def _check(length: int, rows: int) -> None:
    if not 0 <= rows <= length or not length:
        raise ArchiveError(
            "The number of coefficients must be from 0 to `length`, and `length` at least 1. "
            f"Received: length={length}, coefficients={rows}"
        )
