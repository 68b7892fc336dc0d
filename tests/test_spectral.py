from unittest import mock

import numpy as np
import pytest
import scipy.fft
import tensorflow as tf
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fr_keras import spectral

TOLERANCE = 1e-5  # float32 against scipy's float64, relative to the largest value


def random(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def close(a, b):
    return np.abs(np.asarray(a) - b).max() <= TOLERANCE * np.abs(b).max()


@pytest.mark.parametrize("contracts", [True, False])
@settings(max_examples=60)
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
    x, upstream = tf.constant(random(shape)), random(shape, 1)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(spectral.idct_nd(x) * upstream)
    assert close(tape.gradient(y, x), scipy.fft.dctn(upstream, norm="ortho"))


def test_gradient_of_a_corner():
    x, upstream = tf.constant(random((2, 3))), random((5, 7), 1)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(spectral.idct_nd(x, shape=(5, 7)) * upstream)
    assert close(tape.gradient(y, x), scipy.fft.dctn(upstream, norm="ortho")[:2, :3])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_arithmetic_is_float32(dtype):
    x = tf.cast(random((8, 8)), dtype)
    y = spectral.idct_nd(x)
    assert y.dtype == tf.float32
    assert close(y, scipy.fft.idctn(np.asarray(x, np.float64), norm="ortho"))


def test_under_jit():
    jitted = tf.function(spectral.idct_nd, jit_compile=True)
    x = random((5, 600))
    assert close(jitted(x), scipy.fft.idctn(x.astype(np.float64), norm="ortho"))


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
    np.testing.assert_allclose(spectral.dct_nd(x, corner=corner), expected, atol=1e-5)


def test_a_corner_of_long_axes(monkeypatch):
    monkeypatch.setattr(spectral, "contracts", lambda n, frequencies: False)
    test_a_corner_of_the_spectrum_alone((2, 3, 4))


@pytest.mark.parametrize("corner", [(2, 3), (7, 7, 5), (0, 7, 5)])
def test_a_corner_that_does_not_fit_is_named(corner):
    with pytest.raises(ValueError, match="`corner` must have the rank of `x`"):
        spectral.dct_nd(np.zeros((6, 7, 5)), corner=corner)
    with pytest.raises(ValueError, match="`corner` must have the rank of `x`"):
        spectral.dct_nd(np.zeros((6, 7, 5)), axes=[0], corner=(2, 2, 5))


def tf32(x):
    """What the matrix unit of a GPU leaves of a float32 array: 10 bits of mantissa."""
    return (x.view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32).astype(np.float64)


def tf32_matmul(a, b, transpose_b=False):
    """`tf.matmul` as such a GPU has it, but for the sums, which are exact."""

    def product(a, b):
        b = np.swapaxes(b, -1, -2) if transpose_b else b
        return (tf32(a) @ tf32(b)).astype(np.float32)

    out = tf.numpy_function(product, [a, b], tf.float32)
    rows, columns = a.shape[-2], b.shape[-2 if transpose_b else -1]
    out.set_shape([*(a.shape if len(a.shape) > len(b.shape) else b.shape)[:-2], rows, columns])
    return out


@pytest.fixture
def on_tf32(monkeypatch):
    monkeypatch.setattr(tf, "matmul", tf32_matmul)
    return lambda known: monkeypatch.setattr(spectral, "_rounds_to_tf32", lambda: known)


def largest_error(a, b):
    return np.abs(np.asarray(a) - b).max() / np.abs(b).max()


@pytest.mark.parametrize("shape", [(256, 256), (3, 3, 64, 48), (2, 500)])
@pytest.mark.parametrize("in_graph", [False, True])
def test_a_gpu_that_rounds_to_tf32_gives_float32(on_tf32, shape, in_graph):
    x = random(shape)
    for ours, exact in ((spectral.dct_nd, scipy.fft.dctn), (spectral.idct_nd, scipy.fft.idctn)):
        expected = exact(x.astype(np.float64), norm="ortho")
        for known, low, high in ((False, 1e-4, 1e-2), (True, 0, 1e-6)):
            on_tf32(known)
            # A new function each time: the old one's graph was traced for the other arithmetic.
            made = tf.function(lambda x, ours=ours: ours(x)) if in_graph else ours
            assert low <= largest_error(made(x), expected) < high


@pytest.mark.parametrize("in_graph", [False, True])
def test_the_gradient_on_tf32_is_the_adjoint_in_float32(on_tf32, in_graph):
    on_tf32(True)
    x, upstream = tf.constant(random((20, 30))), random((40, 60), 1)

    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(spectral.idct_nd(x, shape=(40, 60)) * upstream)
        return tape.gradient(y, x)

    found = (tf.function(gradient) if in_graph else gradient)(x)
    expected = scipy.fft.dctn(upstream.astype(np.float64), norm="ortho")[:20, :30]
    assert largest_error(found, expected) < 1e-6


def test_the_three_products_are_the_plain_one_where_nothing_rounds(monkeypatch):
    x, upstream = tf.constant(random((20, 30))), random((40, 60), 1)

    def both():
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = spectral.idct_nd(x, shape=(40, 60))
            loss = tf.reduce_sum(y * upstream)
        return y.numpy(), tape.gradient(loss, x).numpy()

    plain = both()
    monkeypatch.setattr(spectral, "_rounds_to_tf32", lambda: True)
    for one, other in zip(both(), plain, strict=True):
        assert largest_error(one, other) < 1e-6
    jitted = tf.function(lambda x: spectral.idct_nd(x, shape=(40, 60)), jit_compile=True)
    assert largest_error(jitted(x), plain[0]) < 1e-6


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_the_split_is_exact(value):
    assume(value == 0 or abs(value) > 2.0**-100)  # processors flush what is smaller
    high, low = spectral.tf32_split(tf.constant([value]))
    assert (high + low).numpy().tolist() == [value]
    assert np.array_equal(tf32(high.numpy()), high.numpy())
    assert abs(low.numpy()[0]) <= abs(np.float32(value)) * 2.0**-10 + 2.0**-136


@pytest.mark.parametrize("shape", [(3, 5, 530), (530, 7), (2, 520, 6), (530,)])
@pytest.mark.parametrize("piece", [1, 1000, 3000])
def test_pieces_of_a_large_tensor_are_transformed_alike(monkeypatch, shape, piece):
    x = random(shape)
    long = int(np.argmax(shape))
    corner = [n - 5 if axis == long else n for axis, n in enumerate(shape)]
    whole = spectral.dct_nd(x, corner=corner)
    back = spectral.idct_nd(whole, shape=shape)
    with mock.patch.object(spectral, "_LARGEST_PIECE", piece):
        calls = mock.Mock(wraps=spectral._on_last_axis)
        monkeypatch.setattr(spectral, "_on_last_axis", calls)
        monkeypatch.setattr(spectral, "contracts", lambda n, frequencies: n < 500)
        assert np.array_equal(spectral.dct_nd(x, corner=corner), whole)
        assert np.array_equal(spectral.idct_nd(whole, shape=shape), back)
        assert len(shape) == 1 or calls.call_count > 2 or piece * 3 > x.size
