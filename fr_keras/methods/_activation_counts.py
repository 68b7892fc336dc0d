"""Counts how often the channels of a model are active."""

from collections.abc import Iterable

import keras
import numpy as np

from fr_keras.methods._observing import Layout
from fr_keras.methods._responses import counted
from fr_keras.methods._rows import batches
from fr_keras.models import channels


def positive_counts(
    model: keras.Model, found: channels.Groups, data: Iterable
) -> dict[str, np.ndarray]:
    """Returns how many activations of each channel are positive, over all rows and positions.

    They are counted where layers read them, so behind a normalization and an activation. Groups
    are left out if an activation is negative, for then a channel that is never positive matters,
    and if no layer reads them.

    Args:
        model: A built model.
        found: Its groups.
        data: Arrays, or batches, as for `prune_inactive`.

    Raises:
        ValueError: If `data` has no rows, or an activation is not finite.
    """
    read = [
        one
        for one in found.values()
        if one.removable and any(axis.role == "reads" for axis in one.axes)
    ]
    layout = Layout(read)
    counts = counted(layout, model, batches(model, data))
    negative = layout.split(counts.negative.any(0))
    positive = layout.split(counts.positive.sum(0))
    return {name: one for name, one in positive.items() if not negative[name].any()}
