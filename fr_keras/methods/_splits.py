"""Matrices as a low-rank and a sparse part: robust principal component pursuit, and GoDec."""

import dataclasses
import math

import numpy as np

# Singular values below this share of the first one are rounding errors of their squares.
_NOTHING = 1e-7


@dataclasses.dataclass(frozen=True)
class Split:
    """A matrix `first @ last + sparse`, up to an error.

    Attributes:
        first: `(rows, rank)`.
        last: `(rank, columns)`, of the same norm as `first`.
        sparse: `(rows, columns)`, mostly zeros.
    """

    first: np.ndarray
    last: np.ndarray
    sparse: np.ndarray

    @property
    def rank(self) -> int:
        return self.first.shape[1]

    @property
    def entries(self) -> int:
        """How many numbers of the sparse part are not zero."""
        return int(np.count_nonzero(self.sparse))

    @property
    def low(self) -> np.ndarray:
        """The low-rank part as a matrix."""
        return self.first @ self.last

    def error(self, matrix: np.ndarray) -> float:
        """The norm of what the parts miss of a matrix."""
        return float(np.linalg.norm(matrix - self.low - self.sparse))


class Spectrum:
    """The singular values of a matrix, and its best approximations of low rank.

    They come from the eigenvectors of the smaller of both Gram matrices, which takes less time and
    memory than a singular value decomposition; values below 1e-7 of the largest one are noise.

    Args:
        matrix: A matrix of float64.
    """

    def __init__(self, matrix: np.ndarray):
        self._wide = matrix.shape[0] < matrix.shape[1]
        self._tall = matrix.T if self._wide else matrix
        squares, vectors = np.linalg.eigh(self._tall.T @ self._tall)
        self.values = np.sqrt(np.maximum(squares[::-1], 0.0))
        self._vectors = vectors[:, ::-1]

    def shrunk(self, threshold: float) -> tuple[np.ndarray, int]:
        """Returns the matrix with singular values smaller by `threshold`, and its rank."""
        rank = int(np.count_nonzero(self.values > threshold))
        right = self._vectors[:, :rank]
        low = (self._tall @ (right * (1 - threshold / self.values[:rank]))) @ right.T
        return low.T if self._wide else low, rank

    def best(self, rank: int) -> np.ndarray:
        """Returns the best approximation of a rank."""
        right = self._vectors[:, :rank]
        low = (self._tall @ right) @ right.T
        return low.T if self._wide else low

    def factors(self, rank: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns `first` and `last` of the best approximation, with the values in halves."""
        right, values = self._vectors[:, :rank], self.values[:rank]
        roots = np.sqrt(np.where(values > _NOTHING * max(self.values[0], 1e-300), values, 1.0))
        first, last = (self._tall @ right) / roots, right.T * roots[:, None]
        return (last.T, first.T) if self._wide else (first, last)


def low_rank(matrix: np.ndarray, rank: int) -> Split:
    """Returns the best approximation of a rank, without a sparse part."""
    return Split(*Spectrum(matrix).factors(rank), np.zeros_like(matrix))


def kept_largest(matrix: np.ndarray, entries: int) -> np.ndarray:
    """Returns the matrix with all but its largest numbers, in magnitude, set to zero."""
    sparse = np.zeros_like(matrix)
    if entries:
        flat = np.argpartition(np.abs(matrix), matrix.size - entries, axis=None)
        places = flat[matrix.size - entries :]
        sparse.flat[places] = matrix.flat[places]
    return sparse


def go_dec(
    matrix: np.ndarray, rank: int, entries: int, tolerance: float = 1e-4, rounds: int = 50
) -> Split:
    """Returns a low-rank and a sparse part with a budget for both.

    Each round takes the best low-rank part for the present sparse part, and then the best sparse
    part for that: the error `||matrix - low - sparse||` never grows. The rounds begin once from no
    sparse part, as in the source, and once from the largest numbers of the matrix, which a
    low-rank part would else take for its own; the end of the smaller error counts.

    Args:
        matrix: A matrix of float64.
        rank: The rank of the low-rank part.
        entries: How many numbers the sparse part has.
        tolerance: The relative fall of the error in a round at which to stop.
        rounds: The most rounds.

    Example:

    >>> matrix = np.outer([1.0, 2, 3, 4], [1.0, 1, 2, 2])
    >>> matrix[0, 0] = 50
    >>> split = go_dec(matrix, rank=1, entries=1, tolerance=1e-9)
    >>> np.round(split.sparse[0], 3)
    array([49.,  0.,  0.,  0.])

    Source: Zhou and Tao, "GoDec: Randomized Low-rank & Sparse Matrix Decomposition in Noisy Case",
    ICML 2011.
    """
    if not entries:
        return low_rank(matrix, rank)

    def alternate(sparse: np.ndarray) -> tuple[float, np.ndarray]:
        before = math.inf
        for _ in range(rounds):
            rest = matrix - Spectrum(matrix - sparse).best(rank)
            sparse = kept_largest(rest, entries)
            error = float(np.linalg.norm(rest - sparse))
            if before - error <= tolerance * error:
                break
            before = error
        return error, sparse

    starts = (np.zeros_like(matrix), kept_largest(matrix, entries))
    _, sparse = min(map(alternate, starts), key=lambda end: end[0])
    return Split(*Spectrum(matrix - sparse).factors(rank), sparse)


def pursue(
    matrix: np.ndarray, weight: float | None = None, tolerance: float = 1e-5, rounds: int = 1000
) -> tuple[Split, np.ndarray]:
    """Returns the parts that robust principal component pursuit finds, and their certificate.

    It minimizes `||L||_* + weight * ||S||_1` for `L + S = matrix` by alternating steps on the
    augmented Lagrangian, with `mu = size / (4 * ||matrix||_1)`:

        L = singular values of (matrix - S + Y / mu) made smaller by 1 / mu,
        S = numbers of (matrix - L + Y / mu) made smaller by weight / mu,
        Y = Y + mu * (matrix - L - S).

    Args:
        matrix: A matrix of float64 that is not zero.
        weight: By default `1 / sqrt(max(rows, columns))`.
        tolerance: The error, and the change of `S` in a round, relative to the norm of the matrix,
            at which to stop.
        rounds: The most rounds.

    Returns:
        The parts, and the multipliers `Y`: at the optimum the largest singular value of `Y` is 1
        and its largest number `weight`, both reached where `L` and `S` are not zero.

    Source: Candès, Li, Ma and Wright, "Robust Principal Component Analysis?", Journal of the ACM
    2011, arXiv 0912.3599; Lin, Chen and Ma, arXiv 1009.5055.
    """
    weight = 1 / math.sqrt(max(matrix.shape)) if weight is None else weight
    norm, mu = np.linalg.norm(matrix), matrix.size / (4 * np.abs(matrix).sum())
    sparse, dual = np.zeros_like(matrix), np.zeros_like(matrix)
    for _ in range(rounds):
        low, rank = Spectrum(matrix - sparse + dual / mu).shrunk(1 / mu)
        before, rest = sparse, matrix - low + dual / mu
        sparse = np.sign(rest) * np.maximum(np.abs(rest) - weight / mu, 0.0)
        gap = matrix - low - sparse
        dual = dual + mu * gap
        if max(np.linalg.norm(gap), np.linalg.norm(sparse - before)) <= tolerance * norm:
            break
    return Split(*Spectrum(low).factors(rank), sparse), dual
