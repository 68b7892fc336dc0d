"""Which rank and how many sparse numbers a matrix gets."""

import itertools
import math

import numpy as np

from fr_keras.methods._splits import (
    Spectrum,
    Split,
    go_dec,
    kept_largest,
    low_rank,
    pursue,
)

# An entry of a sparse part is a value and its place.
_PER_ENTRY = 2
# How many ranks are tried, and which shares of entries.
_RANKS, _SHARES = 9, (0.0, 0.01, 0.03, 0.1, 0.2)


def cost(shape: tuple[int, int], rank: int, entries: int) -> int:
    """Returns how many numbers a split counts: its factors, and two for each sparse entry.

    Example:

    >>> cost((10, 20), rank=3, entries=5)
    100
    """
    return rank * sum(shape) + _PER_ENTRY * entries


def criterion(squares, shape: tuple[int, int], rank, entries):
    """Returns the extended BIC of splits; all arguments but the shape may be arrays.

    For a matrix of `N = rows * columns` numbers it is

        N * ln(squares / N) + (rank * (rows + columns - rank) + entries) * ln(N)
            + 2 * ln(binomial(N, entries)).

    The last term counts the sets of places that the entries could have been chosen from.

    Args:
        squares: The sum of the squared errors.
        shape: Rows and columns.
        rank: The rank of the low-rank part.
        entries: How many numbers the sparse part has.

    Source: Chen and Chen, "Extended Bayesian information criteria for model selection with large
    model spaces", Biometrika 2008, with the weight 1 of the last term. The degrees of freedom are
    those of matrices of a rank and of free numbers.
    """
    size = math.prod(shape)
    free = rank * (sum(shape) - rank) + entries
    return size * np.log(squares / size) + free * math.log(size) + 2 * _choices(size, entries)


def _choices(size: int, entries: np.ndarray) -> np.ndarray:
    """The logarithms of the numbers of sets with that many entries."""
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, size + 1)))])
    entries = np.asarray(entries, np.int64)
    return logs[size] - logs[entries] - logs[size - entries]


def by_criterion(matrix: np.ndarray, sparse: bool) -> Split:
    """Returns the split of the least extended BIC that is found.

    In turn, the rank and the low-rank part are the best for the present sparse part, and the number
    of entries and the sparse part the best for that; each step tries all numbers, so the criterion
    never grows. These steps begin at the sparse part of the pursuit, and at the best one of GoDec
    on a grid of ranks and numbers of entries.

    Args:
        matrix: A matrix of float64 that is not zero.
        sparse: Whether there may be a sparse part.
    """
    if not sparse:
        spectrum = Spectrum(matrix)
        rank, _ = _best_rank(matrix, spectrum, 0)
        return Split(*spectrum.factors(rank), np.zeros_like(matrix))
    pursued, _ = pursue(matrix, tolerance=1e-3, rounds=200)
    ends = [_descent(matrix, start) for start in (pursued.sparse, _best_on_grid(matrix))]
    return min(ends, key=lambda end: end[1])[0]


def _best_on_grid(matrix: np.ndarray) -> np.ndarray:
    """The sparse part of the least criterion on a grid of ranks and numbers of entries."""
    best, least = np.zeros_like(matrix), math.inf
    most = max(1, min((matrix.size - 1) // sum(matrix.shape), *matrix.shape))
    ranks = sorted({round(one) for one in np.geomspace(1, most, _RANKS)})
    counts = [round(share * matrix.size) for share in _SHARES]
    for rank, entries in itertools.product(ranks, counts):
        if cost(matrix.shape, rank, entries) < matrix.size:
            split = go_dec(matrix, rank, entries, tolerance=1e-3, rounds=5)
            squares = _above_rounding(matrix, split.error(matrix) ** 2)
            score = criterion(squares, matrix.shape, rank, entries)
            if score < least:
                best, least = split.sparse, score
    return best


def _descent(matrix: np.ndarray, found: np.ndarray) -> tuple[Split, float]:
    """The split at which neither step finds a better one, or the last of 50; its criterion."""
    split, score = None, math.inf
    for _ in range(50):
        spectrum = Spectrum(matrix - found)
        rank, _ = _best_rank(matrix, spectrum, np.count_nonzero(found))
        found, now = _best_entries(matrix, rank, matrix - spectrum.best(rank))
        if split is not None and now >= score - 1e-6 * abs(score):
            break
        split, score = Split(*spectrum.factors(rank), found), now
    return split, score


def _best_rank(matrix: np.ndarray, spectrum: Spectrum, entries: int) -> tuple[int, float]:
    most = max(1, (matrix.size - _PER_ENTRY * entries) // sum(matrix.shape))
    ranks = np.arange(1, min(most, len(spectrum.values)) + 1)
    squares = _above_rounding(matrix, _tails(np.square(spectrum.values))[ranks])
    scores = criterion(squares, matrix.shape, ranks, entries)
    return int(ranks[np.argmin(scores)]), float(scores.min())


def _best_entries(matrix: np.ndarray, rank: int, rest: np.ndarray) -> tuple[np.ndarray, float]:
    most = max(0, (matrix.size - rank * sum(matrix.shape)) // _PER_ENTRY)
    entries = np.arange(most + 1)
    tails = _tails(np.sort(np.square(rest), axis=None)[::-1])[entries]
    scores = criterion(_above_rounding(matrix, tails), matrix.shape, rank, entries)
    best = int(np.argmin(scores))
    return kept_largest(rest, best), float(scores[best])


def _tails(squares: np.ndarray) -> np.ndarray:
    """The sums of all numbers, of all but the first, and so on."""
    return np.append(np.cumsum(squares[::-1])[::-1], 0.0)


def _above_rounding(matrix: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Sums of squares, at least those of the rounding errors of float32."""
    rounding = np.finfo(np.float32).eps * np.abs(matrix).max()
    return np.maximum(squares, matrix.size * max(rounding, 1e-150) ** 2)


def by_budget(matrix: np.ndarray, budget: int, sparse: bool) -> Split:
    """Returns the split of the least error that counts at most `budget` numbers.

    Without a sparse part, the rank is the largest one. With it, GoDec tries ranks from 1 to
    that one, all of them or nine at equal distances, each with the entries that are left.

    Args:
        matrix: A matrix of float64.
        budget: How many numbers, as `cost` counts them; enough for rank 1.
        sparse: Whether there may be a sparse part.
    """
    most = min(budget // sum(matrix.shape), *matrix.shape)
    if not sparse:
        return low_rank(matrix, most)
    best, least = None, math.inf
    for rank in sorted({round(one) for one in np.linspace(1, most, min(most, _RANKS))}):
        entries = (budget - cost(matrix.shape, rank, 0)) // _PER_ENTRY
        split = go_dec(matrix, rank, entries)
        error = split.error(matrix)
        if error < least:
            best, least = split, error
    return best
