"""What layers without weights do to channels."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import activations, layers

from fr_keras.models.channels._labels import NOTHING, Along, Axes, Hold, reshaped
from fr_keras.models.channels._trace import Call, Rule, Trace

#: Activations of each number on its own. Softmax is another case: it mixes channels.
POINTWISE = {
    activations.get(name)
    for name in (
        "linear", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish",
        "sigmoid", "hard_sigmoid", "log_sigmoid", "tanh", "hard_tanh", "tanh_shrink", "softplus",
        "softsign", "exponential", "hard_silu", "hard_shrink", "soft_shrink", "squareplus",
        "sparse_plus", "sparse_sigmoid", "threshold",
    )
}  # fmt: skip
_MIXING = {activations.softmax, activations.log_softmax, activations.sparsemax}


def channel_axis(layer: keras.Operation, rank: int) -> int:
    """Returns the axis of channels of a layer with a data format."""
    return 1 if getattr(layer, "data_format", None) == "channels_first" else rank - 1


def activated(trace: Trace, call: Call, axes: Axes) -> Axes | None:
    """Returns the labels behind a layer's activation; `None` if that is not known."""
    function = call.layer.activation
    if type(function) in ELEMENTWISE or function is None or function in POINTWISE:
        return axes
    if function not in _MIXING:
        return None
    trace.labels.hold(axes[-1], Hold.STAYS, f"{call.name} mixes them")
    return axes


def elementwise(trace: Trace, call: Call) -> Sequence[Axes]:
    return call.inputs


def _activation(trace: Trace, call: Call) -> Sequence[Axes] | None:
    axes = activated(trace, call, call.inputs[0])
    return None if axes is None else [axes]


def mixed(trace: Trace, call: Call) -> Sequence[Axes]:
    """A softmax: each channel changes the others."""
    (axes,) = call.inputs
    for axis in np.atleast_1d(call.layer.axis):
        trace.labels.hold(axes[axis], Hold.STAYS, f"{call.name} mixes them")
    return [axes]


def _rescaling(trace: Trace, call: Call) -> Sequence[Axes] | None:
    one_for_all = np.ndim(call.layer.scale) == np.ndim(call.layer.offset) == 0
    return call.inputs if one_for_all else None


def _spatial(trace: Trace, call: Call) -> Sequence[Axes]:
    """Pooling, padding, cropping and up-sampling: channels stay apart."""
    return [on_channels(trace, call)[0]]


def on_channels(trace: Trace, call: Call) -> tuple[Axes, int]:
    """Returns the labels that a layer with a data format does not mix, and their axis."""
    (axes,) = call.inputs
    channels = channel_axis(call.layer, len(axes))
    return trace.hold(axes, [channels], Hold.FIXED, f"{call.name} works along their axis"), channels


def with_channels(axes: Axes, channels: int, along: Along) -> Axes:
    """Returns labels with others on the axis of channels."""
    return (*axes[:channels], along, *axes[channels + 1 :])


def _global_pool(trace: Trace, call: Call) -> Sequence[Axes]:
    (axes,) = _spatial(trace, call)
    if call.layer.keepdims:
        return [axes]
    return [(None, axes[channel_axis(call.layer, len(axes))])]


def merged(trace: Trace, call: Call) -> Sequence[Axes]:
    """Addition and its like, of tensors of the same shape or with axes of length 1."""
    return [together(trace, call, call.inputs, call.shapes)]


def together(trace: Trace, call: Call, inputs: Sequence[Axes], shapes) -> Axes:
    """Returns the labels of tensors that are joined number by number, with broadcasting."""
    rank = max(map(len, inputs))
    found: list[Along] = []
    for axis in range(-rank, 0):
        parts = [(a[axis], s[axis]) for a, s in zip(inputs, shapes, strict=True) if len(a) >= -axis]
        length = max((n for _, n in parts if n is not None), default=None)
        whole = [along for along, n in parts if n == length]
        for along, n in parts:
            if n != length:
                trace.labels.hold(along, Hold.FIXED, f"{call.name} repeats them")
        for along in whole[1:]:
            trace.labels.unite(whole[0], along, f"{call.name} joins them with channels that stay")
        found.append(None if any(one is None for one in whole) else whole[0])
    return tuple(found)


