"""No file of an FR model is larger than the dense form in the same mode without a word."""

import functools
import re

import keras
import numpy as np
import pytest
from examples import telling
from keras import layers

from fr_keras import regularize, tflite
from fr_keras.layers.forms import chooser
from fr_keras.models.calibration import calibrate_batch_norm
from fr_keras.models.walk import frequency_layers
from fr_keras.tflite.converter import raw
from fr_keras.tflite.deployable import deployable
from fr_keras.tflite.file.graph import Graph
from fr_keras.tflite.int8.budgets import saved_by_chains
from fr_keras.tflite.int8.ranges import calibrated
from fr_keras.tflite.int8.segments import reaches, segmented
from fr_keras.tflite.modes import INT8, MODES
from fr_keras.tflite.scopes import Scopes

X = np.random.default_rng(0).random((16, 16, 16, 3)).astype("float32")


def normalized(x):
    return layers.ReLU(6)(layers.BatchNormalization()(x))


def mobile(inputs):
    x = normalized(layers.Conv2D(16, 3, 2, "same", use_bias=False)(inputs))
    for filters in (32, 48, 64):
        x = normalized(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x))
        x = normalized(layers.Conv2D(filters, 1, use_bias=False)(x))
    return layers.Dense(10)(layers.GlobalAveragePooling2D()(x))


def unet(inputs):
    skip = normalized(layers.Conv2D(32, 3, padding="same", use_bias=False)(inputs))
    x = normalized(layers.Conv2D(48, 3, padding="same")(layers.MaxPooling2D()(skip)))
    x = layers.Conv2DTranspose(32, 2, 2)(x)
    x = normalized(layers.Conv2D(32, 3, padding="same")(layers.Concatenate()([skip, x])))
    return layers.Conv2D(2, 1)(x)


def grouped_and_strided(inputs):
    x = normalized(layers.Conv2D(32, 5, strides=3)(inputs))
    x = normalized(layers.Conv2D(48, 3, groups=4, padding="same")(x))
    return layers.Dense(4)(layers.Dense(40, "relu")(layers.Flatten()(x)))


def shared(inputs):
    x = layers.Conv2D(32, 1)(inputs)
    twice = layers.Conv2D(32, 3, padding="same", activation="relu")
    return layers.Conv2D(3, 1)(twice(twice(x)))


def tiny(inputs):
    return layers.Conv2D(3, 1)(layers.Conv2D(6, 1)(inputs))


