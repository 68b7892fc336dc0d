"""FR layers whose coefficients take few values, by the quantizer of the layer."""

import functools

import keras
import numpy as np
from keras import ops

from fr_keras import zigzag
from fr_keras._backends import assign_copy
from fr_keras.layers._frequency import FrequencyKernel
from fr_keras.layers._quantizer import Alike, Quantizing
from fr_keras.layers._truncated import WHOLE
from fr_keras.layers._twins import TWINS

_MOST_BANDS = 16
# A band of fewer numbers would not tell its own size.
_LEAST_IN_A_BAND = 64


class Bands(Alike):
    """Neighbours in zigzag order: parts of about the same length of the kept coefficients.

    Args:
        length: How many coefficients a layer can keep.
        kept: How many it keeps now, as a tensor.
    """

    def __init__(self, length: int, kept):
        self._number = max(1, min(_MOST_BANDS, length // _LEAST_IN_A_BAND))
        places = np.arange(length)
        self._kept = ops.less(places, kept)
        band = ops.floor_divide(places * self._number, ops.maximum(kept, 1))
        self._band = ops.cast(ops.minimum(band, self._number - 1), "int32")

    def totals(self, values):
        return ops.segment_sum(self.counted(values), self._band, self._number)

    def spread(self, of_groups):
        return ops.take(of_groups, self._band)

    def counted(self, values):
        return ops.where(self._kept, values, 0.0)


class QuantizedCoefficients(Quantizing, FrequencyKernel):
    """Computes with quantized coefficients, and trains the coefficients themselves.

    `fr_keras.bake` gives the plain layer, and `models.quantized.unquantized` the FR layer, whose
    coefficients are the quantized ones.

    Args:
        *args: The arguments of the plain layer, in the same order.
        quantizer: The quantizer. It must give the same levels in training.
        **kwargs: The keyword arguments of the FR layer.

    Raises:
        ValueError: As for FR layers.
    """

    #: The class of the FR layer.
    frequency_type: type[FrequencyKernel]
    kernel_names = ("coefficients",)

    def exact_kernel(self, name: str) -> keras.Variable:
        """Returns the coefficients before they are quantized."""
        return getattr(self, name)

    def numbers_of(self, name: str) -> tuple:
        """Returns the coefficients that the layer can keep, in zigzag order, and their bands."""
        shape = tuple(self.coefficients.shape)
        order = _order(self.spectrum_shape, shape, self.axis_weights)
        values = ops.take(ops.reshape(self._masked(self.coefficients), (-1,)), order)
        kept = ops.sum(ops.cast(ops.take(ops.reshape(self._mask(), (-1,)), order), WHOLE))
        return values, Bands(len(order), kept)

    def quantized(self, name):
        state = {key: ops.convert_to_tensor(one) for key, one in self.state_of(name).items()}
        return self.quantizer(super()._used_coefficients(), state, False)

    def _used_coefficients(self):
        return self.quantized(*self.kernel_names)

    def kept_coefficients(self) -> np.ndarray:
        """Returns the quantized coefficients, with zeros for those not in use."""
        return ops.convert_to_numpy(self._used_coefficients())

    def own_weights(self) -> list[keras.Variable]:
        """Returns the weights that the FR layer has, in the same order."""
        states = {*map(id, self.states())}
        return [weight for weight in self.weights if id(weight) not in states]

    def frequency_layer(self) -> FrequencyKernel:
        """Returns the FR layer, not built."""
        config = self.get_config()
        del config["quantizer"]
        return self.frequency_type.from_config(config)

    def load_frequency(self, layer: FrequencyKernel) -> None:
        """Takes the weights of the FR layer, and begins the quantizer anew."""
        for own, its in zip(self.own_weights(), layer.weights, strict=True):
            assign_copy(own, its)
        self._begin_coefficients()

    def fill_frequency(self, layer: FrequencyKernel) -> None:
        """Writes the quantized coefficients and the other weights to the FR layer."""
        for own, its in zip(self.own_weights(), layer.weights, strict=True):
            assign_copy(its, own)
        layer.set_coefficients(self.kept_coefficients())

    def load_plain(self, plain: keras.layers.Layer) -> None:
        super().load_plain(plain)
        self._begin_coefficients()

    def held(self):
        return [*super().held(), *self.states()]

    def _begin_coefficients(self) -> None:
        (name,) = self.kernel_names
        values, _ = self.numbers_of(name)
        self.begin(name, ops.convert_to_numpy(values)[: self.kept])


@functools.lru_cache(maxsize=256)
def _order(shape: tuple[int, ...], box: tuple[int, ...], weights: tuple[float, ...] | None):
    """The flat places of the coefficients that a layer can keep, in zigzag order."""
    order = zigzag.order_within(shape, box, weights)
    return order[: zigzag.count_within(shape, box, weights)].astype(np.int32)


def _quantized(kind: type[FrequencyKernel]) -> type[QuantizedCoefficients]:
    name = f"Quantized{kind.__name__}"
    doc = f"`fr_keras.layers.{kind.__name__}` that computes with quantized coefficients."
    of = {"frequency_type": kind, "__doc__": doc, "__module__": __name__}
    register = keras.saving.register_keras_serializable(package="fr_keras")
    return register(type(name, (QuantizedCoefficients, kind), of))


#: FR layer -> the one that computes with quantized coefficients.
QUANTIZED_TWINS: dict[type[FrequencyKernel], type[QuantizedCoefficients]] = {
    kind: _quantized(kind) for kind in TWINS.values() if issubclass(kind, FrequencyKernel)
}
