import itertools
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fr_keras import zigzag

shapes = st.lists(st.integers(1, 6), min_size=1, max_size=5).map(tuple)


def reference_order(shape, weights=None):
    """The definition, by sorting tuples: weighted sum, last axis, second-last, the others."""
    weights = weights or [1] * len(shape)

    def key(u):
        tie = [u[-1], *(u[-2:-1]), *u[:-2]]
        return (round(sum(w * i for w, i in zip(weights, u, strict=True)), 9), *tie)

    indices = sorted(itertools.product(*map(range, shape)), key=key)
    return [int(np.ravel_multi_index(u, shape)) for u in indices]


@given(shapes)
def test_order_is_the_definition(shape):
    assert zigzag.order(shape).tolist() == reference_order(shape)


@given(shapes, st.data())
def test_order_with_weights_is_the_definition(shape, data):
    weights = data.draw(
        st.lists(st.sampled_from([0.25, 0.5, 1, 1.5, 3]), min_size=len(shape), max_size=len(shape))
    )
    assert zigzag.order(shape, weights).tolist() == reference_order(shape, weights)


@given(shapes, st.data())
def test_mask_is_the_prefix_of_the_order(shape, data):
    kept = data.draw(st.integers(1, int(np.prod(shape))))
    mask = zigzag.mask(shape, kept)
    assert mask.sum() == kept
    assert set(np.flatnonzero(mask)) == set(zigzag.order(shape)[:kept])
    assert zigzag.corner(shape, kept) == tuple(np.argwhere(mask).max(axis=0) + 1)


@given(shapes, st.data())
def test_boundary_with_weights_is_the_key_of_the_last_kept(shape, data):
    weights = data.draw(
        st.lists(st.sampled_from([0.2, 0.7, 1, 1.5, 4]), min_size=len(shape), max_size=len(shape))
    )
    kept = data.draw(st.integers(1, int(np.prod(shape))))
    expected = np.sort(zigzag.keys(shape, weights), axis=None)[kept - 1]
    assert zigzag.boundary(shape, kept, weights) == expected


@given(shapes, st.data())
def test_how_many_lie_up_to_an_index_sum(shape, data):
    weights = data.draw(
        st.lists(st.sampled_from([0.25, 1, 1.5, 3]), min_size=len(shape), max_size=len(shape))
    )
    limit = data.draw(st.floats(-1, 50))
    index_sums = sum(w * i for w, i in zip(weights, np.indices(shape), strict=True))
    assert zigzag.count_up_to(shape, limit, weights) == np.count_nonzero(index_sums <= limit)


def test_a_kernel_of_a_hundred_million_weights():
    """VGG16's first dense kernel: no array of its size may be made on the way."""
    shape = (25_088, 4096)
    assert zigzag.corner(shape, 1_000_000) == (1414, 1413)
    assert zigzag.corner(shape, 25_088 * 4096) == shape


def test_first_33_of_a_square_kernel_are_index_sum_3():
    shape = (3, 3, 64, 64)
    mask = zigzag.mask(shape, 33)
    assert np.array_equal(mask, sum(np.indices(shape, sparse=True)) <= 3)
    assert zigzag.corner(shape, 33) == (3, 3, 4, 4)


def test_a_tie_goes_to_the_second_last_axis():
    assert zigzag.corner((2, 2, 512, 1024), 33) == (2, 2, 5, 4)


def test_a_large_weight_spends_nothing_on_its_axis():
    assert zigzag.corner((8, 8), 8, weights=(100, 1)) == (1, 8)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0)])
def test_shapes_without_coefficients_are_refused(shape):
    with pytest.raises(ValueError, match="`shape`"):
        zigzag.order(shape)


@pytest.mark.parametrize("kept", [0, 7, -1, 2.5, True])
def test_kept_out_of_range_is_refused(kept):
    with pytest.raises(ValueError, match="`kept` must be a whole number from 1 to 6"):
        zigzag.mask((2, 3), kept)


@pytest.mark.parametrize("weights", [(1,), (1, 0), (1, -1), (1, float("nan")), (1, float("inf"))])
def test_bad_weights_are_refused(weights):
    with pytest.raises(ValueError, match="`weights`"):
        zigzag.keys((2, 3), weights)


def test_a_key_beyond_64_bits_is_refused():
    with pytest.raises(ValueError, match="64 bits"):
        zigzag.key_strides((100_000, 100_000, 1000), (999.999, 0.001, 1))


any_weight = st.floats(0.001, 2000) | st.sampled_from([1 / 3, 1 / 7, 1.2345, 0.5678, 0.1234, 1])


@given(shapes, st.data())
def test_any_weights_are_the_definition_with_thousandths(shape, data):
    weights = data.draw(st.lists(any_weight, min_size=len(shape), max_size=len(shape)))
    steps, unit = zigzag.integer_weights(shape, weights)
    assert unit.denominator <= 1000
    assert np.allclose([float(step * unit) for step in steps], weights, atol=5.1e-4)
    assert zigzag.order(shape, weights).tolist() == reference_order(shape, steps)


@pytest.mark.parametrize("shape", [(3, 3, 512, 1024), (25_088, 4096), (7, 7, 512, 4096), (1000,)])
@settings(max_examples=15)
@given(data=st.data())
def test_no_weights_take_much_memory(shape, data):
    """(1.2345, 0.5678, 0.1234, 1) once took 22 GB."""
    weights = data.draw(st.lists(any_weight, min_size=len(shape), max_size=len(shape)))
    kept = data.draw(st.integers(1, int(np.prod(shape))))
    tracemalloc.start()
    last = zigzag.boundary(shape, kept, weights)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**24
    assert zigzag.count_before(shape, last, weights) == kept - 1
    corner = zigzag.corner(shape, kept, weights)
    assert zigzag.count_within(shape, corner, weights) >= kept
    assert zigzag.count_up_to(shape, 0, weights) == 1


def test_weights_that_were_fine_stay_what_they_were():
    """Archives hold weights: thirds, with a small common denominator, are not rounded."""
    assert zigzag.integer_weights((4, 4), (1 / 3, 1)) == ([1, 3], Fraction(1, 3))
    assert zigzag.integer_weights((4, 4), (1.5, 1)) == ([3, 2], Fraction(1, 2))
    assert zigzag.integer_weights((4, 4, 4), (1 / 3, 1 / 7, 0.3)) == (
        [70, 30, 63],
        Fraction(1, 210),
    )
    assert zigzag.integer_weights((4, 4, 4), (1 / 7, 1 / 11, 1 / 13))[1] == Fraction(1, 1000)
