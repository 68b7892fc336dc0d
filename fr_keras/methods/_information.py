"""The information gain of channels on what a model says."""

import math
from collections.abc import Iterable, Iterator, Sequence

import keras
import numpy as np
from keras import ops

from fr_keras._backends import backend
from fr_keras.methods._distributions import checked_kinds, distribution
from fr_keras.methods._observing import Layout, observing
from fr_keras.methods._rows import NUMBERS, batches

# The most input numbers at once where outputs have positions: the tensors of such a network are as
# large as its pictures from beginning to end, and all are held for the gradients.
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
    numbers = _WITH_POSITIONS if _has_positions(model) else NUMBERS
    for inputs, _ in batches(model, data, numbers=numbers):
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
    rows, said = len(keras.tree.flatten(inputs)[0]), []

    def values(factors):
        with observing(layout, lambda reader, x: x * reader.spread(factors, x)):
            outputs = keras.tree.flatten(model(inputs, training=False))
        found = [
            distribution(model, number, one, kinds[number]) for number, one in enumerate(outputs)
        ]
        said[:] = [one for one, _ in found]
        return ops.concatenate([one for _, one in found], 1)

    # One factor of 1 for each row and channel, wherever it is read.
    found, back = backend.pullback(values, [ops.ones((rows, layout.size + 1))])
    ends = np.cumsum([math.prod(one.shape) for one in said])[:-1]
    parts = np.split(ops.convert_to_numpy(found), ends, 1)
    weights = np.concatenate([one.weights(part) for one, part in zip(said, parts, strict=True)], 1)
    gained = np.zeros((rows, layout.size))
    for weight, direction in _directions(weights, rng if _has_positions(model) else None):
        # Rows do not depend on each other at inference, so this is each row's own gradient.
        (change,) = back(ops.cast(direction, found.dtype))
        change = ops.convert_to_numpy(change)[:, :-1].astype(np.float64)
        gained += weight * np.square(change)
    return gained / 2


def _has_positions(model: keras.Model) -> bool:
    return any(len(one.shape) > 2 for one in model.outputs)


def _directions(weights: np.ndarray, rng) -> Iterator[tuple[object, np.ndarray]]:
    """What the squared changes along some directions weigh, and the directions.

    They are the axes, or, if `rng` is given, a single one with random signs: its square has the sum
    over all axes as its mean (Hutchinson 1990).
    """
    if rng is not None:
        yield 1.0, np.sqrt(weights) * rng.choice([-1.0, 1.0], weights.shape)
        return
    for axis in range(weights.shape[1]):
        direction = np.zeros_like(weights)
        direction[:, axis] = 1
        yield weights[:, axis, None], direction
