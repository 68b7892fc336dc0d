"""Quantizers against their formulas: values, gradients and the least error, by brute force."""

import itertools

import keras
import numpy as np
import pytest
from backends import gradients
from keras import ops

from fr_keras.methods import AdaptiveFloat, KBit, SoftLevels, Ternary


def kernel(*shape, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.5, shape).astype("float32")


def quantized(quantizer, w, state=None, training=True):
    """The values, and the gradients of `sum(values * upstream)` by kernel and state."""
    state = {name: np.asarray(value, "float32") for name, value in (state or {}).items()}
    upstream = kernel(*w.shape, seed=1)

    def values_of(w, *numbers):
        return quantizer(w, dict(zip(state, numbers, strict=True)), training)

    values, found = gradients(values_of, w, *state.values(), upstream=upstream)
    return values, upstream, dict(zip(("kernel", *state), found, strict=True))


def test_ternary_has_the_values_and_gradients_of_the_paper():
    w, state = kernel(40), {"positive": 0.7, "negative": 0.3}
    w[0] = 0.2 * np.abs(w).max()  # a weight on the threshold is 0
    values, g, found = quantized(Ternary(threshold=0.2), w, state)
    border = 0.2 * np.abs(w).max()
    above, below = w > border, w < -border
    assert min(above.sum(), below.sum(), (~above & ~below).sum()) > 3
    np.testing.assert_array_equal(values, np.float32(0.7) * above - np.float32(0.3) * below)
    np.testing.assert_allclose(found["positive"], g[above].sum(), rtol=1e-5)
    np.testing.assert_allclose(found["negative"], -g[below].sum(), rtol=1e-5)
    slope = np.where(above, 0.7, np.where(below, 0.3, 1.0))
    np.testing.assert_allclose(found["kernel"], slope * g, rtol=1e-6)


def test_ternary_begins_with_the_scales_of_the_least_error():
    w, ternary = kernel(40), Ternary(0.3)
    state = ternary.first(w)

    def error(positive, negative):
        return np.square(quantized(ternary, w, {"positive": positive, "negative": negative})[0] - w)

    best = error(**state).sum()
    for factor in (0.99, 1.01):
        assert error(state["positive"] * factor, state["negative"]).sum() > best
        assert error(state["positive"], state["negative"] * factor).sum() > best


def test_ternary_of_one_sign_has_a_scale_of_0_for_the_other():
    assert Ternary().first(np.abs(kernel(9)))["negative"] == 0


def least_error(w: np.ndarray, bits: int) -> float:
    """The least squared error over all signs of all weights, with the best scales for them."""
    best = np.inf
    for signs in itertools.product([-1.0, 1.0], repeat=bits * len(w)):
        matrix = np.reshape(signs, (len(w), bits))
        scales = np.linalg.lstsq(matrix, w, rcond=None)[0]
        best = min(best, np.square(matrix @ scales - w).sum())
    return best


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("bits", [1, 2])
def test_optimal_levels_have_the_least_squared_error(bits, seed):
    w = kernel(5, seed=seed)
    values = quantized(KBit(bits, "optimal"), w)[0]
    np.testing.assert_allclose(np.square(values - w).sum(), least_error(w, bits), atol=1e-6)


def test_optimal_levels_of_a_long_kernel_meet_their_condition():
    w = kernel(3, 3, 40, 50)
    values = quantized(KBit(2, "optimal"), w)[0]
    low, high = np.unique(np.abs(values).round(6))
    sizes, middle = np.abs(w), (low + high) / 2
    below, above = sizes[sizes <= middle].mean(), sizes[sizes > middle].mean()
    np.testing.assert_allclose([low, high], [below, above], rtol=1e-4)
    errors = {
        method: np.square(quantized(KBit(2, method), w)[0] - w).sum()
        for method in ("greedy", "optimal")
    }
    assert errors["optimal"] < errors["greedy"]


@pytest.mark.parametrize("w", [[0.5], [0.5, -0.5, 0.5]], ids=str)
def test_optimal_levels_of_a_kernel_of_one_size(w):
    w = np.array(w, "float32")
    np.testing.assert_allclose(quantized(KBit(2, "optimal"), w)[0], w, rtol=1e-6)


