"""What normalizations, attention and einsum layers do to channels."""

import string
from collections.abc import Sequence

import numpy as np
from keras import layers

from fr_keras.models.channels._kernels import behind, held
from fr_keras.models.channels._labels import Along, Axes, Hold
from fr_keras.models.channels._trace import Call, Role, Rule, Trace


def _batch_norm(trace: Trace, call: Call) -> Sequence[Axes]:
    layer, axes = call.layer, call.inputs[0]
    axis = layer.axis % len(axes)
    axes = trace.hold(axes, [axis], Hold.FIXED, f"{call.name} averages over them")
    for weight in layer.weights:
        trace.note(layer, weight, 0, Role.SCALES, axes[axis])
    return [axes]


def _layer_norm(trace: Trace, call: Call) -> Sequence[Axes]:
    """Layer and RMS normalization: removing a channel would change all others."""
    layer, axes = call.layer, call.inputs[0]
    over = sorted(int(axis) % len(axes) for axis in np.atleast_1d(layer.axis))
    for place, axis in enumerate(over):
        trace.labels.hold(axes[axis], Hold.STAYS, _NORMALIZES.format(call.name))
        for weight in layer.weights:
            trace.note(layer, weight, place, Role.SCALES, axes[axis])
    return [axes]


def _unit_norm(trace: Trace, call: Call) -> Sequence[Axes]:
    axes = call.inputs[0]
    for axis in np.atleast_1d(call.layer.axis):
        trace.labels.hold(axes[axis], Hold.STAYS, _NORMALIZES.format(call.name))
    return [axes]


def _group_norm(trace: Trace, call: Call) -> Sequence[Axes]:
    layer, axes = call.layer, call.inputs[0]
    axis = layer.axis % len(axes)
    axes = trace.hold(axes, [axis], Hold.FIXED, f"{call.name} averages over them")
    if axes[axis] is None:
        return [axes]
    if layer.groups == len(axes[axis]):  # instance normalization: each channel alone
        trace.length(layer, "groups", None, axes[axis])
    else:
        hold = Hold.STAYS if layer.groups == 1 else Hold.FIXED
        trace.labels.hold(axes[axis], hold, _NORMALIZES.format(call.name))
    for weight in layer.weights:
        trace.note(layer, weight, 0, Role.SCALES, axes[axis])
    return [axes]


_NORMALIZES = "{} normalizes over them, so that each one matters to all"


def _prelu(trace: Trace, call: Call) -> Sequence[Axes]:
    layer, (axes,) = call.layer, call.inputs
    for place, length in enumerate(layer.alpha.shape):
        along = axes[place + 1]
        if along is not None and length == len(along) > 1:
            trace.note(layer, layer.alpha, place, Role.SCALES, along)
    return [axes]


def _einsum_dense(trace: Trace, call: Call) -> Sequence[Axes] | None:
    layer, (axes,) = call.layer, call.inputs
    if not held(layer, "kernel") or layer.equation.endswith("..."):
        return None
    read, kernel, _ = letters(layer.equation, len(axes))
    several = len({*kernel} - {*read}) > 1
    found = einsum(trace, layer, axes, lambda a, n: trace.make(layer, n, a if several else ""))
    if found is None:
        return None
    for place, along in enumerate(found[len(found) - len(layer.partial_output_shape) :]):
        trace.length(layer, "output_shape", place, along)
    return behind(trace, call, found)


def einsum(trace: Trace, layer, axes: Axes, make, within=None) -> Axes | None:
    """Notes the kernel of an einsum layer, and returns the labels of its output.

    Args:
        trace: Where to note it.
        layer: An `EinsumDense`.
        axes: Labels of its input.
        make: Returns the labels of an output axis, from its letter and its length.
        within: The layer in the graph, if that is not `layer`.
    """
    read, kernel, out = letters(layer.equation, len(axes))
    by_letter: dict[str, Along] = dict(zip(read, axes, strict=True))
    lost = [one for one in read if one not in kernel and one not in out]
    if len(set(read)) < len(read) or any(by_letter[one] is not None for one in lost):
        return None
    for place, letter in enumerate(kernel):
        if letter in by_letter:
            role = Role.SCALES if letter in out else Role.READS
            axis = read.index(letter)
            trace.note(layer, layer.kernel, place, role, by_letter[letter], axis, within)
        else:
            by_letter[letter] = make(letter, layer.kernel.shape[place])
            trace.note(layer, layer.kernel, place, Role.MAKES, by_letter[letter], None, within)
    for place, letter in enumerate(_bias_letters(layer, out)):
        trace.note(layer, layer.bias, place, Role.SCALES, by_letter[letter], None, within)
    return tuple(by_letter[letter] for letter in out)


def letters(equation: str, rank: int) -> tuple[str, str, str]:
    """Returns the letters of input, kernel and output, with letters in place of an ellipsis."""
    equation = equation.replace(" ", "")
    inputs, _, out = equation.partition("->")
    read, _, kernel = inputs.partition(",")
    free = [one for one in string.ascii_letters if one not in equation]
    dots = "".join(free[: max(0, rank - len(read.replace("...", "")))])
    return read.replace("...", dots), kernel, out.replace("...", dots)


def _bias_letters(layer: layers.EinsumDense, out: str) -> str:
    return "".join(one for one in out if layer.bias_axes and one in layer.bias_axes)


def _attention(trace: Trace, call: Call) -> Sequence[Axes] | None:
    """Multi-head attention: heads can be removed; what it reads and gives are channels, too."""
    layer, config = call.layer, call.layer.get_config()
    inputs = {name: call.tensors.get(name, []) for name in ("query", "value", "key")}
    inputs["key"] = inputs["key"] or inputs["value"]
    several = len(config["output_shape"] or ()) > 1 or len(call.output_shapes) > 1
    if several or config["use_gate"] or any(len(one) != 1 for one in inputs.values()):
        return None
    dense = {name: getattr(layer, f"{name}_dense") for name in (*inputs, "output")}
    if not all(held(one, "kernel") for one in dense.values()):
        return None
    heads = trace.make(layer, layer.num_heads, "heads")
    for name, (number,) in inputs.items():
        axes = call.inputs[number]
        why = f"{call.name} walks along them"
        axes = trace.hold(axes, [len(axes) - 1], Hold.FIXED, why)
        # A projection gives heads, and the numbers of each head, which stay.
        kinds = iter((heads, None))
        einsum(trace, dense[name], axes, lambda letter, n, kinds=kinds: next(kinds), layer)
    trace.length(layer, "num_heads", None, heads)
    (shape,) = call.output_shapes
    made = trace.make(layer, shape[-1])
    before = (*(None,) * (len(shape) - 1), heads, None)
    einsum(trace, dense["output"], before, lambda letter, n: made, layer)
    trace.length(layer, "output_shape", 0, made)
    return [(*(None,) * (len(shape) - 1), made)]


#: The rules of this module, by the type of the layer.
RULES: dict[type, Rule] = {
    layers.BatchNormalization: _batch_norm,
    layers.LayerNormalization: _layer_norm,
    layers.RMSNormalization: _layer_norm,
    layers.UnitNormalization: _unit_norm,
    layers.GroupNormalization: _group_norm,
    layers.PReLU: _prelu,
    layers.EinsumDense: _einsum_dense,
    layers.MultiHeadAttention: _attention,
}
