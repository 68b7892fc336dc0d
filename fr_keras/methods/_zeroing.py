"""The filters of groups of channels: how many a budget allows, and how others become zero."""

from collections.abc import Iterator

import keras
import numpy as np

from fr_keras.methods._budget import Cost, Line, Measure
from fr_keras.methods._filters import by_channel, listed, without_scale
from fr_keras.methods._selection import floors, removable
from fr_keras.models import channels
from fr_keras.models.walk import named_layers

# The weights behind a filter that make its channel other than zero where the filter is zero.
_OFFSETS = ("bias", "beta", "moving_mean")


def made(group: channels.Group) -> Iterator[channels.Axis]:
    """Yields where the filters that make the channels lie."""
    return (axis for axis in group.axes if axis.role == "makes")


def offsets(group: channels.Group) -> Iterator[channels.Axis]:
    """Yields where the biases, offsets and moving means of the channels lie."""
    for axis in group.axes:
        weights = [getattr(axis.owner, name, None) for name in _OFFSETS]
        if axis.role == "scales" and any(axis.weight is one for one in weights):
            yield axis


def energy(group: channels.Group) -> np.ndarray:
    """Returns the squared L2 norm of the filters that make each channel."""
    return np.sum([np.square(by_channel(axis)).sum(1) for axis in made(group)], axis=0)


def zero_channels(group: channels.Group) -> np.ndarray:
    """Returns which channels have nothing but zeros in their filters, biases and offsets."""
    return ~np.any([by_channel(one).any(1) for one in (*made(group), *offsets(group))], axis=0)


def clear(axis: channels.Axis, numbers: np.ndarray) -> None:
    """Sets the weights of some channels to zero."""
    values = np.array(keras.ops.convert_to_numpy(axis.weight))
    np.moveaxis(values, axis.axis, 0)[axis.positions[numbers].ravel()] = 0
    axis.weight.assign(values)


def refuse_without_scale(found: channels.Groups, groups: list[channels.Group]) -> None:
    """Raises a ValueError if a normalization makes the norm of filters meaningless."""
    bare = without_scale(found, groups)
    if bare:
        raise ValueError(
            "`model` must have a scale in each normalization behind filters: without, the norm of "
            "a filter has no effect, and the weakest one is any. Build the layer with "
            "`scale=True`, or freeze the layers that make the channels. "
            f"Received: {listed(bare)}"
        )


def within(
    model: keras.Model,
    found: channels.Groups,
    keep: int | float,
    measure: Measure,
    floor: int | float,
) -> list[tuple[channels.Group, int]]:
    """Returns the groups that can lose channels, and how many each keeps: the same share.

    Groups that frozen layers make are not among them.
    """
    sizes = removable(model, found)
    least, layers = floors(sizes, floor), named_layers(model)
    free = {
        name: np.zeros(size)
        for name, size in sizes.items()
        if all(layers[maker].trainable for maker in found[name].layers)
    }
    if not free:
        raise ValueError(
            "`model` must have trainable layers whose channels can be removed: set `trainable "
            f"= True`. Received: '{model.name}', where frozen layers make all of them"
        )
    line = Line(free, {name: least[name] for name in free}, "layer")
    cost = Cost(model, found, line, measure)
    kept = cost.largest(cost.budget(keep))
    return [(found[name], len(numbers)) for name, numbers in kept.items()]


def without_zeros(model: keras.Model, callback: str) -> keras.Model:
    """Returns a copy without the channels that are zero, after a training with a callback."""
    found = channels.groups(model)
    kept = {
        name: np.flatnonzero(~zero_channels(one)) for name, one in found.items() if one.removable
    }
    kept = {name: one if len(one) else np.array([0]) for name, one in kept.items()}
    if all(len(one) == found[name].size for name, one in kept.items()):
        raise ValueError(
            f"`model` must have filters that are zero: train it with {callback} first. "
            f"Received: '{model.name}' without any"
        )
    return channels.remove(model, kept)
