"""The mathematics of low rank: ranks and noise by EVBMF, and Tucker-2."""

import math
import tracemalloc

import numpy as np
import pytest

from fr_keras.methods import _tucker2
from fr_keras.methods._evbmf import evbmf, free_energy, threshold
from fr_keras.methods._tucker2 import Factors, fitted, leading, singular_values, tucker2


def noisy(shape: tuple[int, int], rank: int, noise: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(shape[0], rank)) @ rng.normal(size=(rank, shape[1]))
    return signal + noise * rng.normal(size=shape)


def values_of(matrix: np.ndarray) -> np.ndarray:
    return np.linalg.svd(matrix, compute_uv=False)


@pytest.mark.parametrize("noise", [0.1, 1.0])
@pytest.mark.parametrize(
    ("shape", "rank"), [((64, 576), 8), ((128, 128), 20), ((300, 100), 5)], ids=str
)
def test_rank_and_noise_of_a_low_rank_matrix_are_found(shape, rank, noise):
    matrix = noisy(shape, rank, noise)
    found, variance = evbmf(values_of(matrix), shape)
    assert found == rank
    assert variance == pytest.approx(noise**2, rel=0.05)
    transposed = evbmf(values_of(matrix.T), shape[::-1])
    assert transposed[0] == rank
    assert transposed[1] == pytest.approx(variance, rel=1e-6)


def energy_of_one(square: float, rows: int, columns: int, noise: float) -> float:
    """The term of a singular value, written out: the root `t` by trying it."""
    ratio, x = rows / columns, square / (columns * noise)
    t = math.sqrt(ratio)
    for _ in range(5000):  # of t = x - 1 - ratio - ratio / t, the larger root
        t = max(x - 1 - ratio - ratio / t, math.sqrt(ratio))
    if x <= threshold(ratio):
        return x - math.log(x)
    return x - math.log(x) + math.log(t + 1) + ratio * math.log(t / ratio + 1) - t


