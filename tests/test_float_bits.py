"""`adaptive_float`: the format of each layer, by trying all, within a mean number of bits."""

import itertools
import sys

import keras
import numpy as np
import pytest
from keras import layers as kl
from networks import images, live, relative_difference, small_convnet

from fr_keras import bake
from fr_keras.methods import AdaptiveFloat, adaptive_float, quantize_kernels
from fr_keras.models.walk import named_layers

PAIRS = [(bits, exponent) for bits in range(2, 9) for exponent in range(1, bits)]


def two_layers() -> keras.Model:
    """A wide layer of numbers alike, and a small one of very different sizes."""
    rng = np.random.default_rng(0)
    model = keras.Sequential(
        [keras.Input((12,)), kl.Dense(10, name="wide"), kl.Dense(3, name="small")]
    )
    model.get_layer("wide").kernel.assign(rng.uniform(0.5, 1, (12, 10)))
    model.get_layer("small").kernel.assign(np.exp(rng.normal(0, 3, (10, 3))))
    return model


def rounded(kernel, pair) -> np.ndarray:
    rounded = AdaptiveFloat(*pair)(keras.ops.convert_to_tensor(kernel), {}, False)
    return keras.ops.convert_to_numpy(rounded)


def share(kernel, pair) -> float:
    kernel = np.asarray(kernel)
    return np.square(rounded(kernel, pair) - kernel).sum() / np.square(kernel).sum()


def change_of_outputs(model, name, pair, x) -> float:
    kernel, before = model.get_layer(name).kernel, keras.ops.convert_to_numpy(model(x))
    exact = kernel.numpy()
    kernel.assign(rounded(exact, pair))
    after = keras.ops.convert_to_numpy(model(x))
    kernel.assign(exact)
    return np.square(after - before).sum() / np.square(before).sum()


def least(errors: dict, sizes: dict, bits: float) -> float:
    """The least sum of errors within the budget, by trying all formats of all layers."""
    most = bits * sum(sizes.values())
    return min(
        sum(errors[name][pair] for name, pair in zip(sizes, pairs, strict=True))
        for pairs in itertools.product(PAIRS, repeat=len(sizes))
        if sum(n * pair[0] for n, pair in zip(sizes.values(), pairs, strict=True)) <= most
    )


@pytest.mark.parametrize(
    ("bits", "with_data"),
    [
        (3.3, False),
        (4.2, True),
        *(pytest.param(bits, False, marks=pytest.mark.slow) for bits in (2, 5, 8)),
    ],
)
def test_the_formats_have_a_small_error_within_the_budget(bits, with_data):
    model = two_layers()
    x = images(20, (12,)) if with_data else None
    found = adaptive_float(model, bits, x)
    layers = {name: model.get_layer(name) for name in ("wide", "small")}
    sizes = {name: layer.kernel.numpy().size for name, layer in layers.items()}
    used = sum(sizes[name] * one.bits for name, one in found.items())
    assert used <= bits * sum(sizes.values())
    errors = {
        name: {
            pair: change_of_outputs(model, name, pair, x) if with_data else share(one.kernel, pair)
            for pair in PAIRS
        }
        for name, one in layers.items()
    }
    spent = sum(errors[name][one.bits, one.exponent_bits] for name, one in found.items())
    # The budget is spent step by step, so another bit for the larger layer may be missed.
    missed = 0 if bits in (2, 8) else max(sizes.values()) / sum(sizes.values())
    assert spent <= least(errors, sizes, bits - missed) + 1e-9


def test_numbers_of_very_different_sizes_get_more_exponents():
    found = adaptive_float(two_layers(), 6)
    assert found["small"].exponent_bits > found["wide"].exponent_bits


def test_the_formats_are_for_quantize_kernels():
    model, x = live(small_convnet(), images()), images(8)
    before = model.get_weights()
    formats = adaptive_float(model, 7, exclude="conv")
    assert {*formats} == {"depthwise", "down", "hidden", "logits"}
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    baked = bake(quantize_kernels(model, formats))
    assert relative_difference(model(x), baked(x)) < 0.2
    for name, one in formats.items():
        kernel = named_layers(baked)[name].kernel
        assert 1 < len(np.unique(kernel)) <= one.most_levels


@pytest.mark.parametrize("bits", [1.9, 8.1])
def test_a_budget_that_cannot_be_met(bits):
    with pytest.raises(ValueError, match=rf"`bits` must be from 2 to 8.* Received: {bits}"):
        adaptive_float(two_layers(), bits)


def test_nothing_left_to_quantize():
    with pytest.raises(ValueError, match="must have a layer to quantize"):
        adaptive_float(two_layers(), 4, exclude=kl.Dense)


@pytest.mark.slow
def test_a_search_keeps_to_the_budget_and_is_never_worse_than_its_start():
    pytest.importorskip("optuna")
    model, seen = two_layers(), []

    def score(small):
        """The best division is one that no error of a kernel or an output would find."""
        assert small is not model
        seen.append([len(np.unique(layer.kernel)) for layer in small.layers])
        return -len(np.unique(small.get_layer("wide").kernel))

    found = adaptive_float(model, 4.5, score=score, trials=20)
    start = adaptive_float(model, 4.5)
    assert len({tuple(one) for one in seen}) == len(seen) > 1  # none is scored twice
    assert found["wide"].bits < start["wide"].bits
    assert 120 * found["wide"].bits + 30 * found["small"].bits <= 4.5 * 150
    assert adaptive_float(model, 4.5, score=lambda small: 0, trials=5) == start
    with pytest.raises(ValueError, match="`score` must return finite numbers"):
        adaptive_float(model, 4.5, score=lambda small: np.nan, trials=2)


def test_a_search_needs_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r"pip install 'fr-keras\[optuna\]'"):
        adaptive_float(two_layers(), 4, score=lambda small: 0)
    with pytest.raises(ValueError, match="`trials` must be at least 1"):
        adaptive_float(two_layers(), 4, score=lambda small: 0, trials=0)
