"""The information gain of channels on what a model says. It needs TensorFlow's gradients."""

from collections.abc import Iterable, Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from fr_keras.methods._distributions import checked_kinds, distribution
from fr_keras.methods._observing import Layout, observing
from fr_keras.methods._rows import NUMBERS, batches

# The most input numbers at once where outputs have positions: the tensors of such a network are as
# large as its pictures from begin to end, and all are held for the gradients.
_WITH_POSITIONS = 1 << 17


def information(
    layout: Layout,
    model: keras.Model,
    data: Iterable,
    outputs: str | Sequence[str] | None,
    seed: int,
) -> dict[str, np.ndarray]:
    """Half the mean, over rows, of the squared change of what the outputs say."""
    kinds, rng = checked_kinds(model, outputs), np.random.default_rng(seed)
    total, rows = np.zeros(layout.size), 0
    positions = any(len(one.shape) > 2 for one in model.outputs)
    for inputs, _ in batches(model, data, numbers=_WITH_POSITIONS if positions else NUMBERS):
        gained = _gained(layout, model, inputs, kinds, rng)
        total += gained.sum(0)
        rows += len(gained)
    if not np.isfinite(total).all():
        raise ValueError(
            "`model` must have finite gradients for criterion='information'. Received: gradients "
            "that are NaN or infinite; with 16-bit numbers, use float32"
        )
    return layout.split(total / rows)


def _gained(layout: Layout, model: keras.Model, inputs, kinds, rng) -> np.ndarray:
    """The information of each channel on each row, `(rows, channels)`."""
    rows = len(keras.tree.flatten(inputs)[0])
    # One factor of 1 for each row and channel, wherever it is read.
    factors = tf.ones((rows, layout.size + 1))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(factors)
        with observing(layout, lambda reader, x: x * reader.spread(factors, x)):
            outputs = keras.tree.flatten(model(inputs, training=False))
        said = [
            distribution(model, number, one, kind)
            for number, (one, kind) in enumerate(zip(outputs, kinds, strict=True))
        ]
    values = [one.values for one in said]
    found = np.zeros((rows, layout.size))
    for weight, directions in _directions([one.weights() for one in said], rng):
        # Rows do not depend on each other at inference, so this is each row's own gradient.
        along = [tf.constant(one, "float32") for one in directions]
        change = tape.gradient(values, factors, along, tf.UnconnectedGradients.ZERO)
        found += weight * np.square(change.numpy()[:, :-1].astype(np.float64))
    return found / 2


def _directions(weights: list[np.ndarray], rng) -> Iterator[tuple[object, list[np.ndarray]]]:
    """What the squared changes along some directions weigh, and the directions.

    They are the axes, or, where outputs have positions, one with random signs: its square has the
    sum over all axes as its mean (Hutchinson 1990).
    """
    if any(one.ndim > 2 for one in weights):
        yield 1.0, [np.sqrt(one) * rng.choice([-1.0, 1.0], one.shape) for one in weights]
        return
    for number, one in enumerate(weights):
        for axis in np.ndindex(one.shape[1:]):
            directions, column = [np.zeros_like(other) for other in weights], (slice(None), *axis)
            directions[number][column] = 1
            yield one[column][:, None], directions