@pytest.mark.parametrize("seed", range(3))
def test_the_noise_is_that_of_the_least_free_energy_on_a_grid(seed):
    shape = (12, 30)
    squares = values_of(noisy(shape, 3, 0.7, seed)) ** 2
    grid = np.exp(np.linspace(np.log(1e-3), np.log(squares.sum() / math.prod(shape)), 4000))
    energies = free_energy(squares, shape, grid)
    some = grid[:: len(grid) // 5]
    expected = [sum(energy_of_one(one, *shape, noise) for one in squares) for noise in some]
    np.testing.assert_allclose(energies[:: len(grid) // 5], expected, rtol=1e-6)
    best = grid[energies.argmin()]
    rank, noise = evbmf(np.sqrt(squares), shape)
    assert noise == pytest.approx(best, rel=2 * (grid[1] / grid[0] - 1))
    assert free_energy(squares, shape, noise) <= energies.min() + 1e-9
    assert rank == np.count_nonzero(squares > shape[1] * best * threshold(12 / 30))


@pytest.mark.parametrize("ratio", [1.0, 0.5, 0.01, 1e-4])
def test_the_threshold_solves_its_equation(ratio):
    x = threshold(ratio)
    t = (x - 1 - ratio + math.sqrt((x - 1 - ratio) ** 2 - 4 * ratio)) / 2
    phi = lambda z: math.log1p(z) / z - 0.5  # noqa: E731
    assert phi(t) + phi(t / ratio) == pytest.approx(0, abs=1e-6)
    if ratio == 1:  # where the approximation of the source is exact
        assert t == pytest.approx(2.5129, rel=1e-4)


def test_matrices_of_zeros_and_noise_have_rank_zero_and_those_of_one_value_one():
    assert evbmf(np.zeros(4), (4, 9)) == (0, 0.0)
    rank, noise = evbmf(values_of(np.full((7, 9), 0.3)), (7, 9))
    assert rank == 1
    assert noise < 1e-9
    assert evbmf(values_of(noisy((40, 60), 0, 1.0)), (40, 60))[0] == 0
    assert evbmf([6.0], (1, 1))[0] in (0, 1)  # one number says nothing of its noise
    assert evbmf(values_of(noisy((20, 30), 4, 0.0)), (20, 30))[0] == 4
    with pytest.raises(ValueError, match="`singular` must be finite"):
        evbmf([1.0, math.nan], (2, 2))


def kernel(shape=(9, 12, 16), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def squared(array: np.ndarray) -> float:
    return float(np.square(array).sum())


@pytest.mark.parametrize("ranks", [(5, 7), (12, 7), (5, 16), (1, 1), (12, 16)], ids=str)
def test_the_factors_are_orthonormal_and_the_core_has_the_rest_of_the_energy(ranks):
    whole = kernel()
    found = tucker2(whole, ranks)
    assert found.core.shape == (9, *ranks)
    error = squared(whole - found.kernel())
    assert error == pytest.approx(squared(whole) - squared(found.core), abs=1e-9)
    assert (found.before is None, found.after is None) == (ranks[0] == 12, ranks[1] == 16)
    for one in (found.before, None if found.after is None else found.after.T):
        if one is not None:
            np.testing.assert_allclose(one.T @ one, np.eye(one.shape[1]), atol=1e-12)
    if ranks == (12, 16):
        assert error == 0


def test_a_kernel_of_these_ranks_is_found_at_once_and_no_factors_nearby_are_better(monkeypatch):
    right = _tucker2._right
    rng = np.random.default_rng(1)
    low = rng.normal(size=(12, 3)) @ rng.normal(size=(9, 3, 4)) @ rng.normal(size=(4, 16))
    turns = []
    monkeypatch.setattr(_tucker2, "_right", lambda *args: turns.append(1) or right(*args))
    np.testing.assert_allclose(tucker2(low, (3, 4)).kernel(), low, atol=1e-10)
    assert len(turns) < 5
    found = tucker2(kernel(), (3, 4))
    for _ in range(20):
        u = np.linalg.qr(found.before + 0.05 * rng.normal(size=found.before.shape))[0]
        v = np.linalg.qr(found.after.T + 0.05 * rng.normal(size=(16, 4)))[0]
        near = Factors(u, u.T @ kernel() @ v, v.T)
        assert squared(kernel() - near.kernel()) > squared(kernel() - found.kernel())


def test_a_matrix_gets_its_truncated_singular_value_decomposition():
    for shape in ((1, 30, 8), (1, 8, 30)):
        whole = kernel(shape)
        u, s, v = np.linalg.svd(whole[0])
        expected = (u[:, :5] * s[:5]) @ v[:5]
        np.testing.assert_allclose(tucker2(whole, (shape[1], 5)).kernel()[0], expected, atol=1e-10)


def root_of(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(values)) @ vectors.T


def test_the_outputs_of_fitted_factors_are_near():
    rng = np.random.default_rng(2)
    # Rows of nine positions that are alike, whose channels vary more and less.
    inputs = rng.normal(size=(300, 1, 12)) + 0.3 * rng.normal(size=(300, 9, 12))
    inputs = inputs * np.linspace(0.01, 3, 12)
    root = root_of(np.einsum("nks,nkt->st", inputs, inputs))
    outputs_of = lambda one: np.einsum("nks,kst->nt", inputs, one)  # noqa: E731
    whole = kernel()
    covariance = outputs_of(whole).T @ outputs_of(whole)
    error = lambda one: squared(outputs_of(whole - one.kernel()))  # noqa: E731
    for ranks in ((5, 7), (12, 7), (5, 16)):
        one = fitted(whole, ranks, root, covariance)
        assert one.core.shape == (9, *ranks)
        assert error(one) < 0.5 * error(tucker2(whole, ranks))
        if one.before is not None:
            np.testing.assert_allclose(one.before.T @ one.before, np.eye(5), atol=1e-9)
    least = squared(values_of(outputs_of(whole))[7:])  # of any seven output channels
    assert error(fitted(whole, (12, 7), root, covariance)) == pytest.approx(least)
    # Without what would be too large, it is that of inputs that vary alike.
    np.testing.assert_allclose(
        fitted(whole, (12, 7), None, None).kernel(), tucker2(whole, (12, 7)).kernel(), atol=1e-9
    )
    assert squared(whole - fitted(whole, (5, 7), None, None).kernel()) < squared(whole)
    np.testing.assert_allclose(fitted(whole, (12, 16), root, covariance).kernel(), whole)


def test_long_axes_are_decomposed_at_random_in_bounded_memory(monkeypatch):
    matrix = noisy((60, 80), 3, 0.01)
    exact = leading(matrix, 3)
    monkeypatch.setattr(_tucker2, "LONGEST", 40)
    drawn = leading(matrix, 3)
    np.testing.assert_allclose(np.abs(np.diag(exact.T @ drawn)), 1, atol=1e-6)
    found = singular_values(matrix[None], 1)
    np.testing.assert_allclose(found[:5], values_of(matrix)[:5], rtol=1e-2)
    assert squared(found) == pytest.approx(squared(matrix))
    assert evbmf(found, (60, 80))[0] == 3
    monkeypatch.undo()
    long = np.random.default_rng(0).normal(size=(1, 30_000, 8)).astype(np.float32)
    tracemalloc.start()
    assert tucker2(long, (30_000, 4)).core.shape == (1, 30_000, 4)
    assert evbmf(singular_values(long, 1), long.shape[1:])[0] == 0
    assert tracemalloc.get_traced_memory()[1] < 20 * long.nbytes  # not the square of the axis
    tracemalloc.stop()


@pytest.mark.slow
def test_tensorly_finds_the_same_factors():
    decomposition = pytest.importorskip("tensorly.decomposition")
    rng = np.random.default_rng(0)
    low = rng.normal(size=(24, 6)) @ rng.normal(size=(9, 6, 8)) @ rng.normal(size=(8, 32))
    whole = low + 2 * kernel((9, 24, 32))
    for ranks in ((6, 8), (3, 20)):
        (core, factors), _ = decomposition.partial_tucker(
            whole, list(ranks), modes=[1, 2], init="svd", tol=1e-10, n_iter_max=500
        )
        theirs = np.einsum("kab,sa,tb->kst", core, *factors)
        ours = tucker2(whole, ranks).kernel()
        # Ours stops earlier, where the error changes by 1e-4.
        assert squared(whole - ours) == pytest.approx(squared(whole - theirs), rel=1e-3)
