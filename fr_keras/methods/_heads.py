"""The heads of a model: what no channel that can be added depends on."""

import itertools
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence

import keras

from fr_keras._keras_internals import nodes
from fr_keras.models import channels
from fr_keras.models.walk import named_layers

_SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)


def reads(axis: channels.Axis) -> bool:
    """Whether the channels along an axis of a weight are its inputs, and not what it gives."""
    if isinstance(axis.owner, _SEPARABLE):  # two kernels, and the second reads what the first gives
        if axis.weight is axis.owner.depthwise_kernel:
            return False
        if axis.weight is axis.owner.pointwise_kernel:
            return axis.role != "makes"
    return axis.role == "reads"


def heads(model: keras.Model, found: channels.Groups) -> list[str]:
    """Returns the layers with weights from which nothing leads to channels that can be removed."""
    layers = named_layers(model)
    growing = {
        id(layers[axis.layer])
        for group in found.values()
        for axis in group.axes
        if group.removable and axis.role != "reads" and not reads(axis)
    }
    before = set(growing)
    _go_back(model, growing, set(), before)
    return [name for name, one in layers.items() if one.weights and id(one) not in before]


def _go_back(model: keras.Model, growing: set[int], wanted: set[int], before: set[int]) -> set[int]:
    """Adds to `before` the layers that lead to growing ones or to wanted tensors.

    Returns:
        The wanted tensors, now with all that lead to them.
    """
    for node in reversed(nodes(model)):
        if node.is_input:
            continue
        layer, leads = node.operation, [id(one) in wanted for one in node.outputs]
        while isinstance(layer, keras.layers.TimeDistributed):
            layer = layer.layer
        if isinstance(layer, keras.Model) and getattr(layer, "inputs", None):
            ends = {id(one) for one, leads_on in zip(layer.outputs, leads, strict=True) if leads_on}
            inside = _go_back(layer, growing, ends, before)
            pairs = zip(layer.inputs, node.input_tensors, strict=True)
            wanted |= {id(tensor) for inner, tensor in pairs if id(inner) in inside}
            continue
        if any(leads):
            before.add(id(layer))
        if any(leads) or id(layer) in growing:
            wanted |= {id(one) for one in node.input_tensors}
    return wanted


def check_reached(found: channels.Groups, own: Collection[str], growing: Collection[str]) -> None:
    """Raises a ValueError if some growing groups could not change any output."""
    lost = unreached(found, growing, own)
    if lost:
        raise ValueError(
            "`model` must have only channels that something reads which is trained when they come "
            "back: new channels or a head. Others read nothing new, or they would change. Take "
            f"`recover='full'`. Received: groups {lost}, which only such others read"
        )


def warn_of_unreached(
    found: channels.Groups, own: Collection[str], counts: Sequence[Mapping[str, int]]
) -> None:
    """Warns if channels that come back change no output, for what reads them does not grow.

    Args:
        found: The groups of the model.
        own: The names of the heads.
        counts: How many channels each network has, from the smallest to the largest.
    """
    lost = {}
    for number, (fewer, more) in enumerate(itertools.pairwise(counts), 1):
        growing = [name for name, count in fewer.items() if count < more[name]]
        if some := unreached(found, growing, own):
            lost[number] = some
    if lost:
        warnings.warn(
            "some channels that come back change no output of their network, for what reads them "
            "gets no new channels in it. Take fewer `capacities`, `scope='layer'`, by which all "
            "groups grow alike, or `recover='full'`. Received: groups by the number of the network "
            f"in `models`, {lost}",
            stacklevel=3,
        )


def unreached(found: channels.Groups, growing: Collection[str], own: Collection[str]) -> list[str]:
    """Returns the growing groups whose new channels no head would see.

    What is frozen does not read new channels. So these must be read by a head, or by what makes
    new channels of which that is true.

    Args:
        found: The groups of the model.
        growing: The names of the groups that get new channels.
        own: The names of the layers that are trained for each model.
    """
    seen: set[str] = set()
    readers: dict[str, set[int]] = {name: set() for name in growing}
    makers: dict[int, set[str]] = {}
    for name, axis in _axes(found, growing):
        if axis.layer in own:
            seen.add(name)
        elif reads(axis):
            readers[name].add(id(axis.weight))
        else:
            makers.setdefault(id(axis.weight), set()).add(name)
    more = True
    while more:
        more = {
            name
            for name, weights in readers.items()
            if name not in seen and any(seen & makers.get(one, set()) for one in weights)
        }
        seen |= more
    return [name for name in growing if name not in seen]


def _axes(found: channels.Groups, names: Iterable[str]):
    return ((name, axis) for name in names for axis in found[name].axes)
