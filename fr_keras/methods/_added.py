"""Which positions of the weights of a network belong to channels that a smaller one has not."""

from collections.abc import Mapping
from typing import NamedTuple

import keras
import numpy as np

from fr_keras.methods._heads import reads
from fr_keras.models import channels


class Added(NamedTuple):
    """The positions along one axis of a weight.

    Attributes:
        is_read: Whether the weight reads the channels along this axis, and does not make them.
        positions: Which positions belong to new channels, as bools.
    """

    is_read: bool
    positions: np.ndarray


def added(model: keras.Model, counts: Mapping[str, int]) -> dict[int, dict[int, Added]]:
    """Returns the new positions of a model, by the `id` of a weight and the number of an axis.

    Args:
        model: The model.
        counts: How many channels are old in each group that has grown. They are its first ones.
    """
    found, new = channels.groups(model), {}
    for name, count in counts.items():
        for one in found[name].axes:
            nothing = np.zeros(one.weight.shape[one.axis], bool)
            along = new.setdefault(id(one.weight), {})
            place = along.setdefault(one.axis, Added(reads(one), nothing))
            place.positions[one.positions[count:].ravel()] = True
    return new
