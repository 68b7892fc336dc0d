"""What layers read on representative rows, and the error of their outputs."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence

import keras
import numpy as np
from keras import ops

from fr_keras.methods._linear import Linear
from fr_keras.methods._tucker2 import LONGEST
from fr_keras.models.observing import replaced

_RIDGE = 1e-3


def input_roots(
    model: keras.Model, layers: Mapping[str, Linear], batches: Sequence
) -> dict[str, list[np.ndarray]]:
    """Returns a square root of the covariance of each layer's input channels, for each group.

    The error of the outputs is that of the kernel between the inputs' directions, each weighed by
    how much the inputs vary along it: `|root @ (K - K')|^2` is the mean squared error of an output
    for a matrix `K`, and for a convolution if its positions were not correlated. Around the mean,
    if the layer has a bias to take the mean error; else around zero.

    A thousandth of the mean variance is added in all directions, so that the root can be inverted
    where channels are constant or rows are few. A layer whose inputs do not vary is left out, and
    one with more than `LONGEST` input channels, whose covariance would take too much memory.
    """
    sums: dict[str, list] = {}

    def see(name: str, tensor) -> None:
        x = layers[name].channels(ops.convert_to_numpy(ops.cast(tensor, "float32")))
        grouped = np.moveaxis(x, 1, 0)
        squares = (grouped.swapaxes(1, 2) @ grouped).astype(np.float64)
        total = sums.setdefault(name, [0, 0.0, 0.0])
        for place, part in enumerate((len(x), x.sum(0, dtype=np.float64), squares)):
            total[place] += part

    small = {name: one for name, one in layers.items() if one.shape[2] <= LONGEST}
    _observe(model, small, batches, see)
    found = {}
    for name, (count, first, second) in sums.items():
        mean = first / count
        centred = layers[name].layer.bias is not None
        covariance = second / count - (mean[:, :, None] * mean[:, None] if centred else 0)
        if np.all(np.trace(covariance, axis1=1, axis2=2) > 1e-6 * np.square(mean).sum(1)):
            found[name] = [_root(one) for one in covariance]
    return found


def output_errors(
    model: keras.Model,
    layers: Mapping[str, Linear],
    differences: Mapping[str, Sequence[np.ndarray]],
    batches: Sequence,
) -> dict[str, list[tuple[float, np.ndarray | None]]]:
    """Returns the errors of layers' outputs, before the activation, for other kernels.

    Args:
        model: The model.
        layers: The layers by name.
        differences: What each of some kernels lacks of the layer's own one, `(groups, k, s, t)`.
        batches: The inputs of the model.

    Returns:
        For each kernel the sum of squared errors after the bias has taken the mean error, and that
        mean error, in the shape of the bias; without a bias, all errors, and `None`.
    """
    copies = {n: [layers[n].like(one) for one in found] for n, found in differences.items()}
    totals = {name: [_Error(layers[name].layer) for _ in found] for name, found in copies.items()}

    def see(name: str, tensor) -> None:
        inputs = ops.cast(tensor, "float32")
        for copy, total in zip(copies[name], totals[name], strict=True):
            total.add(ops.convert_to_numpy(copy(inputs)))

    _observe(model, {name: layers[name] for name in copies}, batches, see)
    return {name: [one.result() for one in found] for name, found in totals.items()}


class _Error:
    """The squared errors of a layer's outputs, and their mean for each number of the bias."""

    def __init__(self, layer: keras.layers.Layer):
        self._layer = layer
        self._squares, self._sums, self._count = 0.0, 0.0, 0

    def add(self, error: np.ndarray) -> None:
        self._squares += np.square(error, dtype=np.float64).sum()
        if self._layer.bias is None:
            return
        if getattr(self._layer, "data_format", None) == "channels_first":
            error = np.moveaxis(error, 1, -1)
        # The bias is added along the last axes, and along those of length 1 to every number.
        shape = tuple(self._layer.bias.shape)
        ends = (1,) * (error.ndim - len(shape)) + shape
        axes = tuple(axis for axis, length in enumerate(ends) if length == 1)
        self._sums += error.sum(axes, dtype=np.float64).reshape(shape)
        self._count += error.size // np.prod(shape)

    def result(self) -> tuple[float, np.ndarray | None]:
        if self._layer.bias is None:
            return float(self._squares), None
        mean = self._sums / max(self._count, 1)
        return float(self._squares - self._count * np.square(mean).sum()), mean


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, 0)
    return (vectors * np.sqrt(values + _RIDGE * values.mean())) @ vectors.T


def _observe(
    model: keras.Model,
    layers: Mapping[str, Linear],
    batches: Sequence,
    see: Callable[[str, object], None],
) -> None:
    """Shows each input of some layers to `see(name, input)`."""
    names = {id(one.layer): name for name, one in layers.items()}

    def wrap(layer, call):
        first = next(iter(inspect.signature(call).parameters))

        @functools.wraps(call)
        def seen(*args, **kwargs):
            tensor = args[0] if args else kwargs[first]
            if not ops.all(ops.isfinite(tensor)):
                raise ValueError(
                    "`data` and `model` must give finite activations. Received: NaN or infinite "
                    f"inputs of layer '{names[id(layer)]}'"
                )
            see(names[id(layer)], tensor)
            return call(*args, **kwargs)

        return seen

    with replaced([one.layer for one in layers.values()], wrap):
        for inputs, _ in batches:
            model(inputs, training=False)
