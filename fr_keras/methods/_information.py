"""The information gain of channels on the class distribution."""

from collections.abc import Iterable

import keras
import numpy as np
from keras import ops

from fr_keras._backends import backend
from fr_keras._keras_internals import OPERATORS, innermost_maker
from fr_keras.methods._observing import Layout, observing

# Probabilities below it count as this small; small enough not to hide what sure networks say.
_SMALLEST = 1e-30


def information(layout: Layout, model: keras.Model, batches: Iterable) -> dict[str, np.ndarray]:
    """Half the mean, over rows and classes, of the squared change of the log-probability."""
    check_classifier(model, "information")
    total, rows = np.zeros(layout.size), 0
    for inputs, _ in batches:
        gained = _gained(layout, model, inputs)
        total += gained.sum(0)
        rows += len(gained)
    if not np.isfinite(total).all():
        raise ValueError(
            "`model` must have finite gradients for criterion='information'. Received: gradients "
            "that are NaN or infinite; with 16-bit numbers, use float32"
        )
    return layout.split(total / rows)


def _gained(layout: Layout, model: keras.Model, inputs) -> np.ndarray:
    """The information of each channel on each row, `(rows, channels)`."""
    rows = len(keras.tree.flatten(inputs)[0])

    def logs(factors):
        with observing(layout, lambda reader, x: x * reader.spread(factors, x)):
            outputs = model(inputs, training=False)
        (outputs,) = keras.tree.flatten(outputs)
        return log_probabilities(model, outputs)

    # One factor of 1 for each row and channel, wherever it is read.
    found, back = backend.pullback(logs, [ops.ones((rows, layout.size + 1))])
    chances = np.exp(ops.convert_to_numpy(found).astype(np.float64))
    gained = np.zeros((rows, layout.size))
    for one in range(chances.shape[1]):
        # Rows do not depend on each other at inference, so this is each row's own gradient.
        (change,) = back(ops.one_hot(np.full(rows, one), chances.shape[1], dtype=found.dtype))
        change = ops.convert_to_numpy(change)[:, :-1].astype(np.float64)
        gained += chances[:, one, None] * np.square(change)
    return gained / 2


def check_classifier(model: keras.Model, criterion: str) -> None:
    """Raises a ValueError unless the model gives one number for each class."""
    shapes = [tuple(one.shape) for one in model.outputs]
    if len(shapes) != 1 or len(shapes[0]) != 2 or (shapes[0][1] or 0) < 2:
        raise ValueError(
            f"`model` must be a classifier for criterion='{criterion}': one output of shape "
            f"(rows, classes) with two or more classes. Received: outputs of shapes {shapes}"
        )


def log_probabilities(model: keras.Model, outputs):
    """The logarithms of the class probabilities, from a softmax or from logits.

    Raises:
        ValueError: If the last layer has another activation.
    """
    last, outputs = innermost_maker(model.outputs[0]), ops.cast(outputs, "float32")
    activation = getattr(last, "activation", None)
    softmax = isinstance(last, (keras.layers.Softmax, OPERATORS["softmax"]))
    if softmax or activation is keras.activations.softmax:
        return ops.log(ops.maximum(outputs, _SMALLEST))
    if activation not in (None, keras.activations.linear):
        raise ValueError(
            "`model` must end in logits or a softmax for criterion='information'. Received: layer "
            f"'{last.name}' with activation {getattr(activation, '__name__', activation)}"
        )
    if not hasattr(last, "activation") and _are_probabilities(outputs):
        return ops.log(ops.maximum(outputs, _SMALLEST))
    return ops.log_softmax(outputs)


def _are_probabilities(outputs) -> bool:
    """Whether they come from a softmax before a layer that does not say so, such as a Reshape."""
    sums = ops.sum(outputs, -1)
    return bool(ops.all(outputs >= 0)) and bool(ops.all(ops.abs(sums - 1) < 1e-3))
