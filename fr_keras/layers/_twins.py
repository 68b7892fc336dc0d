"""The table of plain Keras layers and their twins in the DCT domain."""

import keras

from fr_keras.layers._attention import FRMultiHeadAttention
from fr_keras.layers._conv import (
    FRConv1D,
    FRConv1DTranspose,
    FRConv2D,
    FRConv2DTranspose,
    FRConv3D,
    FRConv3DTranspose,
    FRDepthwiseConv1D,
    FRDepthwiseConv2D,
)
from fr_keras.layers._dense import FRDense
from fr_keras.layers._einsum_dense import FREinsumDense
from fr_keras.layers._embedding import FREmbedding
from fr_keras.layers._factored import FactoredKernel
from fr_keras.layers._frequency import FrequencyTwin
from fr_keras.layers._separable import FRSeparableConv1D, FRSeparableConv2D

#: Plain Keras layer -> its twin in the DCT domain. A new layer type is one row here.
TWINS: dict[type[keras.layers.Layer], type[FrequencyTwin]] = {
    keras.layers.Dense: FRDense,
    keras.layers.Conv1D: FRConv1D,
    keras.layers.Conv2D: FRConv2D,
    keras.layers.Conv3D: FRConv3D,
    keras.layers.Conv1DTranspose: FRConv1DTranspose,
    keras.layers.Conv2DTranspose: FRConv2DTranspose,
    keras.layers.Conv3DTranspose: FRConv3DTranspose,
    keras.layers.DepthwiseConv1D: FRDepthwiseConv1D,
    keras.layers.DepthwiseConv2D: FRDepthwiseConv2D,
    keras.layers.SeparableConv1D: FRSeparableConv1D,
    keras.layers.SeparableConv2D: FRSeparableConv2D,
    keras.layers.EinsumDense: FREinsumDense,
    keras.layers.Embedding: FREmbedding,
    keras.layers.MultiHeadAttention: FRMultiHeadAttention,
}


def register_twin(plain: type[keras.layers.Layer], twin: type[FrequencyTwin]) -> None:
    """Makes a twin of your own known: `regularize` takes it for its layer, `bake` goes back.

    A twin is a class that holds the kernel of the plain one as coefficients. For a layer that
    makes its kernel by `self.kernel = self.add_weight(..., name="kernel")` it is
    `fr_keras.layers.FrequencyKernel` joined to the layer; for another name, `w` say, with
    `weight_name = "w"`. Other weights of the layer stay as they are. A layer is converted by its
    very class: a subclass of a registered one is a layer of its own, which stays plain until it
    is registered.

    Args:
        plain: The Keras layer.
        twin: Its twin. To save models and to write archives, register both with Keras too. An
            archive names them by what Keras calls them, and opens where they are registered.

    Raises:
        ValueError: If `plain` is no class of Keras layers, has arguments but no `get_config` that
            returns them, or has another twin; if `twin` is no class of layers that is a
            `FrequencyTwin`, is the twin of another layer, or has the chains of one that computes
            otherwise.

    Example:

    >>> from fr_keras import bake, register_twin, regularize
    >>> from fr_keras.layers import FrequencyKernel
    >>> class Doubled(keras.layers.Dense):
    ...     def call(self, inputs):
    ...         return 2 * super().call(inputs)
    >>> class FRDoubled(FrequencyKernel, Doubled):
    ...     pass
    >>> register_twin(Doubled, FRDoubled)
    >>> model = regularize(keras.Sequential([keras.Input((8,)), Doubled(4)]))
    >>> model.layers[0].truncate(5)
    >>> type(model.layers[0]).__name__, type(bake(model).layers[0]).__name__
    ('FRDoubled', 'Doubled')
    """
    if not _is_layer(plain) or issubclass(plain, FrequencyTwin):
        raise ValueError(f"`plain` must be a class of plain Keras layers. Received: {plain!r}")
    base = keras.layers.Layer
    if plain.get_config is base.get_config and plain.__init__ is not base.__init__:
        raise ValueError(
            "`plain` must have a `get_config` that returns the arguments of its `__init__`: its "
            f"twin is made from them. Received: {plain!r}"
        )
    if not (_is_layer(twin) and issubclass(twin, FrequencyTwin)):
        raise ValueError(
            "`twin` must be a class of Keras layers that is a fr_keras.layers.FrequencyTwin. "
            f"Received: {twin!r}"
        )
    if TWINS.get(plain, twin) is not twin:
        raise ValueError(
            f"`plain` must have one twin, and {plain.__name__} has {TWINS[plain].__name__}: "
            f"register a subclass of it. Received: {plain!r}"
        )
    others = [one for one, its in TWINS.items() if its is twin and one is not plain]
    if others:
        raise ValueError(
            f"`twin` must be the twin of one layer, and {twin.__name__} is that of "
            f"{others[0].__name__}: register a subclass of it. Received: {twin!r}"
        )
    other = [
        one
        for one, its in TWINS.items()
        if issubclass(plain, one) and issubclass(twin, its) and plain.call is not one.call
    ]
    if other and issubclass(twin, FactoredKernel):
        raise ValueError(
            f"`twin` must be a FrequencyKernel, but no FactoredKernel: {plain.__name__} computes "
            f"otherwise than {other[0].__name__}, whose chains {twin.__name__} has. "
            f"Received: {twin!r}"
        )
    TWINS[plain] = twin


def plain_class(twin: type[FrequencyTwin]) -> type[keras.layers.Layer]:
    """Returns the plain layer that a class is the twin of.

    Raises:
        ValueError: If it is not registered.
    """
    for plain, its in TWINS.items():
        if its is twin:
            return plain
    raise ValueError(
        "`model` must have FR layers of which the plain layer is known: call "
        f"fr_keras.register_twin(PlainLayer, {twin.__name__}) first. Received: {twin!r}"
    )


def _is_layer(kind) -> bool:
    return isinstance(kind, type) and issubclass(kind, keras.layers.Layer)
