"""What a model costs, by how many channels its groups keep."""

import math
from collections.abc import Callable, Mapping

import keras

from fr_keras.layers import TWINS
from fr_keras.models import channels
from fr_keras.models.summaries import summary
from fr_keras.models.walk import input_shapes, named_layers

#: The measures that are counted, as the keys of `summary(model).to_dict()`.
COUNTED = {"weights": "kernel_weights", "multiply_adds": "multiply_adds"}

#: The cost by the number of channels that each group keeps; groups left out keep all.
Count = Callable[[Mapping[str, int]], int]


def counted(model: keras.Model, found: channels.Groups, measure: str) -> tuple[Count, int | None]:
    """Returns how to count a measure, and what is left of it without any removable channel.

    Kernel weights and multiply-adds are those of `fr_keras.summary`. They are computed from the
    places of the channels in the kernels, without making models. If a layer is applied once for
    each channel, as a Dense over a permuted image, smaller models are made and counted; what is
    left without any channel is `None` then, for there is no such model.

    Raises:
        ValueError: If `measure` is unknown, or the multiply-adds of a layer are.
    """
    if measure not in COUNTED:
        raise ValueError(
            f"`measure` must be one of {list(COUNTED)}, or a function of a model. "
            f"Received: {measure!r}"
        )
    if measure == "multiply_adds" and _positions_vary(model, found):
        return lambda kept: _of_cut(model, kept), None
    kernels = _kernels(model, found, measure)

    def count(kept: Mapping[str, int]) -> int:
        return sum(one.count(kept) for one in kernels)

    return count, count({name: 0 for name, one in found.items() if one.removable})


class _Kernel:
    """The size of a kernel, times the positions at which it is applied."""

    def __init__(self, kernel: keras.Variable, found: channels.Groups, positions: int):
        self._positions = positions
        self._lengths = [int(n) for n in kernel.shape]
        # Along each axis: the group, its channels, and the places of each channel.
        self._places: list[list[tuple[str, int, int]]] = [[] for _ in self._lengths]
        for name, group in found.items():
            for axis in group.axes:
                if axis.weight is kernel:
                    self._places[axis.axis].append((name, group.size, axis.positions.shape[1]))

    def count(self, kept: Mapping[str, int]) -> int:
        lengths = (
            length - sum((size - kept.get(name, size)) * copies for name, size, copies in places)
            for length, places in zip(self._lengths, self._places, strict=True)
        )
        return self._positions * math.prod(lengths)


def known_positions(model: keras.Model) -> dict[str, int]:
    """Returns at how many positions the kernels of each layer are applied, where they multiply.

    Raises:
        ValueError: If the multiply-adds of a layer are not known.
    """
    layers, known, unknown = named_layers(model), {}, []
    for row in summary(model).rows:
        if not row.kernel_weights or isinstance(layers[row.name], keras.layers.Embedding):
            continue  # an embedding looks rows up
        if row.multiply_adds is None:
            unknown.append(f"'{row.name}' ({row.type})")
        else:
            known[row.name] = row.multiply_adds // row.kernel_weights
    if unknown:
        raise ValueError(
            '`measure` "multiply_adds" must be known for every layer: give the model an input of '
            'fixed size, or use another one, such as "weights". Received: '
            f"{', '.join(unknown)}, for which `fr_keras.summary` has none"
        )
    return known


def _kernels(model: keras.Model, found: channels.Groups, measure: str) -> list[_Kernel]:
    layers, kernels = named_layers(model), []
    counts = [row.name for row in summary(model).rows if row.kernel_weights]
    positions = known_positions(model) if measure == "multiply_adds" else dict.fromkeys(counts, 1)
    for name, number in positions.items():
        plain = TWINS[type(layers[name])].plain_kernels(layers[name])
        kernels += [_Kernel(kernel, found, number) for kernel in plain]
    return kernels


def _positions_vary(model: keras.Model, found: channels.Groups) -> bool:
    """Whether a layer is applied at fewer positions when there are fewer channels."""
    shapes = input_shapes(model)
    dense = [one for one in named_layers(model).values() if isinstance(one, keras.layers.Dense)]
    if not any(len(shape) > 2 for one in dense for shape in shapes[id(one)]):
        return False  # all other layers have their channels on an axis of the kernel
    few = {name: range(one.size - 1) for name, one in found.items() if one.removable}
    cut = channels.remove(model, {name: one for name, one in few.items() if one})
    return _positions(model) != _positions(cut)


def _positions(model: keras.Model) -> dict[str, float]:
    return {
        row.name: row.multiply_adds / row.kernel_weights
        for row in summary(model).rows
        if row.multiply_adds
    }


def _of_cut(model: keras.Model, kept: Mapping[str, int]) -> int:
    cut = channels.remove(model, {name: range(count) for name, count in kept.items()})
    return summary(cut).to_dict()[COUNTED["multiply_adds"]]
