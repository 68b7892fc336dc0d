"""Checkpoints of `frereg`."""

from collections.abc import Mapping

import keras
import numpy as np

from fr_keras import zigzag
from fr_keras.layers import FrequencyKernel
from fr_keras.models.walk import frequency_layers

# What frereg stores besides the weights: its order and its mask, which follow from the numbers.
_BUFFERS = (".ZMAT", ".IDROP")


def load_frereg(model: keras.Model, state: Mapping[str, np.ndarray]) -> None:
    """Fills an FR model from a checkpoint of the PyTorch package `frereg`.

    Like fr_keras, the package holds orthonormal DCT coefficients, but with the axes in PyTorch's
    order. After loading, each layer keeps the coefficients up to the last one that is not zero.

    The package normalizes with the statistics of each batch, even at inference: set the moving
    statistics of the model with `calibrate_batch_norm`.

    Args:
        model: An FR model, as `regularize` returns it. It does not change if loading fails.
        state: Name -> array, in the order of the layers: kernels of convolutions
            `(out, in, ...)`, of transposed ones `(in, out, ...)`, of linear layers `(out, in)`,
            each followed by the bias if the layer has one. `ZMAT` and `IDROP` are ignored.

    Raises:
        ValueError: If a tensor is missing, left over, not finite, or of the wrong shape.

    Example:

    >>> from fr_keras import regularize, zoo
    >>> model = regularize(zoo.unet((32, 32, 3), filters=4))
    >>> state = {"inc.weight": np.ones((4, 3, 3, 3), "float32")}
    >>> load_frereg(model, state)
    Traceback (most recent call last):
    ...
    ValueError: `state` must hold a tensor for each kernel and bias of the model. Received: none \
for the kernel of layer 'down0_conv2', of shape (3, 3, 4, 4)
    """
    tensors = [(name, array) for name, array in state.items() if not name.endswith(_BUFFERS)]
    found = []
    for layer in frequency_layers(model):
        kernel, name = _next(tensors, layer, "kernel", layer.spectrum_shape)
        bias = None
        if getattr(layer, "bias", None) is not None:
            bias, _ = _next(tensors, layer, "bias", tuple(layer.bias.shape))
        stored = tuple(slice(n) for n in layer.coefficients.shape)
        found.append((layer, kernel[stored], _kept(layer, kernel, name), bias))
    if tensors:
        raise ValueError(
            "`state` must hold a tensor for each kernel and bias of the model and no others. "
            f"Received: others, {[(name, np.shape(array)) for name, array in tensors]}"
        )
    for layer, coefficients, kept, bias in found:
        layer.set_coefficients(coefficients)
        layer.truncate(kept)
        if bias is not None:
            layer.bias.assign(bias)


def _next(tensors: list, layer: FrequencyKernel, what: str, shape: tuple[int, ...]):
    """Takes the next tensor of the state, in Keras' order of the axes, and its name."""
    if not tensors:
        raise ValueError(
            "`state` must hold a tensor for each kernel and bias of the model. Received: none "
            f"for the {what} of layer '{layer.name}', of shape {shape}"
        )
    name, array = tensors.pop(0)
    array = np.asarray(array)
    # PyTorch puts the spatial axes last and the output channels before the input channels.
    axes = (*range(2, array.ndim), 1, 0) if array.ndim > 1 else (0,)
    given = array.transpose(axes)
    if given.shape != shape:
        raise ValueError(
            f"`state['{name}']` must fit the {what} of layer '{layer.name}': shape {shape} in "
            f"Keras' order. Received: {array.shape}, which is {given.shape} in that order."
        )
    if not np.isfinite(given).all():
        raise ValueError(f"`state['{name}']` must be finite. Received: NaN or infinite values")
    return given.astype(np.float32), name


def _kept(layer: FrequencyKernel, spectrum: np.ndarray, name: str) -> int:
    """How many coefficients there are up to the last one that is not zero, in zigzag order."""
    shape, weights = layer.spectrum_shape, layer.axis_weights
    strides = zigzag.key_strides(shape, weights)
    used = np.argwhere(spectrum)
    last = int((used * strides).sum(-1).max()) if len(used) else 0
    kept = 1 + zigzag.count_before(shape, last, weights)
    if kept > layer.kept:
        raise ValueError(
            f"`state['{name}']` must be zero beyond the {layer.kept} coefficients that layer "
            f"'{layer.name}' keeps. Received: {len(used)} that are not zero, the last of them "
            f"number {kept}"
        )
    return kept
