"""What layers with weights do to channels."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers

from fr_keras.models.channels._labels import NOTHING, Along, Axes, Hold
from fr_keras.models.channels._moves import activated, on_channels, with_channels
from fr_keras.models.channels._trace import Call, Role, Rule, Trace


def _dense(trace: Trace, call: Call) -> Sequence[Axes] | None:
    layer, (axes,) = call.layer, call.inputs
    if not held(layer, "kernel"):
        return None
    trace.note(layer, layer.kernel, 0, Role.READS, axes[-1], -1)
    made = trace.make(layer, layer.units)
    _outputs(trace, layer, layer.kernel, 1, made, "units")
    return behind(trace, call, (*axes[:-1], made))


def _embedding(trace: Trace, call: Call) -> Sequence[Axes] | None:
    layer, (axes,) = call.layer, call.inputs
    if not held(layer, "embeddings"):
        return None
    made = trace.make(layer, layer.output_dim)
    trace.note(layer, layer.embeddings, 1, Role.MAKES, made)
    trace.length(layer, "output_dim", None, made)
    return [(*(None for _ in axes), made)]


def _conv(trace: Trace, call: Call) -> Sequence[Axes] | None:
    layer = call.layer
    if not held(layer, "kernel"):
        return None
    axes, channels = on_channels(trace, call)
    made = trace.make(layer, layer.filters)
    if layer.groups == 1:
        trace.note(layer, layer.kernel, -2, Role.READS, axes[channels], channels)
    else:
        _grouped(trace, call, axes[channels], made, channels)
    _outputs(trace, layer, layer.kernel, -1, made, "filters")
    return behind(trace, call, with_channels(axes, channels, made))


def _grouped(trace: Trace, call: Call, read: Along, made: np.ndarray, channels: int) -> None:
    """Couples the channels of a grouped convolution.

    Either whole groups are one piece, with their inputs and outputs; or the channels at one place
    of every group are. The finer of the two is chosen; the latter where the inputs stay.
    """
    layer, why = call.layer, f"{call.name} has groups with channels that stay"
    groups, width = layer.groups, layer.kernel.shape[-2]
    outputs = made.reshape(groups, -1)
    inputs = np.full((groups, width), NOTHING) if read is None else read.reshape(groups, width)
    if read is None or groups < min(width, outputs.shape[1]):
        for part in outputs[1:]:
            trace.labels.unite(outputs[0], part, why)
        for part in inputs[1:]:
            trace.labels.unite(inputs[0], part, why)
        along = None if read is None else inputs[0]
        trace.note(layer, layer.kernel, -2, Role.READS, along, channels)
        return
    for part in (inputs[:, 1:], outputs):
        for column in part.T:
            trace.labels.unite(inputs[:, 0], column, why)
    trace.length(layer, "groups", None, inputs[:, 0])


def _conv_transpose(trace: Trace, call: Call) -> Sequence[Axes] | None:
    layer = call.layer
    if not held(layer, "kernel"):
        return None
    axes, channels = on_channels(trace, call)
    made = trace.make(layer, layer.filters)
    trace.note(layer, layer.kernel, -1, Role.READS, axes[channels], channels)
    _outputs(trace, layer, layer.kernel, -2, made, "filters")
    return behind(trace, call, with_channels(axes, channels, made))


def _depthwise(trace: Trace, call: Call) -> Sequence[Axes] | None:
    layer = call.layer
    if not held(layer, "kernel"):
        return None
    axes, channels = on_channels(trace, call)
    read = axes[channels]
    trace.note(layer, layer.kernel, -2, Role.SCALES, read)
    passed = None if read is None else np.repeat(read, layer.depth_multiplier)
    trace.note(layer, layer.bias, 0, Role.SCALES, passed)
    return behind(trace, call, with_channels(axes, channels, passed))


def _separable(trace: Trace, call: Call) -> Sequence[Axes] | None:
    layer = call.layer
    if not (held(layer, "depthwise_kernel") and held(layer, "pointwise_kernel")):
        return None
    axes, channels = on_channels(trace, call)
    read, made = axes[channels], trace.make(layer, layer.filters)
    trace.note(layer, layer.depthwise_kernel, -2, Role.READS, read, channels)
    passed = None if read is None else np.repeat(read, layer.depth_multiplier)
    trace.note(layer, layer.pointwise_kernel, -2, Role.SCALES, passed)
    _outputs(trace, layer, layer.pointwise_kernel, -1, made, "filters")
    return behind(trace, call, with_channels(axes, channels, made))


def _recurrent(trace: Trace, call: Call) -> Sequence[Axes] | None:
    """Reads channels; what it makes stays, for its units are tied to their own past."""
    axes, *states = call.inputs
    if states or not held(call.layer.cell, "kernel"):
        return None
    axes = trace.hold(axes, [2], Hold.FIXED, f"{call.name} walks along them")
    trace.note(call.layer, call.layer.cell.kernel, 0, Role.READS, axes[2], 2)
    return [(None,) * len(shape) for shape in call.output_shapes]


def held(layer: keras.layers.Layer, name: str) -> bool:
    """Whether an attribute is a weight of real numbers, and not computed, as with LoRA."""
    weight = next((one for one in layer.weights if one is getattr(layer, name)), None)
    return weight is not None and "float" in weight.dtype


def _outputs(trace: Trace, layer, kernel, axis: int, made: np.ndarray, key: str) -> None:
    """Notes the output axis of a kernel, the bias, and the number in the config."""
    trace.note(layer, kernel, axis, Role.MAKES, made)
    trace.note(layer, layer.bias, 0, Role.SCALES, made)
    trace.length(layer, key, None, made)


def behind(trace: Trace, call: Call, axes: Axes) -> Sequence[Axes] | None:
    """The outputs of a layer with an activation."""
    found = activated(trace, call, axes)
    if found is None:
        trace.hold(axes, [], Hold.FIXED, f"{call.name} has an activation that is not known")
        found = (None,) * len(axes)
    return [found]


_CONV = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
_TRANSPOSE = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)

#: The rules of this module, by the type of the layer.
RULES: dict[type, Rule] = {
    layers.Dense: _dense,
    layers.Embedding: _embedding,
    **dict.fromkeys(_CONV, _conv),
    **dict.fromkeys(_TRANSPOSE, _conv_transpose),
    **dict.fromkeys((layers.DepthwiseConv1D, layers.DepthwiseConv2D), _depthwise),
    **dict.fromkeys((layers.SeparableConv1D, layers.SeparableConv2D), _separable),
    **dict.fromkeys((layers.SimpleRNN, layers.GRU, layers.LSTM), _recurrent),
}
