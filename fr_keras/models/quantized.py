"""Quantized layers as ordinary ones."""

import keras

from fr_keras.layers import QuantizedCoefficients, QuantizedKernel, Quantizing
from fr_keras.models.walk import all_layers, rebuild


def unquantized(model: keras.Model) -> keras.Model:
    """Returns a model whose quantized layers are plain and FR layers that hold the levels.

    It computes the same, and is an ordinary model or one that `regularize` made: to be saved in an
    archive, truncated or trained further.

    Args:
        model: A built functional or sequential model. It is not changed.

    Returns:
        A new model, not compiled; `model` itself if no layer is quantized.

    Raises:
        ValueError: If a quantized layer is in `model`, and it holds weights that are not finite.

    Warns if all weights of a kernel have the same level.

    Example:

    >>> from fr_keras.methods import Ternary, quantize_kernels
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    >>> ternary = quantize_kernels(model, Ternary(), exclude=[])
    >>> type(unquantized(ternary).layers[0]).__name__
    'Dense'
    """
    if not any(isinstance(layer, Quantizing) for layer in all_layers(model)):
        return model
    return rebuild(model, _ordinary, lambda layer, plain: layer.fill_plain(plain))


def _ordinary(layer: keras.layers.Layer) -> keras.layers.Layer | None:
    if isinstance(layer, QuantizedCoefficients):
        return layer.frequency_layer()
    return layer.plain() if isinstance(layer, QuantizedKernel) else None
