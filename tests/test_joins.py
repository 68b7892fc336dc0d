"""Chains across concatenations: the same function, without the wide tensors."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from fr_keras import bake, regularize, zoo
from fr_keras.models.walk import all_layers, frequency_layers


def truncated(plain: keras.Model, kept: int) -> keras.Model:
    model = regularize(plain)
    for layer in frequency_layers(model):
        if getattr(layer, "bias", None) is not None:
            layer.bias.assign(np.random.default_rng(1).normal(size=layer.bias.shape))
        layer.truncate(min(kept, layer.kept))
    return model


def assert_same(model: keras.Model, form: str = "factored") -> keras.Model:
    x = np.random.default_rng(0).normal(size=(2, *model.inputs[0].shape[1:]))
    baked = bake(model, form)
    outputs = (map(np.asarray, keras.tree.flatten(one(x))) for one in (model, baked))
    for one, two in zip(*outputs, strict=True):
        np.testing.assert_allclose(two, one, atol=1e-4 * np.abs(one).max(), rtol=0)
    return baked


def kinds(model: keras.Model) -> list[str]:
    return [type(layer).__name__ for layer in all_layers(model)]


def two_branches(first, second, reader, shape=(12, 12, 6)) -> keras.Model:
    inputs = keras.Input(shape)
    x = layers.Concatenate(name="both")([first(inputs), second(inputs)])
    return keras.Model(inputs, reader(x))


@settings(max_examples=6)
@given(
    kept=st.integers(1, 60),
    widths=st.tuples(st.integers(3, 24), st.integers(3, 24)),
    bias=st.booleans(),
    activation=st.sampled_from([None, "relu"]),
    padding=st.sampled_from(["same", "valid"]),
    transposed=st.booleans(),
)
def test_the_function_stays(kept, widths, bias, activation, padding, transposed):
    keras.utils.set_random_seed(0)
    kind = layers.Conv2DTranspose if transposed else layers.Conv2D
    options = {"padding": "same", "use_bias": bias, "activation": activation}
    plain = two_branches(
        kind(widths[0], 3, **options),
        layers.Conv2D(widths[1], 3, padding="same", activation="relu"),
        layers.Conv2D(20, 3, padding=padding, use_bias=bias, name="reader"),
    )
    assert_same(truncated(plain, kept))


def test_dense_layers():
    model = two_branches(layers.Dense(30), layers.Dense(20), layers.Dense(40), (50,))
    assert "Concatenate" not in kinds(assert_same(truncated(model, 12)))


def test_channels_first():
    """TensorFlow has no such convolution on a CPU: the graph alone is compared."""
    options = {"data_format": "channels_first", "padding": "same"}
    inputs = keras.Input((16, 8, 8))
    branches = [layers.Conv2D(20, 3, **options)(inputs), layers.ReLU()(inputs)]
    both = layers.Concatenate(axis=1)(branches)
    model = keras.Model(inputs, layers.Conv2D(24, 3, **options)(both))
    baked = bake(truncated(model, 12), "factored")
    assert "Concatenate" not in kinds(baked)
    assert baked.output_shape == (None, 24, 8, 8)


@pytest.fixture(scope="module")
def unet() -> keras.Model:
    return truncated(zoo.unet((16, 16, 1), filters=8), 12)


@pytest.fixture(scope="module")
def factored(unet) -> keras.Model:
    return assert_same(unet)


@pytest.mark.slow
def test_unet_has_no_concatenation_and_no_wide_up_convolution(unet, factored):
    for baked in (factored, assert_same(unet, "auto")):
        assert "Concatenate" not in kinds(baked)
        reader = baked.get_layer("up3_conv1").layers
        assert [one.name for one in reader if hasattr(one, "kernel")] == [
            "up3_conv1_in_0",
            "up3_conv1_core",
            "up3_conv1_out",
        ]
        width = reader[1].kernel.shape[-1]
        assert baked.get_layer("up3").output.shape[-1] == width < 64
    assert "Concatenate" in kinds(bake(unet))


@pytest.mark.slow
def test_saved_and_loaded(factored, tmp_path):
    factored.save(tmp_path / "m.keras")
    x = np.random.default_rng(0).random((1, 16, 16, 1))
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(factored(x), loaded(x))


def test_frozen_layers_stay_frozen():
    plain = two_branches(layers.Dense(30), layers.Dense(20), layers.Dense(40), (50,))
    plain.layers[-1].trainable = False
    baked = bake(truncated(plain, 12), "factored")
    assert not baked.layers[-1].trainable_variables


def read_otherwise(model: keras.Model) -> str:
    return "Concatenate" if "Concatenate" in kinds(assert_same(truncated(model, 12))) else "none"


def test_what_is_read_otherwise_stays_concatenated():
    def branches(inputs):
        return [layers.Dense(30)(inputs), layers.Dense(20)(inputs)]

    inputs = keras.Input((50,))
    both = layers.Concatenate()(branches(inputs))
    assert read_otherwise(keras.Model(inputs, [layers.Dense(40)(both), both])) == "Concatenate"
    assert read_otherwise(keras.Model(inputs, layers.Dense(40)(layers.ReLU()(both)))) != "none"
    # Another axis than the channels.
    rows = layers.Concatenate(axis=1)([layers.Reshape((10, 5))(inputs)] * 2)
    assert read_otherwise(keras.Model(inputs, layers.Dense(40)(rows))) == "Concatenate"
    # Read twice: the parts are taken twice, and their ends are not moved into both readers.
    twice = keras.Model(inputs, [layers.Dense(40)(both), layers.Dense(45)(both)])
    assert read_otherwise(twice) == "none"
    # A shared reader.
    shared = layers.Dense(40)
    other = layers.Concatenate()(branches(inputs))
    assert read_otherwise(keras.Model(inputs, [shared(both), shared(other)])) == "Concatenate"
    # A shared concatenation.
    join = layers.Concatenate()
    pair = [layers.Dense(40)(join(branches(inputs))) for _ in range(2)]
    assert read_otherwise(keras.Model(inputs, pair)) == "Concatenate"
