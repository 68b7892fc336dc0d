import functools
from unittest import mock

import keras
import numpy as np
import pytest
import scipy.fft
from backends import BACKEND, compiled, float64, gradients
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from fr_keras import spectral

TOLERANCE = 1e-5  # float32 against scipy's float64, relative to the largest value


def random(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def close(a, b):
    return np.abs(ops.convert_to_numpy(a) - b).max() <= TOLERANCE * np.abs(b).max()


@pytest.mark.parametrize("contracts", [True, False])
@settings(max_examples=8 if BACKEND == "jax" else 60)  # JAX compiles for each shape
@given(shape=st.lists(st.integers(1, 7), min_size=1, max_size=5), seed=st.integers(0, 5))
def test_both_ways_equal_scipy(contracts, shape, seed):
    x = random(shape, seed)
    exact = x.astype(np.float64)
    with mock.patch.object(spectral, "contracts", return_value=contracts):
        assert close(spectral.dct_nd(x), scipy.fft.dctn(exact, norm="ortho"))
        assert close(spectral.idct_nd(x), scipy.fft.idctn(exact, norm="ortho"))


@pytest.mark.parametrize("shape", [(513,), (1000,), (3, 529), (600, 5), (2, 600, 3)])
def test_long_axes_equal_scipy(shape):
    assert not spectral.contracts(max(shape), max(shape))
    x = random(shape)
    assert close(spectral.dct_nd(x), scipy.fft.dctn(x.astype(np.float64), norm="ortho"))
    assert close(spectral.idct_nd(x), scipy.fft.idctn(x.astype(np.float64), norm="ortho"))


@pytest.mark.parametrize("axes", [(0,), (1, 3), (-1,), (2, 0)])
def test_some_axes(axes):
    x = random((3, 4, 5, 6))
    assert close(spectral.dct_nd(x, axes), scipy.fft.dctn(x, axes=axes, norm="ortho"))
    assert close(spectral.idct_nd(x, axes), scipy.fft.idctn(x, axes=axes, norm="ortho"))


@pytest.mark.parametrize(
    ("corner", "shape"),
    [
        ((2, 3), (5, 7)),
        ((3, 3, 4, 4), (3, 3, 64, 32)),
        ((4, 30), (25_088, 64)),
        ((600,), (20_000,)),
    ],
)
def test_a_corner_is_the_zero_padded_whole(corner, shape):
    x = random(corner)
    padded = np.pad(x.astype(np.float64), [(0, n - r) for n, r in zip(shape, corner, strict=True)])
    assert close(spectral.idct_nd(x, shape=shape), scipy.fft.idctn(padded, norm="ortho"))


def test_no_cosine_matrix_for_an_axis_of_tens_of_thousands():
    assert not spectral.contracts(25_088, 25_088)
    assert not spectral.contracts(25_088, 256)
    assert spectral.contracts(25_088, 30)


@pytest.mark.parametrize("shape", [(4, 5), (3, 600)])
def test_gradient_is_the_adjoint(shape):
    """The transform is orthonormal, so its gradient is the inverse transform."""
    x, upstream = random(shape), random(shape, 1)
    _, (found,) = gradients(spectral.idct_nd, x, upstream=upstream)
    assert close(found, scipy.fft.dctn(upstream, norm="ortho"))


def test_gradient_of_a_corner():
    x, upstream = random((2, 3)), random((5, 7), 1)
    idct = functools.partial(spectral.idct_nd, shape=(5, 7))
    _, (found,) = gradients(idct, x, upstream=upstream)
    assert close(found, scipy.fft.dctn(upstream, norm="ortho")[:2, :3])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", pytest.param("float64", marks=float64)])
def test_arithmetic_is_float32(dtype):
    x = ops.cast(random((8, 8)), dtype)
    y = spectral.idct_nd(x)
    assert keras.backend.standardize_dtype(y.dtype) == "float32"
    exact = ops.convert_to_numpy(x).astype(np.float64)
    assert close(y, scipy.fft.idctn(exact, norm="ortho"))


def test_under_jit():
    x = random((5, 600))
    found = compiled(spectral.idct_nd)(ops.convert_to_tensor(x))
    assert close(found, scipy.fft.idctn(x.astype(np.float64), norm="ortho"))


def test_cosine_matrix_of_a_long_axis_is_exact():
    """The angle u * x is large: float32 or a naive float64 product would drift."""
    rows = spectral.cosine_matrix(20_000, 100).astype(np.float64)
    unit = np.eye(100, 20_000)
    assert np.abs(rows - scipy.fft.idct(unit, norm="ortho")).max() < 1e-9


@pytest.mark.parametrize("axes", [(0, 0), (2,), (-3,)])
def test_bad_axes_are_refused(axes):
    with pytest.raises(ValueError, match="`axes`"):
        spectral.dct_nd(np.ones((2, 2)), axes)


@pytest.mark.parametrize("shape", [(2,), (1, 3), (3, 3, 3)])
def test_bad_target_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="`shape`"):
        spectral.idct_nd(np.ones((2, 2)), shape=shape)


def test_only_transformed_axes_grow():
    with pytest.raises(ValueError, match="`shape`"):
        spectral.idct_nd(np.ones((2, 2)), axes=(0,), shape=(4, 4))


@pytest.mark.parametrize("corner", [(2, 3, 4), (6, 7, 5), (1, 1, 1), (6, 2, 5)])
def test_a_corner_of_the_spectrum_alone(corner):
    x = np.random.default_rng(0).normal(size=(6, 7, 5)).astype(np.float32)
    expected = scipy.fft.dctn(x, norm="ortho")[tuple(slice(n) for n in corner)]
    assert close(spectral.dct_nd(x, corner=corner), expected)


def test_a_corner_of_long_axes(monkeypatch):
    monkeypatch.setattr(spectral, "contracts", lambda n, frequencies: False)
    test_a_corner_of_the_spectrum_alone((2, 3, 4))


@pytest.mark.parametrize("corner", [(2, 3), (7, 7, 5), (0, 7, 5)])
def test_a_corner_that_does_not_fit_is_named(corner):
    with pytest.raises(ValueError, match="`corner` must have the rank of `x`"):
        spectral.dct_nd(np.zeros((6, 7, 5)), corner=corner)
    with pytest.raises(ValueError, match="`corner` must have the rank of `x`"):
        spectral.dct_nd(np.zeros((6, 7, 5)), axes=[0], corner=(2, 2, 5))


@pytest.mark.parametrize("shape", [(3, 5, 530), (530, 7), (2, 520, 6), (530,)])
@pytest.mark.parametrize("piece", [1, 1000, 3000])
def test_pieces_of_a_large_tensor_are_transformed_alike(monkeypatch, shape, piece):
    x = random(shape)
    long = int(np.argmax(shape))
    corner = [n - 5 if axis == long else n for axis, n in enumerate(shape)]
    whole = spectral.dct_nd(x, corner=corner)
    back = spectral.idct_nd(whole, shape=shape)
    # The FFT of JAX rounds by the number of rows.
    alike = close if BACKEND == "jax" else np.array_equal
    with mock.patch.object(spectral, "_LARGEST_PIECE", piece):
        calls = mock.Mock(wraps=spectral._on_last_axis)
        monkeypatch.setattr(spectral, "_on_last_axis", calls)
        monkeypatch.setattr(spectral, "contracts", lambda n, frequencies: n < 500)
        assert alike(spectral.dct_nd(x, corner=corner), whole)
        assert alike(spectral.idct_nd(whole, shape=shape), back)
        assert len(shape) == 1 or calls.call_count > 2 or piece * 3 > x.size
