"""`compact`: cuts the FR layers of a model down to the corners that they keep."""

import keras

from fr_keras.layers import FRBatchNormalization, FrequencyKernel
from fr_keras.models._compiled import carry_compiled
from fr_keras.models.walk import rebuild


def compact(model: keras.Model) -> keras.Model:
    """Returns a copy of `model` that stores only the corner of the coefficients kept now.

    Call it between two fits. Coefficients outside the corner then take no memory and no optimizer
    slots. If the corner is small, the layers compute through it, which takes much less arithmetic.
    The function stays the same. A compiled model comes back compiled, with the same optimizer in
    the same state: slots with the shape of the coefficients are cut in the same way. Continue with
    `fit(..., initial_epoch=...)`.

    Layers with several kernels, such as separable convolutions and attention, are copied whole.

    Args:
        model: A built functional or sequential model with FR layers. It is not changed.

    Raises:
        ValueError: If `model` is unbuilt or subclassed, or holds weights that are not finite; if
            the slots of its optimizer have other shapes than the coefficients, as in Adafactor.

    Example:

    >>> from fr_keras import regularize
    >>> plain = keras.Sequential([keras.Input((8,)), keras.layers.Dense(40)])
    >>> model = regularize(plain)
    >>> model.layers[0].truncate(10)
    >>> tuple(compact(model).layers[0].coefficients.shape)
    (4, 4)
    """

    copy = rebuild(model, to_corner)
    if model.compiled:
        carry_compiled(model, copy, _corner)
    return copy


def _corner(weight: keras.Variable, slot: keras.Variable, new: keras.Variable):
    return slot[tuple(slice(n) for n in new.shape)]


def to_corner(layer: keras.layers.Layer) -> keras.layers.Layer | None:
    """The exchange for `rebuild` that makes a model compact."""
    if type(layer) is keras.layers.BatchNormalization:
        return FRBatchNormalization.from_config(layer.get_config())
    if not isinstance(layer, FrequencyKernel):
        return None
    twin = type(layer).from_config({**layer.get_config(), "stored": layer.corner})
    twin.beginning = keras.initializers.Zeros()
    return twin
