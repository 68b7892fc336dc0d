"""Transforms in float32 on a GPU that rounds to TF32, with a `tf.matmul` that does the same."""

import numpy as np
import pytest
import scipy.fft
import tensorflow as tf
from hypothesis import assume, given
from hypothesis import strategies as st

from fr_keras import spectral
from fr_keras._backends import _tensorflow


def random(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def tf32(x):
    """What the matrix unit of a GPU leaves of a float32 array: 10 bits of mantissa."""
    return (x.view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32).astype(np.float64)


def tf32_matmul(a, b, output_type=None):
    """`tf.matmul` as such a GPU has it, but for the sums, which are exact."""

    def product(a, b):
        return (tf32(a) @ tf32(b)).astype(np.float32)

    out = tf.numpy_function(product, [a, b], tf.float32)
    rows, columns = a.shape[-2], b.shape[-1]
    out.set_shape([*(a.shape if len(a.shape) > len(b.shape) else b.shape)[:-2], rows, columns])
    return out


@pytest.fixture
def on_tf32(monkeypatch):
    monkeypatch.setattr(tf, "matmul", tf32_matmul)
    return lambda known: monkeypatch.setattr(_tensorflow, "_rounds_to_tf32", lambda: known)


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
    monkeypatch.setattr(_tensorflow, "_rounds_to_tf32", lambda: True)
    for one, other in zip(both(), plain, strict=True):
        assert largest_error(one, other) < 1e-6
    jitted = tf.function(lambda x: spectral.idct_nd(x, shape=(40, 60)), jit_compile=True)
    assert largest_error(jitted(x), plain[0]) < 1e-6


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_the_split_is_exact(value):
    assume(value == 0 or abs(value) > 2.0**-100)  # processors flush what is smaller
    high, low = _tensorflow.tf32_split(tf.constant([value]))
    assert (high + low).numpy().tolist() == [value]
    assert np.array_equal(tf32(high.numpy()), high.numpy())
    assert abs(low.numpy()[0]) <= abs(np.float32(value)) * 2.0**-10 + 2.0**-136
