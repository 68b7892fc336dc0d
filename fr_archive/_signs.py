"""Kernels of random signs, of which a file holds no more than the seed and the scale.

Sources of the generator: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2,
3", SC 2011; the counter begins at 1, as in `numpy.random.Philox`.
"""

import math
import operator
from dataclasses import dataclass

import numpy as np

from fr_archive._errors import ArchiveError
from fr_archive._integers import LARGEST, real, unsigned
from fr_archive._steps import whole
from fr_archive.rangecoder import Decoder, Encoder

_SEED_BITS = 64
_WORD_BITS = 64


@dataclass(frozen=True)
class Signs:
    """The numbers of a kernel as they lie in space, each one `+scale` or `-scale` by a seed.

    Number `i` is `+scale` if bit `i % 64` of word `i // 64` is 1, counted from the lowest bit. The
    words are those of `numpy.random.Philox(key=seed).random_raw()`.

    Args:
        seed: A whole number from 0 to 2^64 - 1.
        scale: The magnitude of all numbers, above 0, rounded to float32.
        size: How many numbers there are, with the last axis fastest.
        columns: The length of the last axis, at least 1.

    Raises:
        ArchiveError: If an argument is out of range, or the last row is not complete.

    Example:

    >>> Signs(seed=1, scale=0.5, size=6, columns=3).reals()
    array([ 0.5,  0.5,  0.5,  0.5,  0.5, -0.5], dtype=float32)
    """

    seed: int
    scale: float
    size: int
    columns: int

    def __post_init__(self):
        seed = operator.index(self.seed)
        if not 0 <= seed < 1 << _SEED_BITS:
            raise ArchiveError(f"`seed` must be from 0 to 2^{_SEED_BITS} - 1. Received: {seed}")
        with np.errstate(over="ignore"):
            scale = float(np.float32(self.scale))
        if not 0 < scale < math.inf:
            raise ArchiveError(
                f"`scale` must be a number above 0 that float32 can hold. Received: {self.scale!r}"
            )
        (columns,) = whole("columns", [self.columns], 1, LARGEST)
        size = operator.index(self.size)
        if size < 0 or size % columns:
            raise ArchiveError(f"`size` must be rows of {columns} columns. Received: {size}")
        for name, value in (("seed", seed), ("scale", scale), ("size", size), ("columns", columns)):
            object.__setattr__(self, name, value)

    def reals(self) -> np.ndarray:
        """Returns the numbers in float32."""
        words = np.random.Philox(key=self.seed).random_raw(-(-self.size // _WORD_BITS))
        bits = np.unpackbits(words.astype("<u8").view(np.uint8), count=self.size, bitorder="little")
        return np.where(bits, np.float32(self.scale), np.float32(-self.scale))


def code(coder: Encoder | Decoder, seed: int = 0, scale: float = 0.0) -> tuple[int, float] | None:
    """Codes a seed and a scale; returns `None` where no writer writes what is read."""
    found = unsigned(coder, _SEED_BITS, seed), real(coder, scale)
    return found if 0 < found[1] < math.inf else None
