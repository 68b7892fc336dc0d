"""Empirical variational Bayesian matrix factorization: the rank and the noise of a matrix."""

import math

import numpy as np

_GRID, _ROUNDS = 200, 60
# What is told from nothing, by the mean square of the matrix: rounding to float32.
_ROUNDING = 1e-14


def evbmf(singular: np.ndarray, shape: tuple[int, int]) -> tuple[int, float]:
    """Returns the rank of a matrix under Gaussian noise, and the variance of the noise.

    A matrix of `L` rows and `M` columns, `L <= M`, is taken as a low-rank one with noise of an
    unknown variance `s` on each number. With `a = L / M`, and the singular values `g`,

        rank = #{g > sqrt(M s x)},    x = (1 + t) (1 + a / t),
        P(t) + P(t / a) = 0,          P(z) = ln(1 + z) / z - 1 / 2,

    and `s` minimizes the free energy of `free_energy`. The rank of noise alone is 0. The solution
    is exact, not a search over factorizations.

    Args:
        singular: The singular values, in any order; missing ones are zero.
        shape: The shape of the matrix, in any order.

    Raises:
        ValueError: If a singular value is not finite.

    Example:

    >>> rng = np.random.default_rng(0)
    >>> matrix = rng.normal(size=(40, 3)) @ rng.normal(size=(3, 90))
    >>> matrix += 0.1 * rng.normal(size=matrix.shape)
    >>> rank, noise = evbmf(np.linalg.svd(matrix, compute_uv=False), matrix.shape)
    >>> rank, round(noise, 3)
    (3, 0.01)

    Source: Nakajima et al., "Global analytic solution of fully-observed variational Bayesian matrix
    factorization", JMLR 14, 2013.
    """
    rows, columns = sorted(shape)
    squares = np.zeros(rows)
    given = np.square(np.asarray(singular, np.float64))[:rows]
    squares[: len(given)] = np.sort(given)[::-1]
    if not np.isfinite(squares).all():
        raise ValueError("`singular` must be finite. Received: NaN or infinite values")
    if not squares[0]:
        return 0, 0.0
    squares = np.maximum(squares, _ROUNDING * squares.sum() / rows)
    noise = _least(squares, rows, columns)
    above = squares > columns * noise * threshold(rows / columns)
    return int(np.count_nonzero(above)), noise


def free_energy(squares: np.ndarray, shape: tuple[int, int], noise) -> np.ndarray:
    """The free energy by the noise, but for terms that do not depend on it.

    With `x = g^2 / (M s)` for each singular value `g` and `t` from `x = (1 + t) (1 + a / t)`,

        sum over g of x - ln x + [x above the threshold] (ln(t + 1) + a ln(t / a + 1) - t)

    Args:
        squares: The squares of all `L` singular values, above zero.
        shape: `(L, M)`, `L <= M`.
        noise: Variances of the noise, an array of any shape.
    """
    ratio = shape[0] / shape[1]
    x = squares / (shape[1] * np.asarray(noise)[..., None])
    above = x > threshold(ratio)
    signal = np.where(above, x, threshold(ratio))  # elsewhere the root would be imaginary
    shifted = signal - 1 - ratio
    t = (shifted + np.sqrt(np.maximum(shifted**2 - 4 * ratio, 0))) / 2
    gain = np.log1p(t) + ratio * np.log1p(t / ratio) - t
    return (x - np.log(x) + np.where(above, gain, 0)).sum(-1)


def threshold(ratio: float) -> float:
    """The least `x` that is no noise, for the ratio of the sides of the matrix."""
    low, high = 1e-12, 1e3
    for _ in range(100):  # the sum falls from one to minus one
        middle = math.sqrt(low * high)
        falls = _phi(middle) + _phi(middle / ratio) > 0
        low, high = (middle, high) if falls else (low, middle)
    return (1 + low) * (1 + ratio / low)


def _phi(z: float) -> float:
    return math.log1p(z) / z - 0.5


def _least(squares: np.ndarray, rows: int, columns: int) -> float:
    """The noise of the least free energy, between the bounds that the source proves."""
    ratio = rows / columns
    most = squares.sum() / (rows * columns)
    signals = min(math.ceil(rows / (1 + ratio)) - 1, rows - 1)
    tail = squares[signals:]
    least = max(tail[0] / (columns * threshold(ratio)), tail.mean() / columns)
    low, high = np.log(min(least, most)), np.log(most)
    for _ in range(_ROUNDS):
        # It may have several minima: a grid finds the lowest, and a finer one its place.
        points = np.linspace(low, high, _GRID)
        best = int(np.argmin(free_energy(squares, (rows, columns), np.exp(points))))
        low, high = points[max(best - 1, 0)], points[min(best + 1, _GRID - 1)]
        if high - low < 1e-9:
            break
    return float(np.exp((low + high) / 2))