@pytest.mark.parametrize("bits", [1, 2, 3, 5])
def test_greedy_levels_follow_the_recursion(bits):
    w = kernel(6, 9)
    w[0, 0] = 0  # its sign is 1
    rest = w.astype("float64")
    for _ in range(bits):
        rest = rest - np.mean(np.abs(rest)) * np.where(rest < 0, -1, 1)
    values = quantized(KBit(bits), w)[0]
    np.testing.assert_allclose(values, w - rest, atol=1e-6)
    assert len(np.unique(values)) <= 2**bits


def test_k_bit_has_the_gradient_of_clipped_signs():
    w = np.array([-2.5, -0.9, -0.2, 0.0, 0.4, 1.1, 1.6], "float32")
    scale = np.abs(w).mean()
    values, g, found = quantized(KBit(1), w)
    np.testing.assert_allclose(found["kernel"], scale * g * (np.abs(w) <= 1), rtol=1e-6)
    _, g, found = quantized(KBit(2), w)
    rest = w - values
    first = scale * (np.abs(w) <= 1)
    second = np.abs(rest).mean() * (np.abs(rest) <= 1) * (1 - first)
    np.testing.assert_allclose(found["kernel"], (first + second) * g, rtol=1e-5)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


SOFT = {"alpha": 0.4, "beta": 2.0, "borders": [-0.7, 0.1, 0.9], "temperature": 3.0}


def test_soft_levels_have_the_values_and_gradients_of_the_formula():
    soft, w = SoftLevels((-2, -1, 1, 2)), kernel(30)
    values, g, found = quantized(soft, w, SOFT)
    gaps = np.array([1, 2, 1])
    each = sigmoid(3.0 * (2.0 * w[:, None] - SOFT["borders"]))
    total = (each * gaps).sum(-1) - 2
    np.testing.assert_allclose(values, 0.4 * total, atol=1e-5)
    slope = 0.4 * (gaps * 3.0 * each * (1 - each)).sum(-1)
    np.testing.assert_allclose(found["kernel"], g * slope * 2.0, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found["beta"], (g * slope * w).sum(), rtol=1e-4)
    np.testing.assert_allclose(found["alpha"], (g * total).sum(), rtol=1e-4)


def test_two_soft_levels_have_the_gradient_of_temperature_1():
    w, state = kernel(30), {**SOFT, "borders": [0.1], "temperature": 50.0}
    values, g, found = quantized(SoftLevels((-1, 1)), w, state)
    np.testing.assert_allclose(
        values, 0.4 * (2 * sigmoid(50 * (2 * w.astype("float64") - 0.1)) - 1), atol=1e-5
    )
    gentle = sigmoid(2 * w - 0.1)
    slope = 0.4 * 2 * 50 * gentle * (1 - gentle)
    np.testing.assert_allclose(found["kernel"], g * slope * 2.0, rtol=1e-4)


def test_soft_levels_are_steps_at_inference():
    w = kernel(30)
    values = quantized(SoftLevels((-2, -1, 1, 2)), w, SOFT, training=False)[0]
    places = (2 * w[:, None] > SOFT["borders"]).sum(-1)
    np.testing.assert_allclose(values, 0.4 * np.array([-2, -1, 1, 2])[places], rtol=1e-6)
    assert len(np.unique(values)) == 4
    hot = quantized(SoftLevels((-2, -1, 1, 2)), w, {**SOFT, "temperature": 1e4})[0]
    np.testing.assert_allclose(hot, values, atol=1e-3)


@pytest.mark.parametrize("levels", [(-1, 1), (-1, 0, 1), (-4, -2, -1, 0, 1, 2, 4)])
def test_soft_levels_begin_as_the_authors_say(levels):
    w = kernel(9, 40)
    state = SoftLevels(levels).first(w)
    scaled = w * state["beta"]
    np.testing.assert_allclose(np.abs(scaled).max(), 1.25 * levels[-1], rtol=1e-6)
    np.testing.assert_allclose(state["alpha"] * state["beta"], 1, rtol=1e-6)
    # The condition of k-means: each border is in the middle of the means on its sides.
    places = np.searchsorted(state["borders"], scaled.ravel())
    means = [scaled.ravel()[places == one].mean() for one in range(len(levels))]
    np.testing.assert_allclose(state["borders"], (means + np.roll(means, -1))[:-1] / 2, atol=1e-5)


