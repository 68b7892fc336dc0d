"""Ordinary graphs that are more than a stack: layers shared, nested, called by keyword."""

import keras
import numpy as np
import pytest
from examples import telling
from keras import layers
from networks import images

from fr_keras import bake, regularize, tflite
from fr_keras.models.walk import frequency_layers

SHAPE = (8, 8, 3)


def conv(filters=16, name=None, **options) -> layers.Conv2D:
    return layers.Conv2D(filters, 3, padding="same", name=name, **options)


def by_two_sizes(inputs):
    """One head on maps of several sizes, as detectors have."""
    head, box = conv(20, activation="relu"), conv(4)
    x, found = inputs, []
    for _ in range(2):
        x = layers.MaxPooling2D()(conv()(x))
        found.append(layers.Reshape((-1, 4))(box(head(x))))
    return layers.Concatenate(axis=1)(found)


def by_two_ranks(inputs):
    shared = layers.Dense(16, activation="relu")
    x = shared(conv(12)(inputs))
    y = shared(layers.GlobalAveragePooling2D()(conv(12)(inputs)))
    return layers.Add()([layers.GlobalAveragePooling2D()(x), y])


def inside_and_outside(inputs):
    """A layer of a nested model that the outer one calls too, on another size."""
    shared, inner = conv(16, "shared"), keras.Input((8, 8, 16))
    nested = keras.Model(inner, layers.ReLU()(shared(inner)))
    x = nested(conv(16)(inputs))
    both = layers.Concatenate()([shared(layers.MaxPooling2D()(x)), conv(strides=2)(x)])
    return conv(20, "reader")(both)


def nested_twice_on_other_sizes(inputs):
    inner = keras.Input((None, None, 3))
    nested = keras.Model(inner, conv(16)(inner))
    return [nested(inputs), nested(layers.MaxPooling2D()(inputs))]


def over_time(inputs):
    """In a `TimeDistributed` and beside it."""
    shared = layers.Dense(16)
    x = layers.TimeDistributed(shared)(layers.Reshape((8, 24))(inputs))
    return [x, shared(layers.Dense(24)(layers.Flatten()(inputs)))]


def by_keyword(inputs):
    x = layers.BatchNormalization()(inputs=conv()(inputs=inputs))
    x = layers.ReLU()(inputs=x)
    nested = keras.Sequential([keras.Input((8, 8, 16)), conv(10)])
    both = layers.Concatenate()(inputs=[nested(inputs=x), conv(12)(inputs)])
    return layers.Add()(inputs=[conv(24)(inputs=both), conv(24)(inputs)])


def twice_in_one_graph(inputs):
    shared = conv(3)
    return layers.Concatenate()([shared(shared(inputs)), inputs])


def read_twice(inputs):
    x = conv(24)(inputs)
    both = layers.Concatenate()([x, x, conv(8)(inputs)])
    return [conv(20)(both), x]


def operators(inputs):
    x = keras.ops.relu(conv()(inputs)) + 1.0
    return keras.ops.concatenate([x * 0.5, conv(8)(x)], axis=-1)


GRAPHS = [
    by_two_sizes,
    by_two_ranks,
    inside_and_outside,
    nested_twice_on_other_sizes,
    over_time,
    by_keyword,
    twice_in_one_graph,
    read_twice,
    operators,
]


def network(graph) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input(SHAPE)
    plain = keras.Model(inputs, graph(inputs))
    for layer in plain._flatten_layers():
        if getattr(layer, "bias", None) is not None:
            layer.bias.assign(np.random.default_rng(1).normal(size=layer.bias.shape))
    twin = regularize(plain)
    for layer in frequency_layers(twin):
        layer.truncate(min(20, layer.kept))
    return twin


@pytest.fixture(scope="module")
def model(request):
    return network(request.param)


def outputs(model, x) -> list[np.ndarray]:
    return [np.asarray(one) for one in keras.tree.flatten(model(x))]


def each(*fast, among=GRAPHS):
    return pytest.mark.parametrize(
        "model", telling(among, *fast), ids=lambda graph: graph.__name__, indirect=True
    )


#: Each of a kind, and quick to convert.
FEW = [by_two_ranks, nested_twice_on_other_sizes, operators]


# `auto` takes one of the two for each layer, whatever the graph, and chains have more to lose.
@pytest.mark.parametrize("form", telling(["dense", "factored", "auto"], "factored"))
@each(by_two_sizes, by_two_ranks, inside_and_outside, over_time, by_keyword, read_twice)
def test_baking(model, form):
    x = images(3, SHAPE)
    for one, two in zip(outputs(model, x), outputs(bake(model, form), x), strict=True):
        np.testing.assert_allclose(two, one, atol=1e-5 * np.abs(one).max())


# Keras itself does not load a layer that a nested model or wrapper and the outer model share.
@each(*FEW, among=[one for one in GRAPHS if one not in (inside_and_outside, over_time)])
def test_a_baked_model_is_plain_keras(model, tmp_path):
    x = images(3, SHAPE)
    baked = bake(model, "factored")
    baked.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    for one, two in zip(outputs(baked, x), outputs(again, x), strict=True):
        np.testing.assert_array_equal(one, two)


@each(*FEW)
def test_conversion(model):
    x = images(10, SHAPE)
    for quantize in ("float32", "int8"):
        done = tflite.convert(model, quantize=quantize, calibration=x)
        assert all(one.mean <= one.bound * one.range for one in done.agreements.values())


@each(nested_twice_on_other_sizes, operators)
def test_quantization_aware_training(model):
    x = images(10, SHAPE)
    aware = tflite.quantization_aware(model, x)
    for one, two in zip(outputs(model, x), outputs(aware, x), strict=True):
        assert np.abs(two - one).mean() < 0.05 * np.ptp(one)
    done = tflite.convert(aware, quantize="int8", calibration=x)
    assert all(one.mean <= one.bound * one.range for one in done.agreements.values())
