"""Low-rank and sparse parts of matrices: planted ones, optimality, and choices by brute force."""

import itertools
import math

import numpy as np
import pytest

from fr_keras.methods._split_choice import by_budget, by_criterion, cost, criterion
from fr_keras.methods._splits import Spectrum, go_dec, kept_largest, low_rank, pursue


def planted(shape, rank, entries, noise=0.0, seed=0):
    """A low-rank part, a sparse part of large numbers, and their sum with noise."""
    rng = np.random.default_rng(seed)
    low = rng.normal(size=(shape[0], rank)) @ rng.normal(size=(rank, shape[1]))
    sparse = np.zeros(shape)
    places = rng.choice(sparse.size, entries, replace=False)
    sparse.flat[places] = rng.choice([-1, 1], entries) * rng.uniform(5, 10, entries) * rank
    return low, sparse, low + sparse + noise * rng.normal(size=shape)


SHAPES = [(30, 20), (20, 30), (24, 24)]


@pytest.mark.parametrize("shape", [*SHAPES, (5, 1), (1, 5)])
def test_a_spectrum_is_that_of_the_svd(shape):
    matrix = np.random.default_rng(0).normal(size=shape)
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    spectrum, rank = Spectrum(matrix), min(3, *shape)
    np.testing.assert_allclose(spectrum.values[: len(values)], values, rtol=1e-9)
    best = (left[:, :rank] * values[:rank]) @ right[:rank]
    np.testing.assert_allclose(spectrum.best(rank), best, atol=1e-9)
    first, last = spectrum.factors(rank)
    assert (first.shape, last.shape) == ((shape[0], rank), (rank, shape[1]))
    np.testing.assert_allclose(first @ last, best, atol=1e-9)
    assert np.linalg.norm(first) == pytest.approx(np.linalg.norm(last))
    low, left_over = spectrum.shrunk(values[-1] + 0.1)
    smaller = np.maximum(values - values[-1] - 0.1, 0)
    np.testing.assert_allclose(low, (left * smaller) @ right, atol=1e-9)
    assert left_over == np.count_nonzero(smaller)


@pytest.mark.parametrize("rank", [1, 3])
@pytest.mark.parametrize("matrix", [np.zeros((4, 3)), np.full((4, 3), 2.0)], ids=["0", "2"])
def test_factors_beyond_the_rank_are_zero(matrix, rank):
    split = low_rank(matrix, rank)
    np.testing.assert_allclose(split.low, matrix, atol=1e-6)
    assert np.isfinite([*split.first.ravel(), *split.last.ravel()]).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_pursuit_recovers_planted_parts_and_its_multipliers_certify_it(shape):
    low, sparse, matrix = planted(shape, 2, 25)
    split, dual = pursue(matrix, tolerance=1e-8, rounds=3000)
    assert (split.rank, split.entries) == (2, 25)
    np.testing.assert_allclose(split.low, low, atol=1e-4)
    np.testing.assert_allclose(split.sparse, sparse, atol=1e-4)
    weight = 1 / math.sqrt(max(shape))
    # The subgradients: a sign on the entries, and U V^T on the low-rank part.
    left, _, right = np.linalg.svd(split.low, full_matrices=False)
    np.testing.assert_allclose(left[:, :2].T @ dual @ right[:2].T, np.eye(2), atol=1e-4)
    at = split.sparse != 0
    np.testing.assert_allclose(dual[at], weight * np.sign(split.sparse[at]), atol=1e-4)
    assert np.abs(dual).max() <= weight + 1e-4
    assert np.linalg.norm(dual, 2) <= 1 + 1e-4


