"""Ridge regression in one pass, beside plain matrices."""

import io
import tracemalloc

import numpy as np
import pytest
from scipy.linalg import lapack

from fr_keras.methods import _ridge
from fr_keras.methods._ridge import Ridge


def rows(count: int, features: int, targets: int = 3, seed: int = 0):
    random = np.random.default_rng(seed)
    h = random.normal(size=(count, features)).astype(np.float32) + 2
    return h, h @ random.normal(size=(features, targets)) + random.normal(size=(count, targets)) + 5


def reference(h: np.ndarray, t: np.ndarray, penalty: float):
    """The ridge solution with centred columns, where the bias is what is left of the means."""
    h, t = h.astype(np.float64), t.astype(np.float64)
    g, s = h - h.mean(0), t - t.mean(0)
    weight = penalty * np.mean(np.sum(g**2, axis=0))
    kernel = np.linalg.solve(g.T @ g + weight * np.eye(h.shape[1]), g.T @ s)
    return kernel, t.mean(0) - h.mean(0) @ kernel


def solved(h, t, penalties, step: int):
    ridge = Ridge(h.shape[1])
    for start in range(0, len(h), step):
        ridge.add(h[start : start + step], t[start : start + step])
    return list(ridge.solutions(penalties))


@pytest.mark.parametrize("features", [1, 2, 6, 7])
@pytest.mark.parametrize("step", [1, 50, 4000])
def test_solutions_are_those_of_the_whole_matrix(features, step):
    h, t = rows(1300, features)
    for penalty, kernel, bias in solved(h, t, [1e-6, 0.3, 20.0], step):
        expected = reference(h, t, penalty)
        np.testing.assert_allclose(kernel, expected[0], rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(bias, expected[1], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("targets", [1, 3])
def test_penalties_come_in_their_order_and_each_from_the_same_sums(targets):
    h, t = rows(40, 5, targets)
    several = solved(h, t, [0.1, 1e-3, 0.1], step=40)
    assert [penalty for penalty, *_ in several] == [0.1, 1e-3, 0.1]
    np.testing.assert_array_equal(several[0][1], several[2][1])
    assert np.abs(several[0][1] - several[1][1]).max() > 1e-3


def test_float32_is_near_float64(monkeypatch):
    h, t = rows(600, 40)
    ((_, *exact),) = solved(h, t, [1e-3], step=100)
    monkeypatch.setattr(_ridge, "_MOST_IN_DOUBLE", 39)
    assert Ridge(40).dtype is np.float32
    ((_, *found),) = solved(h, t, [1e-3], step=100)
    for one, expected in zip(found, exact, strict=True):
        np.testing.assert_allclose(one, expected, atol=1e-3)


def test_targets_may_get_more_columns():
    h, t = rows(30, 4)
    t[:20, 2] = 0
    ridge = Ridge(4)
    ridge.add(h[:20], t[:20, :2])
    ridge.add(h[20:], t[20:])
    ((_, kernel, _),) = ridge.solutions([0.1])
    expected, _ = reference(h, t, 0.1)
    np.testing.assert_allclose(kernel, expected, rtol=1e-6)


def test_what_has_no_factor_is_left_out():
    h, t = rows(30, 4)
    h[:, 3] = h[:, 2]
    ridge = Ridge(4)
    ridge.add(h, t)
    assert [penalty for penalty, *_ in ridge.solutions([-1.0, 0.1])] == [0.1]


def test_a_full_temporary_folder_is_named(monkeypatch):
    class Full(io.BytesIO):
        def write(self, content):
            raise OSError("No space left on device")

    monkeypatch.setattr(_ridge.tempfile, "TemporaryFile", Full)
    with pytest.raises(OSError, match=r"120 bytes in the temporary folder.*TMPDIR"):
        solved(*rows(9, 4), [0.1, 1.0], step=9)
    assert len(solved(*rows(9, 4), [0.1], step=9)) == 1


@pytest.mark.parametrize("size", [1, 2, 3, 8, 9])
def test_the_diagonal_of_the_triangle_is_where_lapack_has_it(size):
    whole = np.diag(np.arange(1.0, size + 1))
    packed, failed = lapack.dtrttf(whole, uplo="L")
    assert not failed
    np.testing.assert_array_equal(packed[_ridge._diagonal(size)], np.arange(1, size + 1))


def test_memory_is_that_of_half_a_matrix():
    """What is allocated while rows are added and solved, by numpy's own account."""
    features = 1200
    h, t = rows(600, features, targets=2)
    tracemalloc.start()
    solved(h, t, [0.1, 1.0], step=100)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    triangle, waiting = 8 * features * features // 2, 8 * 512 * features
    assert peak < 1.2 * (triangle + waiting)