def test_soft_levels_need_as_many_values():
    few = np.repeat(np.float32([-1, 0, 0.3]), [1, 50, 2])
    assert (
        SoftLevels((-2, -1, 1, 2)).refusal(few) == "it holds only 3 different values for 4 levels"
    )
    assert SoftLevels().refusal(few) is None
    borders = SoftLevels().first(few)["borders"]
    assert (
        np.searchsorted(borders, few * SoftLevels().first(few)["beta"]) == [0, *[1] * 50, 2, 2]
    ).all()


PAIRS = [(bits, exponent) for bits in range(2, 9) for exponent in range(1, bits)]


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_adaptive_floats_are_the_nearest_of_all_bit_patterns(pair):
    bits, exponent = pair
    mantissa = bits - 1 - exponent
    w = kernel(60, seed=bits)
    # The smallest range that holds the kernel, by trying all.
    top = next(u for u in range(-40, 40) if np.abs(w).max() <= 2.0**u * (2 - 2.0**-mantissa))
    levels = set()
    for sign in (-1, 1):
        for code in range(2**exponent):
            for m in range(2**mantissa):
                e = top + 1 - 2**exponent + code
                size = 2.0 ** (e + 1) * m / 2**mantissa
                if code:
                    size = 2.0**e * (1 + m / 2**mantissa)
                levels.add(sign * size)
    levels = np.array(sorted(levels))
    assert len(levels) == AdaptiveFloat(*pair).most_levels == 2**bits - 1
    values, g, found = quantized(AdaptiveFloat(*pair), w)
    expected = levels[np.abs(w[:, None] - levels).argmin(-1)]
    np.testing.assert_array_equal(values, expected.astype("float32"))
    np.testing.assert_array_equal(found["kernel"], g)


@pytest.mark.parametrize("size", [1.5, 0.75, 2.0**-20 * 1.5])
def test_a_kernel_that_fills_the_range_is_exact(size):
    """The scale is exact, where a computed logarithm would round up."""
    w = np.array([size, -size / 3], "float32")
    values = quantized(AdaptiveFloat(3, 1), w)[0]
    assert values[0] == w[0]
    even = np.linspace(-size, size, 99, dtype="float32")
    assert len(np.unique(quantized(AdaptiveFloat(3, 1), even)[0])) == 7


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Ternary(0), "`threshold` must be above 0 and below 1.*Received: 0"),
        (lambda: Ternary(1), "`threshold`"),
        (lambda: KBit(0), "`bits` must be a whole number from 1 to 8. Received: 0"),
        (lambda: KBit(2.0), "`bits` must be a whole number"),
        (lambda: KBit(9), "`bits`"),
        (lambda: KBit(3, "optimal"), "`bits` must be 1 or 2 with method='optimal'"),
        (lambda: KBit(2, "best"), "`method` must be one of"),
        (lambda: AdaptiveFloat(9, 2), "`bits` must be a whole number from 2 to 8. Received: 9"),
        (lambda: AdaptiveFloat(1, 1), "`bits`"),
        (lambda: AdaptiveFloat(4, 0), "`exponent_bits` must be a whole number from 1 to bits - 1"),
        (lambda: AdaptiveFloat(4, 4), "`exponent_bits` .* Received: 4 with bits=4"),
        (lambda: SoftLevels((1,)), "`levels` must be at least two rising numbers"),
        (lambda: SoftLevels((1, 0, -1)), "`levels`"),
        (lambda: SoftLevels((-1, 0, 2)), "as far below 0 as above.* Received: .-1, 0, 2."),
    ],
)
def test_arguments_out_of_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "one", [Ternary(0.1), KBit(2, "optimal"), SoftLevels((-2, 0, 2)), AdaptiveFloat(5, 2)], ids=repr
)
def test_a_quantizer_comes_back_from_its_config(one):
    config = keras.saving.serialize_keras_object(one)
    assert keras.saving.deserialize_keras_object(config) == one
    assert config["registered_name"] == f"fr_keras>{type(one).__name__}"
    assert ops.shape(one(ops.ones((2, 3)), one.first(np.ones((2, 3), "float32")), False)) == (2, 3)
