"""How much the outputs of a model change."""

from collections.abc import Sequence

import keras
import numpy as np


def outputs_of(model: keras.Model, rows: Sequence) -> list[list[np.ndarray]]:
    """Returns the outputs of a model for each batch of inputs and labels."""
    found = (keras.tree.flatten(model(inputs, training=False)) for inputs, _ in rows)
    return [
        [keras.ops.convert_to_numpy(one).astype(np.float64) for one in batch] for batch in found
    ]


def change(before: list[list[np.ndarray]], after: list[list[np.ndarray]]) -> float:
    """Returns the squared change of all outputs, each as a share of its squares."""
    shares = 0.0
    for one, other in zip(zip(*before, strict=True), zip(*after, strict=True), strict=True):
        changed = sum(np.square(a - b).sum() for a, b in zip(one, other, strict=True))
        shares += changed / (sum(np.square(a).sum() for a in one) or 1)
    return float(shares)
