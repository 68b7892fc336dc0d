"""What the layers of a model see of its channels while it is computed."""

import contextlib
import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterable

import keras
import numpy as np

from fr_keras.models.channels import Group
from fr_keras.models.observing import replaced


@dataclasses.dataclass(frozen=True, eq=False)
class Reader:
    """A layer that reads channels.

    Attributes:
        name: The name of the layer, as in `summary`.
        layer: The layer itself, or the one inside it that reads.
        axis: The axis of its input that has the channels.
        numbers: The number of the channel at each position of that axis, as `Layout` counts them;
            where there is none, the number behind the last.
    """

    name: str
    layer: keras.layers.Layer
    axis: int
    numbers: np.ndarray

    def along(self, tensor) -> np.ndarray:
        """The number of the channel at each position of the axis of an input."""
        # The kernel of a convolution with groups is as long as one group of its input.
        return np.tile(self.numbers, tensor.shape[self.axis] // len(self.numbers))

    def spread(self, values, tensor):
        """Returns values of channels, `(rows, channels + 1)`, so that they fit to an input."""
        shape = [1] * len(tensor.shape)
        shape[0], shape[self.axis] = -1, tensor.shape[self.axis]
        found = keras.ops.take(values, self.along(tensor), axis=1)
        return keras.ops.cast(keras.ops.reshape(found, shape), tensor.dtype)

    def in_order(self, tensor) -> np.ndarray:
        """Returns the numbers of an input as `(rows, others, positions of channels)`."""
        array = np.moveaxis(keras.ops.convert_to_numpy(tensor), self.axis, -1)
        return array.reshape(len(array), -1, array.shape[-1])


class Layout:
    """The channels of some groups in a row, and the layers that read them.

    Attributes:
        size: How many channels there are.
        readers: The layers that read them, one for each axis that they read.

    Raises:
        ValueError: If no layer reads the channels of a group.
    """

    def __init__(self, groups: Iterable[Group]):
        self._first: dict[str, tuple[int, int]] = {}
        self.size = 0
        groups = list(groups)
        for group in groups:
            self._first[group.name] = self.size, self.size + group.size
            self.size += group.size
        found: dict[tuple[int, int], Reader] = {}
        for group in groups:
            self._read(group, found)
        self.readers = list(found.values())

    def _read(self, group: Group, found: dict) -> None:
        axes = [one for one in group.axes if one.role == "reads"]
        if not axes:
            raise ValueError(
                "`criterion` must be one of weights, such as 'l2', where no layer reads the "
                f"channels of a group. Received: group '{group.name}', which none reads"
            )
        for one in axes:
            nothing = np.full(one.weight.shape[one.axis], self.size)
            reader = Reader(one.layer, one.owner, one.input_axis, nothing)
            reader = found.setdefault((id(one.owner), one.input_axis), reader)
            channels = np.arange(*self._first[group.name])
            reader.numbers[one.positions] = channels[:, None]

    def split(self, values: np.ndarray) -> dict[str, np.ndarray]:
        """Returns values of all channels as one array for each group."""
        return {name: values[slice(*ends)] for name, ends in self._first.items()}

    def sums(self, reader: Reader, values: np.ndarray) -> np.ndarray:
        """Returns values at the positions of an input, summed for each channel."""
        found = np.zeros(self.size + 1, values.dtype)
        np.add.at(found, np.resize(reader.numbers, len(values)), values)
        return found[:-1]


def observing(layout: Layout, see: Callable) -> contextlib.AbstractContextManager[None]:
    """Shows each input of the readers to `see(reader, input)`, which returns what they get.

    Raises, while the model is computed:
        ValueError: If an input is not finite.
    """
    by_layer: dict[keras.layers.Layer, list[Reader]] = {}
    for reader in layout.readers:
        by_layer.setdefault(reader.layer, []).append(reader)

    def wrap(layer, call):
        first = next(iter(inspect.signature(call).parameters))

        @functools.wraps(call)
        def seen(*args, **kwargs):
            tensor, *rest = args or [kwargs.pop(first)]
            for reader in by_layer[layer]:
                _check_finite(reader, tensor)
                tensor = see(reader, tensor)
            return call(tensor, *rest, **kwargs)

        return seen

    return replaced(by_layer, wrap)


def _check_finite(reader: Reader, tensor) -> None:
    if not keras.ops.all(keras.ops.isfinite(tensor)):
        raise ValueError(
            "`data` and `model` must give finite activations. Received: NaN or infinite inputs of "
            f"layer '{reader.name}'"
        )
