"""The rules of layer-wise relevance propagation, by the type of the layer.

A rule takes the function of the layer, its inputs and the relevance of its output, and returns the
relevance of each input.
"""

from collections.abc import Callable, Sequence

import keras
from keras import layers, ops

from fr_keras._backends import backend
from fr_keras._keras_internals import OPERATORS

#: Returns the relevance of each input: `rule(forward, inputs, relevance of the output)`.
Rule = Callable[[Callable, Sequence, object], Sequence]


def _passed(layer: keras.Operation) -> Rule:
    """Each number is changed on its own: it keeps its relevance."""
    return lambda forward, inputs, above: [above]


def _moved(layer: keras.Operation) -> Rule:
    """Numbers are moved or chosen: relevance goes back to where each comes from."""

    def rule(forward, inputs, above):
        return backend.pullback(forward, inputs)[1](above)

    return rule


def _shared(layer: keras.Operation) -> Rule:
    """Numbers are added: each gets a share as large as its positive part."""

    def rule(forward, inputs, above):
        return _shares(lambda *xs: forward(*map(ops.relu, xs)), inputs, above)

    return rule


def _enlarged(layer: keras.layers.Layer) -> Rule | None:
    """Interpolation is a sum, unless it is one with negative weights."""
    positive = getattr(layer, "interpolation", "nearest") in ("nearest", "bilinear")
    return _shared(layer) if positive else None


def _kernel(layer: keras.layers.Layer) -> Rule:
    """The z+ rule: each input gets a share as large as its positive contributions.

    Negative relevance stands for an output that the normalization behind scales by a negative
    number; there, the negative contributions count.
    """
    halves = _half(layer, ops.relu), _half(layer, lambda kernel: -ops.relu(-kernel))

    def contributions(up, down):
        return lambda x: up(ops.relu(x)) + down(-ops.relu(-x))

    def rule(forward, inputs, above):
        (found,) = _shares(contributions(*halves), inputs, ops.relu(above))
        if ops.any(above < 0):
            found += _shares(contributions(*reversed(halves)), inputs, ops.relu(-above))[0]
        return [found]

    return rule


def _half(layer: keras.layers.Layer, part: Callable) -> keras.layers.Layer:
    """A copy of a layer with part of the kernel, and with neither bias nor activation."""
    config = {**layer.get_config(), "activation": None}
    config |= {"bias_axes": None} if "bias_axes" in config else {"use_bias": False}
    half = type(layer).from_config(config)
    half.build_from_config(layer.get_build_config())
    half.kernel.assign(part(keras.ops.convert_to_tensor(layer.kernel)))
    return half


def signed(layer: layers.BatchNormalization) -> Rule:
    """A normalization that counts to the kernel before it, to which it tells its sign."""

    def rule(forward, inputs, above):
        if layer.gamma is None:
            return [above]
        shape = [1] * len(above.shape)
        shape[layer.axis] = -1
        sign = ops.sign(keras.ops.convert_to_tensor(layer.gamma))
        return [above * ops.cast(ops.reshape(sign, shape), above.dtype)]

    return rule


def _shares(contributions: Callable, inputs: Sequence, above) -> list:
    """Divides relevance by the contributions of the inputs, a sum of which is given."""
    total, back = backend.pullback(contributions, inputs)
    # The sum is linear in each input where its sign stays, so this is input times weight.
    parts = back(ops.divide_no_nan(above, total))
    return [one * part for one, part in zip(inputs, parts, strict=True)]


#: Layers with a kernel, and neither more nor less.
KERNELS = (
    layers.Dense, layers.EinsumDense, layers.Conv1D, layers.Conv2D, layers.Conv3D,
    layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose,
    layers.DepthwiseConv1D, layers.DepthwiseConv2D,
)  # fmt: skip
_PASSED = (
    layers.Activation, layers.ReLU, layers.LeakyReLU, layers.PReLU, layers.ELU, layers.Softmax,
    layers.BatchNormalization, layers.Normalization, layers.Rescaling, layers.Identity,
    layers.Dropout,
    layers.SpatialDropout1D, layers.SpatialDropout2D, layers.SpatialDropout3D,
    layers.AlphaDropout, layers.GaussianDropout, layers.GaussianNoise,
    layers.ActivityRegularization, OPERATORS["relu"], OPERATORS["relu6"], OPERATORS["softmax"],
)  # fmt: skip
_MOVED = (
    layers.Flatten, layers.Reshape, layers.Permute, layers.RepeatVector, layers.Concatenate,
    layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D,
    layers.Cropping1D, layers.Cropping2D, layers.Cropping3D,
    layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D,
    layers.GlobalMaxPooling1D, layers.GlobalMaxPooling2D, layers.GlobalMaxPooling3D,
    layers.Maximum, layers.Embedding, OPERATORS["reshape"], OPERATORS["transpose"],
    OPERATORS["depth_to_space"], OPERATORS["space_to_depth"],
    OPERATORS["squeeze"], OPERATORS["expand_dims"], OPERATORS["concatenate"],
)  # fmt: skip
_SHARED = (
    layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D,
    layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D, layers.GlobalAveragePooling3D,
    layers.Add, layers.Average, OPERATORS["add"],
)  # fmt: skip

_ENLARGED = (layers.UpSampling1D, layers.UpSampling2D, layers.UpSampling3D)

#: For each type of layer, what makes its rule; that is `None` where the layer has none.
RULES: dict[type, Callable[[keras.Operation], Rule | None]] = {
    **dict.fromkeys(KERNELS, _kernel),
    **dict.fromkeys(_PASSED, _passed),
    **dict.fromkeys(_MOVED, _moved),
    **dict.fromkeys(_SHARED, _shared),
    **dict.fromkeys(_ENLARGED, _enlarged),
}
