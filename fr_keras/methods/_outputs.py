"""What layers read on representative rows, and the error of their outputs."""

import dataclasses
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
_ROUNDING = 1e-6


@dataclasses.dataclass(frozen=True)
class Statistics:
    """How inputs and outputs of a layer vary; what is `None` would take too much memory.

    Attributes:
        roots: A square root of the covariance of the input channels of each group,
            `(groups, s, s)`. A thousandth of the mean variance is added in all directions, so that
            it can be inverted where channels are constant or rows are few.
        outputs: The covariance of the output channels of each group, `(groups, t, t)`.
    """

    roots: np.ndarray | None
    outputs: np.ndarray | None


def statistics(
    model: keras.Model, layers: Mapping[str, Linear], batches: Sequence
) -> dict[str, Statistics]:
    """Returns how inputs and outputs of layers vary, over rows and positions.

    It is around the mean, if the layer has a bias to take the mean error; else around zero. The
    outputs are those before the activation. A layer whose inputs do not vary is left out. So are
    covariances of more than `LONGEST` channels.
    """
    copies = {name: one.like(one.kernel()) for name, one in layers.items()}
    sums = {name: (_Moments(), _Moments()) for name in layers}

    def see(name: str, tensor) -> None:
        one, inputs = layers[name], ops.cast(tensor, "float32")
        ends = one.channels(ops.convert_to_numpy(inputs)), None
        if one.shape[3] <= LONGEST:
            ends = ends[0], one.outputs(ops.convert_to_numpy(copies[name](inputs)))
        for moments, values in zip(sums[name], ends, strict=True):
            if values is not None and values.shape[-1] <= LONGEST:
                moments.add(values)

    _observe(model, layers, batches, see)
    found = {}
    for name, both in sums.items():
        centred = layers[name].layer.bias is not None
        inputs, outputs = (one.covariance(centred) for one in both)
        if inputs is None or np.all(np.trace(inputs, axis1=1, axis2=2) > 0):
            found[name] = Statistics(None if inputs is None else _roots(inputs), outputs)
    return found


class _Moments:
    """Sums of values `(positions, groups, channels)` and of their products."""

    def __init__(self):
        self._count, self._first, self._second = 0, 0.0, 0.0

    def add(self, values: np.ndarray) -> None:
        grouped = np.moveaxis(values, 1, 0)
        self._count += len(values)
        self._first += values.sum(0, dtype=np.float64)
        self._second += (grouped.swapaxes(1, 2) @ grouped).astype(np.float64)

    def covariance(self, centred: bool) -> np.ndarray | None:
        """The covariance of each group, or the mean products; zero if it is but rounding."""
        if not self._count:
            return None
        mean, products = self._first / self._count, self._second / self._count
        if not centred:
            return products
        found = products - mean[:, :, None] * mean[:, None]
        whole, left = (np.trace(one, axis1=1, axis2=2) for one in (products, found))
        return np.where((left > _ROUNDING * whole)[:, None, None], found, 0.0)


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


def _roots(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, 0)
    roots = np.sqrt(values + _RIDGE * values.mean(-1, keepdims=True))
    return (vectors * roots[:, None]) @ vectors.swapaxes(1, 2)


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