@functools.cache
def fr_model(network, share: float) -> keras.Model:
    """A network whose layers keep a share of their coefficients; the loudest channel hardly counts,
    so that int8 is in need of segments."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 16, 3))
    model = regularize(keras.Model(inputs, network(inputs)))
    for layer in frequency_layers(model):
        layer.truncate(max(1, int(share * layer.kept)))
        values = layer.kept_coefficients()
        values[..., 0, :] *= 0.1
        layer.set_coefficients(values)
    if any(isinstance(layer, layers.BatchNormalization) for layer in model.layers):
        calibrate_batch_norm(model, X)
    return model


NETWORKS = (mobile, unet, grouped_and_strided, shared, tiny)


# Each was larger when only multiply-adds and weights were compared, and segments were free.
@pytest.mark.parametrize(
    ("network", "share"),
    [
        pytest.param(mobile, 0.1, marks=pytest.mark.slow),
        pytest.param(mobile, 0.3, marks=pytest.mark.slow),
        pytest.param(unet, 0.5, marks=pytest.mark.slow),
        (grouped_and_strided, 0.5),
        pytest.param(shared, 0.02, marks=pytest.mark.slow),
        pytest.param(shared, 0.3, marks=pytest.mark.slow),
        pytest.param(tiny, 0.02, marks=pytest.mark.slow),
    ],
)
def test_auto_is_never_larger_than_dense_in_int8(network, share):
    model = fr_model(network, share)
    auto, dense = (
        tflite.convert(model, quantize="int8", calibration=X, form=form, command="c")
        for form in ("auto", "dense")
    )
    assert len(auto.content) <= len(dense.content)


OTHERS = [one for one in MODES if one != "int8"]


@pytest.mark.parametrize(
    ("network", "quantize"),
    [
        (tiny, "dynamic"),
        *(
            pytest.param(network, mode, marks=pytest.mark.slow)
            for network in (tiny, grouped_and_strided)
            for mode in OTHERS
            if (network, mode) != (tiny, "dynamic")
        ),
    ],
)
def test_nor_in_another_mode(network, quantize):
    model = fr_model(network, 0.6)
    auto, dense = (
        tflite.convert(model, quantize=quantize, calibration=X, form=form, command="c")
        for form in ("auto", "dense")
    )
    assert len(auto.content) <= len(dense.content)


@pytest.mark.parametrize(
    "network", telling(NETWORKS, grouped_and_strided, shared, tiny), ids=lambda one: one.__name__
)
@pytest.mark.parametrize("form", telling(["auto", "factored"], "factored"))
def test_segments_cost_no_more_than_chains_save(network, form):
    model = fr_model(network, 0.05)
    plain = deployable(model, chooser(form, INT8.bytes_of))
    content = calibrated(raw(Scopes(plain.model), INT8), [X])
    reach, saved = reaches(content, [X]), saved_by_chains(plain)
    free, count, _ = segmented(content, reach, 0)
    for budget in (0, saved // 4, saved):
        split, within, _ = segmented(content, reach, 0, budget=budget)
        assert within <= count
        assert kernel_bytes(split) - kernel_bytes(content) <= max(0, budget)
        if budget == 0:
            assert within == 0
    if network in (mobile, unet):
        assert kernel_bytes(split) < kernel_bytes(free)
    if network is unet:
        assert kernel_bytes(split) > kernel_bytes(content)


def kernel_bytes(content: bytes) -> int:
    """What the kernels and biases of all linear ops take in int8."""
    graph = Graph(content)
    kernels = [graph.kernel(op) for op in graph.graph.operators if graph.is_linear(op)]
    return sum(one.size + INT8.channel_bytes * len(one) for one in kernels)


def test_plain_linear_layers_do_not_grow():
    """A network of plain layers is as large in int8 as TensorFlow's quantizer makes it."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((16, 16, 3))])
    for filters in (48, 6, 48, 4, 48):
        model.add(layers.Conv2D(filters, 1))
    plain = deployable(model, chooser("auto"))
    content = calibrated(raw(Scopes(plain.model), INT8), [X])
    reach = reaches(content, [X])
    assert segmented(content, reach, 0)[1] > 0
    assert segmented(content, reach, 0, budget=saved_by_chains(plain))[1] == 0


@pytest.mark.parametrize("quantize", telling(MODES, "int8"))
def test_a_larger_file_that_was_asked_for_is_said_with_both_sizes(quantize):
    model = fr_model(tiny, 1.0)
    dense = tflite.convert(model, quantize=quantize, calibration=X, form="dense")
    with pytest.warns(tflite.ConversionWarning, match="form='dense'") as caught:
        done = tflite.convert(model, quantize=quantize, calibration=X, form="factored")
    assert len(done.content) > len(dense.content)
    said = next(str(one.message) for one in caught if one.category is tflite.ConversionWarning)
    assert f"{len(done.content):,} bytes" in said
    assert f"{len(dense.content):,} bytes" in said


def test_a_chain_that_is_smaller_by_far_is_not_measured_against_the_dense_form(monkeypatch):
    from fr_keras.tflite import _in_form

    forms = []
    known = _in_form.deployable
    monkeypatch.setattr(_in_form, "deployable", lambda *args: forms.append(args) or known(*args))
    keras.utils.set_random_seed(0)
    wide = keras.Sequential([keras.Input((400,)), layers.Dense(300), layers.Dense(300)])
    model = regularize(wide, start=0.01)
    tflite.convert(model, form="factored")
    assert len(forms) == 1


def test_an_aware_model_of_larger_chains_says_so_before_it_is_trained():
    model = fr_model(tiny, 0.6)
    with pytest.warns(UserWarning, match=r"bytes more than with form='dense'") as caught:
        aware = tflite.quantization_aware(model, X, form="factored")
    (words,) = (str(one.message) for one in caught if "form='dense'" in str(one.message))
    told = int(re.search(r"about ([\d,]+) bytes", words)[1].replace(",", ""))
    factored, dense = (
        len(tflite.convert(one, quantize="int8", calibration=X, form="dense").content)
        for one in (aware, model)
    )
    assert factored > dense
    assert told == pytest.approx(factored - dense, rel=0.3)
    tflite.quantization_aware(model, X)  # takes chains only where they are smaller
