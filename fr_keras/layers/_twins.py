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

#: Plain Keras layer -> its twin in the DCT domain. A new layer type is a new row here.
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
    """Registers an FR layer of your own, so that `regularize` converts to it and `bake` back.

    A twin is a class that holds the kernel of a plain layer as coefficients. If the layer creates
    its kernel with `self.kernel = self.add_weight(..., name="kernel")`, the twin is a class that
    inherits from `fr_keras.layers.FrequencyKernel` and from the layer. If the weight has another
    name, such as `w`, the twin also sets `weight_name = "w"`. Other weights of the layer stay as
    they are. Only layers of exactly the registered class are converted: a subclass stays plain
    until it is registered too.

    Args:
        plain: The class of the Keras layer.
        twin: The class of its twin. To save models and to write archives, also register both
            classes with Keras. An archive holds the names under which Keras knows them, and opens
            only where they are registered.

    Raises:
        ValueError: If `plain` is not a class of Keras layers, has arguments but no `get_config`
            that returns them, or has another twin; if `twin` is not a class of layers that is a
            `FrequencyTwin`, is the twin of another layer, or has the chains of a layer that
            computes something else.

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
            f"`plain` must have only one twin, and {plain.__name__} already has "
            f"{TWINS[plain].__name__}: register a subclass of {plain.__name__} instead. "
            f"Received: {plain!r}"
        )
    others = [one for one, its in TWINS.items() if its is twin and one is not plain]
    if others:
        raise ValueError(
            f"`twin` must be the twin of only one layer, and {twin.__name__} already is the twin "
            f"of {others[0].__name__}: register a subclass of {twin.__name__} instead. "
            f"Received: {twin!r}"
        )
    other = [
        one
        for one, its in TWINS.items()
        if issubclass(plain, one) and issubclass(twin, its) and plain.call is not one.call
    ]
    if other and issubclass(twin, FactoredKernel):
        raise ValueError(
            f"`twin` must be a FrequencyKernel but not a FactoredKernel: {plain.__name__} does not "
            f"compute the same as {other[0].__name__}, whose chains {twin.__name__} has. "
            f"Received: {twin!r}"
        )
    TWINS[plain] = twin


def plain_class(twin: type[FrequencyTwin]) -> type[keras.layers.Layer]:
    """Returns the class of the plain layer whose twin a class is.

    Raises:
        ValueError: If the twin is not registered.
    """
    kind = getattr(twin, "frequency_type", twin)
    for plain, its in TWINS.items():
        if its is kind:
            return plain
    raise ValueError(
        "`model` must have only FR layers whose plain layer is known: call "
        f"fr_keras.register_twin(PlainLayer, {twin.__name__}) first. Received: {twin!r}"
    )


def _is_layer(kind) -> bool:
    return isinstance(kind, type) and issubclass(kind, keras.layers.Layer)
