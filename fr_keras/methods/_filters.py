"""Scores of channels from weights alone."""

from collections.abc import Iterable

import keras
import numpy as np

from fr_keras.layers import numbers
from fr_keras.models.channels import Axis, Group, Groups

_CHANNELS_ALONE = (keras.layers.BatchNormalization, keras.layers.GroupNormalization)
_FROM_DATA = "take a criterion that looks at data, such as 'information'"


def norms(found: Groups, groups: list[Group], order: int) -> dict[str, np.ndarray]:
    """The norms of the filters: all weights that make a channel, biases not counted."""
    _refuse_without_scale(found, groups)
    return {group.name: _norm(group, order) for group in groups}


def _norm(group: Group, order: int) -> np.ndarray:
    total = np.zeros(group.size)
    for axis in group.axes:
        if axis.role == "makes":
            total += (np.abs(by_channel(axis)) ** order).sum(1)
    return total ** (1 / order)


def by_channel(axis: Axis) -> np.ndarray:
    """Returns the numbers of a weight that belong to each channel, `(channels, numbers)`."""
    value = numbers(axis.weight).astype(np.float64)
    if not np.isfinite(value).all():
        raise ValueError(
            f"`model` must have finite weights. Received: '{axis.weight.name}' of layer "
            f"'{axis.layer}' with NaN or infinite values"
        )
    parts = np.moveaxis(value, axis.axis, 0)[axis.positions]
    return parts.reshape(len(parts), -1)


def scales(groups: list[Group]) -> dict[str, np.ndarray]:
    """The mean size of the factors with which batch normalizations scale a channel."""
    return {group.name: _scale(group) for group in groups}


def _scale(group: Group) -> np.ndarray:
    norms = [one for one in group.axes if isinstance(one.owner, keras.layers.BatchNormalization)]
    bare = dict.fromkeys(one.layer for one in norms if one.owner.gamma is None)
    if bare:
        raise ValueError(
            "`criterion='batch_norm'` must have batch normalizations with `scale=True`; else "
            f"{_FROM_DATA}. Received: {list(bare)} without, on the channels of '{group.name}'"
        )
    gammas = [by_channel(one) for one in norms if one.weight is one.owner.gamma]
    if not gammas:
        raise ValueError(
            "`criterion='batch_norm'` must have a batch normalization on each group; else take "
            f"'l2', or {_FROM_DATA}. Received: group '{group.name}' without"
        )
    return np.abs(np.concatenate(gammas, 1)).mean(1)


def _refuse_without_scale(found: Groups, groups: list[Group]) -> None:
    bare = without_scale(found, groups)
    if bare:
        raise ValueError(
            "`criterion` must not be a norm where normalizations have no scale, because they take "
            f"the norm of each filter away again: {_FROM_DATA}, or normalize with `scale=True`. "
            f"Received: {listed(bare)}"
        )


def without_scale(found: Groups, groups: list[Group]) -> dict[str, str]:
    """Returns the normalizations that have no scale, each with a group whose channels they pass.

    They take the norm of each filter away again.
    """
    bare = {
        one.layer: group.name
        for group in groups
        for one in group.axes
        if isinstance(one.owner, _CHANNELS_ALONE) and not one.owner.scale
    }
    # Without scale and offset, an instance normalization has no weights; but it counts channels.
    for length in found.trace.lengths.values():
        layer, roots = length.layer, set(found.trace.labels.roots(length.labels).tolist())
        if isinstance(layer, keras.layers.GroupNormalization) and not layer.scale:
            for group in groups:
                if roots & set(found.roots[group.name]):
                    bare[layer.name] = group.name
    return bare


def listed(bare: dict[str, str]) -> str:
    """Returns the result of `without_scale` for a message."""
    return ", ".join(f"layer '{layer}' on group '{group}'" for layer, group in bare.items())


def chances(groups: Iterable[Group], seed: int) -> dict[str, np.ndarray]:
    """Random numbers from 0 to 1."""
    rng = np.random.default_rng(seed)
    return {group.name: rng.random(group.size) for group in groups}
