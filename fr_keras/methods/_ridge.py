"""Ridge regression in one pass over rows of any number, with its matrix as a packed triangle."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

import numpy as np

#: The most features: LAPACK counts the numbers of the triangle in 32 bits.
MOST_FEATURES = 65_534
# Up to so many features the triangle is in float64.
_MOST_IN_DOUBLE = 8_000
# So many rows are added to the triangle at once: a few at a time would take much longer.
_ROWS = 512


class Solution(NamedTuple):
    """What ridge regression gives for a penalty.

    Attributes:
        penalty: The penalty.
        kernel: An array `(features, targets)`.
        bias: An array `(targets,)`.
    """

    penalty: float
    kernel: np.ndarray
    bias: np.ndarray


class Ridge:
    """The sums that ridge regression needs of features `h` and targets `t`, and its solutions.

    A solution has the least

        sum over rows |h K + b - t|^2 + p m |K|^2

    where `b` has no penalty, `p` is the penalty and `m` the mean over the features of their sums of
    squares about their means. With `g` for `h - c` and a last 1, the sums are `A = sum of g^T g`
    and `B = sum of g^T t`, and `A + p m I`, without the last 1 of `I`, has a Cholesky factor. `c`
    is the mean of the first rows: because of `b` it changes no solution, but it keeps the sums
    small, and so their rounding errors.

    `A` is symmetric. Of `n` features it is stored as `(n + 1) (n + 2) / 2` numbers, in the
    rectangular full packed format of LAPACK, whose routines are as fast on it as on the whole
    matrix: in float64 up to 8,000 features, in float32 above. Of 19,000 that is 722 MB.

    Args:
        features: The number of features, at most `MOST_FEATURES`.

    Raises:
        ImportError: If scipy is not installed.

    Source: Gustavson, Wasniewski, Dongarra and Langou, "Rectangular full packed format for
    Cholesky's algorithm", ACM Transactions on Mathematical Software 37, 2010.
    """

    def __init__(self, features: int):
        self._size = features + 1
        self.dtype = np.float64 if features <= _MOST_IN_DOUBLE else np.float32
        self._update, self._factor, self._solve = _routines(self.dtype)
        self._triangle = np.zeros(self._size * (self._size + 1) // 2, self.dtype)
        self._moments = np.zeros((self._size, 0))
        self._totals = np.zeros(self._size)
        self._waiting = np.empty((_ROWS, self._size), self.dtype)
        self._waits = 0
        self._center: np.ndarray | None = None

    def add(self, features: np.ndarray, targets: np.ndarray) -> None:
        """Adds rows.

        Args:
            features: An array `(rows, features)`; the first one has at least one row.
            targets: An array `(rows, targets)`. A later one may have more columns: they count as
                0 for the rows before.
        """
        if self._center is None:
            self._center = features.mean(0, dtype=np.float64).astype(self.dtype)
        added = targets.shape[1] - self._moments.shape[1]
        self._moments = np.pad(self._moments, ((0, 0), (0, added)))
        start = 0
        while start < len(features):
            part = slice(start, start + _ROWS - self._waits)
            count = len(features[part])
            block = self._waiting[self._waits : self._waits + count]
            np.subtract(features[part], self._center, out=block[:, :-1])
            block[:, -1] = 1
            self._moments += block.T @ targets[part].astype(self.dtype)
            self._totals += block.sum(0, dtype=np.float64)
            self._waits += count
            start += count
            if self._waits == _ROWS:
                self._flush()

    @property
    def sums(self) -> np.ndarray:
        """The sum of each target over all rows."""
        return self._moments[-1]

    def solutions(self, penalties: Sequence[float]) -> Iterator[Solution]:
        """Yields the solution for each penalty.

        A penalty is left out if the matrix has no Cholesky factor in this precision. Afterwards the
        sums are spent. With several penalties, a temporary file keeps the triangle.

        Raises:
            OSError: If the temporary folder has no room for it.
        """
        self._flush()
        places = _diagonal(self._size)[:-1]
        squares = self._triangle[places] - self._totals[:-1] ** 2 / self._totals[-1]
        mean = max(0.0, squares.mean())
        with contextlib.ExitStack() as stack:
            if len(penalties) > 1:
                copy = stack.enter_context(tempfile.TemporaryFile())
                _write(self._triangle, copy)
            for number, penalty in enumerate(penalties):
                if number:
                    copy.seek(0)
                    copy.readinto(memoryview(self._triangle).cast("B"))
                self._triangle[places] += self.dtype(penalty * mean)
                found = self._solved()
                if found is not None:
                    yield Solution(penalty, *found)

    def _flush(self) -> None:
        rows = self._waiting[: self._waits].T
        if self._waits:
            self._update(
                self._size, self._waits, 1, rows, 1, self._triangle, uplo="L", overwrite_c=1
            )
        self._waits = 0

    def _solved(self) -> tuple[np.ndarray, np.ndarray] | None:
        factor, failed = self._factor(self._size, self._triangle, uplo="L", overwrite_a=1)
        if failed:
            return None
        moments = np.array(self._moments, self.dtype, order="F")
        found, _ = self._solve(self._size, factor, moments, uplo="L", overwrite_b=1)
        kernel = found[:-1].astype(np.float64)
        return kernel, found[-1] - self._center.astype(np.float64) @ kernel


def _routines(dtype: type) -> list:
    """LAPACK's rank-k update, Cholesky factor and solution for a packed triangle."""
    try:
        from scipy.linalg import lapack
    except ImportError as error:
        raise ImportError(
            f"`elm` needs the extra `elm`: pip install 'fr-keras[elm]' ({error})"
        ) from error
    return lapack.get_lapack_funcs(("sfrk", "pftrf", "pftrs"), dtype=dtype)


def _write(triangle: np.ndarray, file: BinaryIO) -> None:
    try:
        file.write(memoryview(triangle))
        file.flush()
    except OSError as error:
        raise OSError(
            f"Several penalties need {triangle.nbytes:,} bytes in the temporary folder, "
            f"'{tempfile.gettempdir()}'. Set the environment variable TMPDIR to a folder with "
            f"more room, or give one penalty ({error})"
        ) from error


def _diagonal(size: int) -> np.ndarray:
    """The places of the diagonal in the packed lower triangle of a matrix.

    The triangle is a rectangle, column by column. Its columns are the first half of those of the
    matrix. The other half is the triangle of the last columns, transposed into the place above the
    first ones.
    """
    half, rows = (size + 1) // 2, size + 1 - size % 2
    first, last = np.arange(half), np.arange(size - half)
    odd = size % 2
    return np.concatenate([(first + 1 - odd) + first * rows, last + (last + odd) * rows])
