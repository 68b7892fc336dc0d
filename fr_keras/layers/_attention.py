"""Multi-head attention in the DCT domain."""

import keras

from fr_keras._keras_internals import inner_layers
from fr_keras.layers._einsum_dense import FREinsumDense
from fr_keras.layers._frequency import FrequencyTwin
from fr_keras.layers._refusal import refusal


@keras.saving.register_keras_serializable(package="fr_keras")
class FRMultiHeadAttention(FrequencyTwin, keras.layers.MultiHeadAttention):
    """`keras.layers.MultiHeadAttention` whose projections are held as truncated coefficients.

    Every `EinsumDense` that Keras builds inside (query, key, value, output, and the gate if there
    is one) becomes an `FREinsumDense` with a name such as `<layer>_query`; `parts()` returns them.

    Takes the same arguments in the same order.

    Shapes:
        As in Keras: query `(batch, target, dim)`, value `(batch, source, dim)`, output
        `(batch, target, dim)`; projection kernels `(dim, heads, key_dim)`.

    Example:

    >>> layer = FRMultiHeadAttention(2, 4)
    >>> x = keras.ops.ones((1, 5, 8))
    >>> layer(x, x).shape
    TensorShape([1, 5, 8])
    >>> [part.name.rpartition("_")[2] for part in layer.parts()]
    ['query', 'key', 'value', 'output']
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        reason = refusal(self)
        if reason is not None:
            raise ValueError(reason)

    def __setattr__(self, name, value):
        # Keras assigns each projection before it builds it: the one chance to replace it.
        if type(value) is keras.layers.EinsumDense:
            config = {**value.get_config(), "name": f"{self.name}_{value.name}"}
            value = FREinsumDense.from_config(config)
        super().__setattr__(name, value)

    def parts(self):
        return [layer for layer in inner_layers(self) if isinstance(layer, FREinsumDense)]

    @classmethod
    def plain_kernels(cls, plain):
        return [projection.kernel for projection in _projections(plain)]

    @classmethod
    def part_names(cls, plain):
        return [f"{plain.name}_{projection.name}" for projection in _projections(plain)]

    def _pairs_with(self, plain):
        return zip(self.parts(), _projections(plain), strict=True)

    def load_plain(self, plain):
        for part, projection in self._pairs_with(plain):
            part.load_plain(projection)

    def fill_plain(self, plain):
        for part, projection in self._pairs_with(plain):
            part.fill_plain(projection)


def _projections(plain: keras.layers.MultiHeadAttention) -> list[keras.layers.EinsumDense]:
    return [layer for layer in inner_layers(plain) if type(layer) is keras.layers.EinsumDense]
