"""Networks and rows for tests of the scores of channels."""

import keras
import numpy as np
from channel_graphs import STEPS, Builder, lively
from keras import layers

from fr_keras.models.walk import all_layers

LABELS = np.array([0, 1, 2, 1, 0, 2, 2])


def network(name: str) -> keras.Model:
    """A step of the random networks between two convolutions with normalizations."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="stem")(inputs)
    x = layers.ReLU()(layers.BatchNormalization(name="stem_bn")(x))
    x = STEPS[name](Builder(0), x, name)
    x = layers.Conv2D(6, 3, padding="same", use_bias=False, name="after")(x)
    x = layers.ReLU()(layers.BatchNormalization(name="after_bn")(x))
    x = layers.Flatten()(layers.MaxPooling2D(4)(x))
    return lively(keras.Model(inputs, layers.Dense(3, activation="softmax", name="out")(x)))


def rows_of(model: keras.Model, rows: int = len(LABELS)) -> np.ndarray:
    shape = model.inputs[0].shape[1:]
    return np.random.default_rng(1).normal(size=(rows, *shape)).astype("float32")


def scaled_outputs(model: keras.Model, group, channel: int, x, factor: float) -> list[np.ndarray]:
    """The outputs where every weight that reads a channel is multiplied by a factor."""
    before = model.get_weights()
    for axis in group.axes:
        if axis.role == "reads":
            values = np.array(axis.weight)
            np.moveaxis(values, axis.axis, 0)[axis.positions[channel]] *= factor
            axis.weight.assign(values)
    outputs = [np.array(one) for one in keras.tree.flatten(model(x, training=False))]
    model.set_weights(before)
    return outputs


def small() -> keras.Model:
    return lively(
        keras.Sequential(
            [
                keras.Input((6,)),
                layers.Dense(5, activation="relu", name="hidden"),
                layers.Dense(3, activation="softmax", name="out"),
            ]
        )
    )


def state(model: keras.Model):
    """The weights of a model, and what its layers hold beside their class."""
    own = [sorted(vars(one)) for one in all_layers(model)]
    return model.get_weights(), own


def check_unchanged(model: keras.Model, before) -> None:
    weights, own = state(model)
    np.testing.assert_equal(weights, before[0])
    assert own == before[1]
