"""`nest`: networks within networks, and what stays frozen while they grow."""

import inspect

import keras
import numpy as np
import pytest
from backends import tensorflow_alone
from channel_graphs import Builder, difference, inputs_of, lifted, lively, outputs_of
from examples import telling
from keras import layers, ops

from fr_keras import tflite
from fr_keras.methods import Nested, nest, rank
from fr_keras.methods._growth import grow
from fr_keras.methods._heads import heads, reads, unreached
from fr_keras.models import channels
from fr_keras.models.walk import named_layers

pytestmark = pytest.mark.usefixtures("stepwise")

X = np.random.default_rng(0).random((8, 6, 6, 2), np.float32)
Y = np.arange(8) % 3


def small() -> keras.Model:
    """A residual, a depthwise convolution and a Flatten; of the normalizations one is shared."""
    inputs = keras.Input((6, 6, 2), name="image")
    x = layers.Conv2D(6, 3, padding="same", use_bias=False, name="first")(inputs)
    x = layers.BatchNormalization(momentum=0.5, name="bn")(x)
    x = layers.ReLU(name="relu")(x)
    y = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.Add(name="add")([x, layers.BatchNormalization(name="depthwise_bn")(y)])
    x = layers.Conv2D(4, 3, strides=2, activation="relu", name="second")(x)
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(inputs, layers.Dense(3, name="logits")(x), name="small")


def compiled(model: keras.Model) -> keras.Model:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(0.01, weight_decay=0.1), loss)
    return model


def fit(model: keras.Model, callbacks: list) -> None:
    model.fit(X, Y, batch_size=4, epochs=2, verbose=0, callbacks=callbacks)


def norms(model: keras.Model) -> dict[str, np.ndarray]:
    return rank(model, None, "l2")


def used(model: keras.Model, callbacks: list, moves=lambda model: None) -> None:
    """What `fit` does with the callbacks, around a batch that moves the weights."""
    for one in callbacks:
        one.set_model(model)
        one.on_train_begin()
    moves(model)
    for one in callbacks:
        one.on_train_batch_end(0)


def shaken(model: keras.Model, callbacks: list = ()) -> None:
    """Gives every weight other numbers, in place of a training."""
    rng = np.random.default_rng(len(callbacks))

    def move(model):
        for weight in model.weights:
            if "float" in weight.dtype:
                by = rng.uniform(0.1, 0.2, weight.shape)
                weight.assign(weight + by * (1 if "variance" in weight.name else -1))

    used(model, callbacks, move)


def numbers(weight) -> np.ndarray:
    return np.array(ops.convert_to_numpy(weight))


def quickly(model: keras.Model, tune=shaken, keep=0.3, steps=3, capacities=3, **kwargs) -> Nested:
    return nest(model, None, tune, keep, steps, capacities, **{"criterion": norms, **kwargs})


# Frozen channels


@pytest.fixture(scope="module")
def fitted() -> tuple[keras.Model, Nested]:
    keras.utils.set_random_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.Model, "run_eagerly", property(lambda _: True, lambda *_: None))
        model = compiled(lively(small()))
        return model, nest(model, (X, Y), fit, 0.25, 3, 3, scope="layer")


def test_weights_are_blocks(fitted):
    """The matrices of the docstring, layer by layer."""
    _, nested = fitted
    for fewer, more in zip(nested.models, nested.models[1:], strict=False):
        old, new = ({n: x.get_weights() for n, x in named_layers(m).items()} for m in (fewer, more))
        for name, weights in old.items():
            if name == "logits":
                assert not np.array_equal(new[name][1], weights[1]), "a head of its own"
                continue
            for before, after in zip(weights, new[name], strict=True):
                within = tuple(slice(n) for n in before.shape)
                np.testing.assert_array_equal(after[within], before, err_msg=name)
        a, b = (old[name][0].shape[-1] for name in ("first", "second"))
        assert new["first"][0].shape[-1] > a
        assert new["second"][0].shape[-1] > b
        assert not new["second"][0][:, :, a:, :b].any()
        assert new["second"][0][:, :, :, b:].all()


def test_new_weights_are_trained(fitted):
    model, nested = fitted
    largest, (count, *_) = nested.models[-1], [len(one["first"]) for one in nested.kept[-2:]]
    for name in ("first", "bn", "depthwise", "depthwise_bn"):
        before = model.get_layer(name).get_weights()
        for weight, start in zip(largest.get_layer(name).get_weights(), before, strict=True):
            axis = -2 if name == "depthwise" and weight.ndim > 1 else -1
            start = np.take(start, nested.kept[-1]["first"], axis)
            moved = np.moveaxis(weight != start, axis, 0)[count:]
            assert moved.reshape(len(moved), -1).any(1).all(), (name, weight.shape)


