"""Whole numbers for tensors and vectors: near, few, and the same the second time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fr_archive import Quantized, cosines, step_value
from fr_keras.archive._quantization import (
    LEAST_VARIANCE,
    quantize_tensor,
    quantize_vector,
    restore_vector,
    root_of_squares,
)

scales = st.sampled_from([1e-6, 1e-2, 1.0, 300.0])
seeds = st.integers(0, 10**6)


def decaying(seed, count, scale):
    random = np.random.default_rng(seed)
    return (scale * random.laplace(size=count) / np.sqrt(1 + np.arange(count))).astype(np.float32)


@given(seeds, st.integers(1, 200), scales, st.sampled_from([1e-4, 0.005, 0.05, 0.5, 2.0]))
@settings(max_examples=150)
def test_tensors_are_near_and_come_back_unchanged(seed, count, scale, step):
    coefficients = decaying(seed, count, scale)
    found = quantize_tensor(coefficients, step)
    assert len(found.values) == count
    if step < 0.5:
        largest = step * root_of_squares(coefficients) * 2 ** (1 / 16) / 2
        assert np.abs(found.reals() - coefficients).max() <= largest * 1.001
    assert quantize_tensor(found.reals(), step) == found


@given(
    seeds,
    st.sampled_from([1, 2, 7, 50, 256]),
    st.integers(1, 12),
    scales,
    st.sampled_from([1e-4, 0.01, 0.1, 1.0]),
    st.booleans(),
)
@settings(max_examples=200)
def test_vectors_are_near_and_come_back_unchanged(seed, length, rank, scale, error, variance):
    rank = min(rank, length)
    values = (decaying(seed, rank, scale) @ cosines(length, rank)).astype(np.float32)
    if variance:
        values = np.abs(values)
    allowed = error * root_of_squares(values) / length**0.5
    found = quantize_vector(values, allowed, variance)
    restored = restore_vector(found, length, variance)
    wrong = root_of_squares(restored - values) / length**0.5
    assert wrong <= allowed * 1.001 or (variance and error >= 0.1)
    assert not variance or restored.min() >= LEAST_VARIANCE
    if not variance and error < 1:
        assert len(found.values) <= rank
    assert quantize_vector(restored, allowed, variance) == found


def test_a_band_limited_vector_costs_its_band():
    values = (decaying(1, 5, 1.0) @ cosines(300, 5)).astype(np.float32)
    assert len(quantize_vector(values, 1e-4).values) == 5


@pytest.mark.parametrize("value", [0.0, 1e-30])
def test_nothing_takes_nothing(value):
    assert quantize_vector(np.full(9, value, np.float32), 1e-20) == Quantized((), 0)
    assert quantize_vector(np.full(9, 1e-25, np.float32), 1e-30) == Quantized((), 0)
    assert quantize_tensor(np.zeros(4, np.float32), 0.01) == Quantized((0, 0, 0, 0), 0)


def test_a_grid_that_is_there_is_found_and_the_coarsest_taken():
    values = Quantized((8, -4, 0, 12), -30).reals()
    found = quantize_tensor(values, 1e-3)
    assert found == Quantized((2, -1, 0, 3), -14)
    assert step_value(found.step) == 4 * step_value(-30)