def concatenated(trace: Trace, call: Call) -> Sequence[Axes]:
    """Tensors side by side on one axis."""
    axis = call.layer.axis % len(call.inputs[0])
    rest = [(*axes[:axis], None, *axes[axis + 1 :]) for axes in call.inputs]
    found = together(trace, call, rest, call.shapes)
    lengths = [shape[axis] for shape in call.shapes]
    along = [axes[axis] for axes in call.inputs]
    if None in lengths or all(one is None for one in along):
        for one in along:
            trace.labels.hold(one, Hold.FIXED, f"{call.name} puts them beside an unknown number")
        return [found]
    parts = [
        np.full(n, NOTHING) if one is None else one for one, n in zip(along, lengths, strict=True)
    ]
    return [(*found[:axis], np.concatenate(parts), *found[axis + 1 :])]


def _flatten(trace: Trace, call: Call) -> Sequence[Axes]:
    (axes,), (shape,) = call.inputs, call.shapes
    if call.layer.data_format == "channels_first" and len(axes) > 1:
        axes, shape = (axes[0], *axes[2:], axes[1]), (shape[0], *shape[2:], shape[1])
    if len(axes) == 1:
        return [(*axes, None)]
    return [reshaped(trace.labels, axes, shape, call.output_shapes[0], f"{call.name} mixes them")]


def _reshape(trace: Trace, call: Call) -> Sequence[Axes]:
    (axes,), (shape,), (after,) = call.inputs, call.shapes, call.output_shapes
    found = reshaped(trace.labels, axes, shape, after, f"{call.name} mixes them")
    for axis, along in enumerate(found[1:]):
        trace.length(call.layer, "target_shape", axis, along)
    return [found]


def _permute(trace: Trace, call: Call) -> Sequence[Axes]:
    (axes,) = call.inputs
    return [(axes[0], *(axes[axis] for axis in call.layer.dims))]


def _repeat(trace: Trace, call: Call) -> Sequence[Axes]:
    (axes,) = call.inputs
    return [(axes[0], None, axes[1])]


_SPATIAL = (
    layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D,
    layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D,
    layers.AdaptiveMaxPooling1D, layers.AdaptiveMaxPooling2D, layers.AdaptiveMaxPooling3D,
    layers.AdaptiveAveragePooling1D, layers.AdaptiveAveragePooling2D,
    layers.AdaptiveAveragePooling3D,
    layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D,
    layers.Cropping1D, layers.Cropping2D, layers.Cropping3D,
    layers.UpSampling1D, layers.UpSampling2D, layers.UpSampling3D,
)  # fmt: skip
_GLOBAL = (
    layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D, layers.GlobalAveragePooling3D,
    layers.GlobalMaxPooling1D, layers.GlobalMaxPooling2D, layers.GlobalMaxPooling3D,
)  # fmt: skip
#: Layers that change each number on its own.
ELEMENTWISE = (
    layers.ReLU, layers.LeakyReLU, layers.ELU, layers.Identity, layers.Dropout,
    layers.SpatialDropout1D, layers.SpatialDropout2D, layers.SpatialDropout3D,
    layers.AlphaDropout, layers.GaussianDropout, layers.GaussianNoise,
    layers.ActivityRegularization,
)  # fmt: skip
_MERGES = (
    layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum,
)  # fmt: skip

#: The rules of this module, by the type of the layer.
RULES: dict[type, Rule] = {
    **dict.fromkeys(_SPATIAL, _spatial),
    **dict.fromkeys(_GLOBAL, _global_pool),
    **dict.fromkeys(ELEMENTWISE, elementwise),
    **dict.fromkeys(_MERGES, merged),
    layers.Activation: _activation,
    layers.Softmax: mixed,
    layers.Rescaling: _rescaling,
    layers.Concatenate: concatenated,
    layers.Flatten: _flatten,
    layers.Reshape: _reshape,
    layers.Permute: _permute,
    layers.RepeatVector: _repeat,
}
