"""What operators of `keras.ops` do to channels."""

from collections.abc import Sequence

import numpy as np

from fr_keras._keras_internals import OPERATORS
from fr_keras.models.channels._labels import Axes, Hold, reshaped
from fr_keras.models.channels._moves import (
    concatenated,
    elementwise,
    mixed,
    on_channels,
    together,
    with_channels,
)
from fr_keras.models.channels._trace import Call, Rule, Trace


def _arithmetic(trace: Trace, call: Call) -> Sequence[Axes] | None:
    """Two tensors, or a tensor and one number."""
    constants = [one for name, one in call.arguments.items() if not call.tensors[name]]
    if any(np.ndim(one) for one in constants):
        return None
    return [together(trace, call, call.inputs, call.shapes)]


def _clip(trace: Trace, call: Call) -> Sequence[Axes] | None:
    limits = call.layer.x_min, call.layer.x_max
    return None if any(np.ndim(one) for one in limits) else call.inputs


def _reshape(trace: Trace, call: Call) -> Sequence[Axes]:
    (axes,), (shape,), (after,) = call.inputs, call.shapes, call.output_shapes
    found = reshaped(trace.labels, axes, shape, after, f"{call.name} mixes them")
    for axis, along in enumerate(found):
        trace.length(call.layer, "newshape", axis, along)
    return [found]


def _transpose(trace: Trace, call: Call) -> Sequence[Axes]:
    (axes,) = call.inputs
    order = call.layer.axes or reversed(range(len(axes)))
    return [tuple(axes[axis] for axis in order)]


def _squeeze(trace: Trace, call: Call) -> Sequence[Axes]:
    (axes,), (shape,), axis = call.inputs, call.shapes, call.layer.axis
    gone = [i for i, n in enumerate(shape) if n == 1] if axis is None else np.atleast_1d(axis)
    gone = {int(one) % len(axes) for one in gone}
    rest = [one for one in range(len(axes)) if one not in gone]
    held = trace.hold(axes, rest, Hold.FIXED, f"{call.name} takes their axis away")
    return [tuple(held[one] for one in rest)]


def _expand(trace: Trace, call: Call) -> Sequence[Axes]:
    (axes,), (shape,) = call.inputs, call.output_shapes
    new = {int(one) % len(shape) for one in np.atleast_1d(call.layer.axis)}
    rest = iter(axes)
    return [tuple(None if axis in new else next(rest) for axis in range(len(shape)))]


def _reduce(trace: Trace, call: Call) -> Sequence[Axes]:
    (axes,), axis = call.inputs, call.layer.axis
    over = range(len(axes)) if axis is None else np.atleast_1d(axis)
    over = {int(one) % len(axes) for one in over}
    rest = [one for one in range(len(axes)) if one not in over]
    held = trace.hold(axes, rest, Hold.FIXED, f"{call.name} mixes them")
    return [held if call.layer.keepdims else tuple(held[one] for one in rest)]


def _depth_to_space(trace: Trace, call: Call) -> Sequence[Axes]:
    """Channels of the same place in each block of the depth become one."""
    axes, channels = on_channels(trace, call)
    if axes[channels] is None:
        return [axes]
    blocks = axes[channels].reshape(call.layer.block_size**2, -1)
    for block in blocks[1:]:
        trace.labels.unite(blocks[0], block, f"{call.name} joins them with channels that stay")
    return [with_channels(axes, channels, blocks[0])]


def _space_to_depth(trace: Trace, call: Call) -> Sequence[Axes]:
    axes, channels = on_channels(trace, call)
    if axes[channels] is None:
        return [axes]
    deep = np.tile(axes[channels], call.layer.block_size**2)
    return [with_channels(axes, channels, deep)]


_ELEMENTWISE = (
    "absolute", "cast", "elu", "exp", "gelu", "hard_sigmoid", "hard_silu", "leaky_relu", "negative",
    "relu", "relu6", "sigmoid", "silu", "softplus", "sqrt", "square", "tanh",
)  # fmt: skip
_ARITHMETIC = (
    "add", "divide", "maximum", "minimum", "multiply", "power", "subtract", "true_divide",
)  # fmt: skip
_BY_NAME: dict[str, Rule] = {
    **dict.fromkeys(_ELEMENTWISE, elementwise),
    **dict.fromkeys(_ARITHMETIC, _arithmetic),
    **dict.fromkeys(("max", "mean", "sum"), _reduce),
    "clip": _clip,
    "concatenate": concatenated,
    "depth_to_space": _depth_to_space,
    "expand_dims": _expand,
    "reshape": _reshape,
    "softmax": mixed,
    "space_to_depth": _space_to_depth,
    "squeeze": _squeeze,
    "transpose": _transpose,
}

#: The rules of this module, by the type of the operator.
RULES: dict[type, Rule] = {OPERATORS[name]: rule for name, rule in _BY_NAME.items()}
