"""`regularize` names `order_channels` when it is known that a model was trained without FR."""

import warnings

import keras
import numpy as np
import pytest
from channel_graphs import lively
from examples import telling
from keras import layers
from networks import colours, small_convnet

from fr_keras import bake, order_channels, regularize

pytestmark = pytest.mark.usefixtures("stepwise_module")

HINT = "channels stand in no order.*order_channels"


def convnet(width: int = 16) -> keras.Model:
    inputs = keras.Input((12, 12, 3))
    x = layers.Conv2D(width, 3, use_bias=False, name="first")(inputs)
    x = layers.BatchNormalization(momentum=0.5, name="bn")(x)
    x = layers.Conv2D(width, 3, activation="relu", name="second")(layers.ReLU()(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(5, name="logits")(x))


def sequential() -> keras.Model:
    shape, units = keras.Input((12, 12, 3)), layers.Dense(24, activation="relu", name="hidden")
    return keras.Sequential([shape, layers.Flatten(), units, layers.Dense(5, name="logits")])


def nested() -> keras.Model:
    inputs = keras.Input((12, 12, 3))
    inner = convnet()
    return keras.Model(inputs, layers.Dense(5, name="head")(inner(inputs)))


def fitted(model: keras.Model, optimizer="sgd") -> keras.Model:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss)
    x, y = colours(16)
    model.fit(x, y, batch_size=8, epochs=2, verbose=0)
    return model


def silent(model: keras.Model, **arguments) -> bool:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        regularize(model, **arguments)
    return not any("order_channels" in str(one.message) for one in caught)


@pytest.mark.parametrize(
    "make", telling([convnet, sequential, nested, small_convnet], nested, small_convnet)
)
def test_a_trained_model_hears_of_it_and_its_ordered_copy_does_not(make):
    keras.utils.set_random_seed(0)
    model = fitted(make())
    with pytest.warns(UserWarning, match=HINT) as caught:
        regularize(model)
    named = [one.filename for one in caught if "order_channels" in str(one.message)]
    assert named == [__file__]
    with pytest.warns(UserWarning, match=HINT):
        regularize(model, start=0.5)
    assert silent(order_channels(model))


def test_an_ordered_model_that_is_trained_further_is_left_alone():
    keras.utils.set_random_seed(0)
    model = fitted(order_channels(fitted(convnet())))
    assert silent(model)


def test_a_model_with_smooth_kernels_is_left_alone():
    """As after FR: neighbours are alike, whoever saw to it."""
    keras.utils.set_random_seed(0)
    assert silent(fitted(bake(regularize(convnet(), start=0.05), form="dense")))


def test_what_is_not_known_to_be_trained_is_left_alone(tmp_path):
    keras.utils.set_random_seed(0)
    model = convnet()
    assert silent(model)
    model.compile("adam", "mse")
    assert silent(model)
    assert silent(lively(model))
    fitted(model).save(tmp_path / "model.keras")
    assert not silent(keras.models.load_model(tmp_path / "model.keras"))
    assert silent(keras.models.load_model(tmp_path / "model.keras", compile=False))


@pytest.mark.usefixtures("graphs")
@pytest.mark.parametrize("scaled", [False, True])
def test_any_optimizer(scaled):
    keras.utils.set_random_seed(0)
    optimizer = keras.optimizers.Adam()
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    assert not silent(fitted(convnet(), optimizer))


def test_where_there_is_nothing_to_order():
    inputs = keras.Input((12, 12, 3))
    x = layers.Dense(5, name="logits")(layers.Flatten()(inputs))
    assert silent(fitted(keras.Model(inputs, x)))  # the model gives its only channels
    assert silent(fitted(convnet(4)))  # too few to tell
    frozen = {"kernel_initializer": "zeros", "trainable": False}
    x = layers.Dense(3, **frozen)(layers.Dense(16, **frozen)(inputs))
    model = keras.Model(inputs, layers.Dense(5, name="logits")(layers.Flatten()(x)))
    assert silent(fitted(model))  # all alike


def test_only_layers_that_become_fr_count():
    keras.utils.set_random_seed(0)
    model = fitted(convnet())
    assert not silent(model, include="first")
    rng = np.random.default_rng(0)
    waves = np.cos(np.pi * np.linspace(0, 1, 16)) * rng.normal(size=(3, 3, 3, 1))
    model.get_layer("first").kernel.assign(waves)
    assert silent(model, include="first")
    assert not silent(model, include="second")


def test_wide_layers_are_judged_by_a_part():
    keras.utils.set_random_seed(0)
    model = fitted(convnet(400))
    assert not silent(model)
    assert silent(fitted(order_channels(model)))