def test_activations_are_those_of_the_smaller_network(fitted):
    _, nested = fitted
    names = ("bn", "add", "second")
    inner = [
        keras.Model(one.input, [one.get_layer(name).output for name in names])
        for one in nested.models
    ]
    found = [[numbers(one) for one in model(X, training=False)] for model in inner]
    for fewer, more in zip(found, found[1:], strict=False):
        for old, new in zip(fewer, more, strict=True):
            assert new.shape[-1] > old.shape[-1]
            # To the bit only if a processor adds zeros like nothing; see below.
            np.testing.assert_allclose(new[..., : old.shape[-1]], old, rtol=1e-5, atol=1e-6)


def test_of_whole_numbers_all_activations_are_equal_to_the_bit():
    """Sums of whole numbers are exact in any order."""

    def move(model):
        for weight in model.weights:
            weight.assign(np.random.default_rng(weight.shape[-1]).integers(-3, 4, weight.shape))

    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(7, 3, activation="relu", name="a")(inputs)
    y = layers.SeparableConv2D(5, 3, padding="same", depth_multiplier=2, name="b")(x)
    z = layers.Conv2D(5, 1, name="c")(x)
    w = layers.Conv2DTranspose(4, 2, strides=2, name="d")(layers.Add(name="e")([y, z]))
    x = layers.Concatenate(name="f")([layers.MaxPooling2D()(w), y])
    x = layers.Dense(9, name="g")(layers.Flatten()(x))
    model = keras.Model(inputs, layers.Dense(3, name="h")(x))
    move(model)
    tune = lambda model, callbacks: used(model, callbacks, move)  # noqa: E731
    nested = quickly(model, tune, scope="layer")
    x = np.random.default_rng(0).integers(-2, 3, (4, 6, 6, 2)).astype("float32")
    largest = nested.models[-1]
    for fewer in nested.models[:-1]:
        for name in "abcdeg":
            small_one, large_one = (
                numbers(keras.Model(one.input, one.get_layer(name).output)(x))
                for one in (fewer, largest)
            )
            count = small_one.shape[-1]
            assert count < large_one.shape[-1]
            assert small_one.any()
            np.testing.assert_array_equal(large_one[..., :count], small_one, err_msg=name)


def test_the_largest_network_and_the_heads_are_all(fitted):
    _, nested = fitted
    assert nested.own == ("logits",)
    for number, one in enumerate(nested.models):
        cut = nested.cut(number)
        for ours, its in zip(cut.weights, one.weights, strict=True):
            np.testing.assert_array_equal(ours, its)
        np.testing.assert_array_equal(cut(X, training=False), one(X, training=False))
    for bad in (-1, 3):
        with pytest.raises(ValueError, match=f"from 0 to 2.* Received: {bad}"):
            nested.cut(bad)


def test_what_is_told(fitted):
    model, nested = fitted
    whole = {"first": 6, "second": 4}
    for fewer, more in zip(nested.kept, nested.kept[1:], strict=False):
        assert all(more[name][: len(one)] == one for name, one in fewer.items())
    assert {name: sorted(one) for name, one in nested.kept[-1].items()} == {
        name: list(range(count)) for name, count in whole.items()
    }
    for one, kept in zip(nested.models, nested.kept, strict=True):
        assert {name: one.get_layer(name).filters for name in whole} == {
            name: len(numbers) for name, numbers in kept.items()
        }
    assert nested.shares[0] <= 0.25 < nested.shares[1] < nested.shares[2] == 1
    assert nested.scores is None
    assert model.get_layer("first").filters == 6
    assert all(one.compiled for one in nested.models)


@tensorflow_alone("it converts")
def test_networks_are_plain_ones(fitted, tmp_path):
    _, nested = fitted
    one = nested.models[1]
    one.save(tmp_path / "one.keras")
    loaded = keras.models.load_model(tmp_path / "one.keras")
    np.testing.assert_array_equal(loaded(X, training=False), one(X, training=False))
    found = tflite.Runner(tflite.convert(one).content).run(X[:1])
    np.testing.assert_allclose(found, one(X[:1], training=False), rtol=1e-4, atol=1e-4)