@pytest.mark.parametrize("shape", SHAPES)
def test_the_error_of_godec_never_grows_and_ends_where_neither_part_can_be_better(shape):
    _, _, matrix = planted(shape, 3, 40, noise=0.3)
    splits = [go_dec(matrix, 3, 40, tolerance=0, rounds=n) for n in range(1, 12)]
    errors = [one.error(matrix) for one in splits]
    assert all(after <= before + 1e-9 for before, after in itertools.pairwise(errors))
    assert errors[-1] < 0.99 * errors[0]
    last = go_dec(matrix, 3, 40, tolerance=1e-12, rounds=2000)
    assert (last.rank, last.entries) == (3, 40)
    rest = matrix - last.sparse
    np.testing.assert_allclose(last.low, low_rank(rest, 3).low, atol=1e-6)
    np.testing.assert_allclose(last.sparse, kept_largest(matrix - last.low, 40), atol=1e-3)


def test_godec_finds_planted_parts():
    low, sparse, matrix = planted((30, 20), 2, 20)
    split = go_dec(matrix, 2, 20, tolerance=1e-10, rounds=500)
    np.testing.assert_allclose(split.low, low, atol=1e-6)
    np.testing.assert_allclose(split.sparse, sparse, atol=1e-6)


@pytest.mark.parametrize("entries", [0, 1, 5, 12])
def test_the_largest_numbers_are_kept(entries):
    matrix = np.random.default_rng(0).permutation(np.arange(1.0, 13)).reshape(3, 4)
    matrix[0] *= -1
    kept = kept_largest(matrix, entries)
    assert sorted(np.abs(kept[kept != 0])) == list(range(13 - entries, 13))
    np.testing.assert_array_equal(kept[kept != 0], matrix[kept != 0])


def test_the_criterion_is_the_formula():
    for rank, entries in itertools.product((1, 3), (0, 1, 7)):
        free = rank * (4 + 5 - rank) + entries
        expected = (
            20 * math.log(3.0 / 20) + free * math.log(20) + 2 * math.log(math.comb(20, entries))
        )
        assert criterion(3.0, (4, 5), rank, entries) == pytest.approx(expected)


@pytest.mark.parametrize("noise", [0.05, 0.3])
@pytest.mark.parametrize(("shape", "rank", "entries"), [((12, 10), 1, 4), ((10, 14), 2, 3)])
def test_the_choice_is_that_of_brute_force(shape, rank, entries, noise):
    _, sparse, matrix = planted(shape, rank, entries, noise)
    scores = {}
    for one in itertools.product(range(1, 5), range(10)):
        if cost(shape, *one) < matrix.size:
            split = go_dec(matrix, *one, tolerance=1e-6)
            scores[one] = criterion(split.error(matrix) ** 2, shape, *one)
    split = by_criterion(matrix, sparse=True)
    assert (split.rank, split.entries) == min(scores, key=scores.get) == (rank, entries)
    np.testing.assert_array_equal(split.sparse != 0, sparse != 0)


@pytest.mark.parametrize("rank", [1, 4])
def test_without_a_sparse_part_only_the_rank_is_chosen(rank):
    matrix = planted((30, 20), rank, 0, noise=0.2)[2]
    split = by_criterion(matrix, sparse=False)
    assert (split.rank, split.entries) == (rank, 0)
    np.testing.assert_allclose(split.low, low_rank(matrix, rank).low)


def test_exact_and_odd_matrices_get_the_smallest_split():
    for matrix in (np.full((8, 6), 0.5), planted((8, 6), 1, 0)[2], np.ones((1, 7))):
        split = by_criterion(matrix, sparse=True)
        assert (split.rank, split.entries) == (1, 0)
        np.testing.assert_allclose(split.low, matrix, atol=1e-6)


@pytest.mark.parametrize("budget", [25, 60, 119])
def test_the_split_of_a_budget_is_that_of_brute_force(budget):
    _, _, matrix = planted((12, 10), 2, 6, noise=0.2)
    split = by_budget(matrix, budget, sparse=True)
    assert cost(matrix.shape, split.rank, split.entries) <= budget
    errors = []
    for rank, entries in itertools.product(range(1, 11), range(61)):
        if cost(matrix.shape, rank, entries) <= budget:
            errors.append(go_dec(matrix, rank, entries).error(matrix))
    assert split.error(matrix) == pytest.approx(min(errors))
    alone = by_budget(matrix, budget, sparse=False)
    assert (alone.rank, alone.entries) == (budget // 22, 0)
