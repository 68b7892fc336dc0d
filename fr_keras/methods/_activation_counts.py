"""Counts how often the channels of a model are active."""

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping

import keras
import numpy as np
from keras import ops

from fr_keras.models import channels
from fr_keras.models.walk import all_layers, containers, ends

# The most rows, and the most input numbers, that are computed at once.
_ROWS = 4096
_NUMBERS = 1 << 20


def positive_counts(
    model: keras.Model, found: channels.Groups, data: Iterable
) -> dict[str, np.ndarray]:
    """Returns how many activations of each channel are positive, over all rows and positions.

    They are counted where layers read them, so behind a normalization and an activation. Groups
    are left out if an activation is negative, for then a channel that is never positive matters,
    and if what reads them cannot be seen, as inside a `TimeDistributed`.

    Args:
        model: A built model.
        found: Its groups.
        data: Arrays, or batches, as for `prune_inactive`.

    Raises:
        ValueError: If `data` has no rows, or an activation is not a number.
    """
    watched = _watched(model, found)
    counts = {name: np.zeros(found[name].size, np.int64) for name in watched}
    negative: set[str] = set()

    def note(name: str, axis: channels.Axis, inputs) -> None:
        x = ops.moveaxis(inputs, axis.input_axis, -1)
        x = ops.reshape(x, (-1, x.shape[-1]))
        if not bool(ops.all(ops.isfinite(x))):
            raise ValueError(
                f"`data` and `model` must give activations that are finite. Received: NaN or "
                f"infinite ones of group '{name}', which layer '{axis.layer}' reads"
            )
        if bool(ops.any(x < 0)):
            negative.add(name)
        active = ops.convert_to_numpy(ops.sum(ops.cast(x > 0, "int64"), axis=0))
        counts[name] += active[axis.positions].sum(axis=1)

    rows = 0
    with _observed(watched, note):
        for batch in _inputs(model, data):
            leaves = keras.tree.flatten(batch)
            rows += len(leaves[0])
            if len(leaves) == 1:  # it may be in a list of one
                batch = keras.tree.pack_sequence_as(ends(model)[0], leaves)
            model(batch, training=False)
    if not rows:
        raise ValueError("`data` must hold at least one batch with rows. Received: none")
    return {name: one for name, one in counts.items() if name not in negative}


def _watched(model: keras.Model, found: channels.Groups) -> dict[str, list[channels.Axis]]:
    """The axes that read each removable group, where all of them can be observed."""
    # Keras calls the layer of a TimeDistributed inside a loop of the graph.
    steps = [one for one in containers(model) if isinstance(one, keras.layers.TimeDistributed)]
    inside = {id(one.layer) for one in steps}
    for one in steps:
        if isinstance(one.layer, keras.Model):
            inside |= {id(layer) for layer in all_layers(one.layer)}
    watched = {}
    for name, group in found.items():
        reads = [axis for axis in group.axes if axis.role == "reads"]
        if group.removable and reads and not any(id(axis.owner) in inside for axis in reads):
            watched[name] = reads
    return watched


@contextlib.contextmanager
def _observed(watched: Mapping[str, list[channels.Axis]], note) -> Iterator[None]:
    """Notes the inputs of every call of the layers that read channels."""
    by_owner: dict[int, tuple[keras.layers.Layer, list]] = {}
    for name, axes in watched.items():
        for axis in axes:
            by_owner.setdefault(id(axis.owner), (axis.owner, []))[1].append((name, axis))

    def observed(call, reads):
        def noting(inputs, *args, **kwargs):
            for name, axis in reads:
                note(name, axis, inputs)
            return call(inputs, *args, **kwargs)

        return noting

    before = {key: vars(owner).get("call") for key, (owner, _) in by_owner.items()}
    try:
        for owner, reads in by_owner.values():
            owner.call = observed(owner.call, reads)
        yield
    finally:
        for key, (owner, _) in by_owner.items():
            if before[key] is not None:
                owner.call = before[key]
            elif "call" in vars(owner):
                del owner.call


def _inputs(model: keras.Model, data) -> Iterator:
    """The inputs of `data` in batches; an array is divided."""
    whole = isinstance(data, (np.ndarray, Mapping)) or hasattr(data, "numpy")
    for batch in [data] if whole else data:
        # As in `fit`: a tuple is inputs and labels, a list may be several inputs.
        several = isinstance(batch, list) and len(model.inputs) > 1
        labelled = isinstance(batch, (tuple, list)) and not several
        inputs = batch[0] if labelled else batch
        if not whole:
            yield inputs
            continue
        leaves = keras.tree.flatten(inputs)
        numbers = sum(math.prod(one.shape[1:]) for one in leaves)
        step = model.inputs[0].shape[0] or max(1, min(_ROWS, _NUMBERS // max(1, numbers)))
        for start in range(0, len(leaves[0]), step):
            part = slice(start, start + step)
            yield keras.tree.map_structure(lambda one, part=part: one[part], inputs)
