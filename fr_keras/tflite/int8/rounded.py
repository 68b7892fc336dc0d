"""Layers that compute in float, with activations and kernels rounded as in int8."""

import keras
from keras import ops

from fr_keras.layers import TransformedKernel, straight_through
from fr_keras.models.joins import FORWARD, TRANSPOSED

_LEVELS = 255


@keras.saving.register_keras_serializable(package="fr_keras")
class FakeQuantize(keras.layers.Layer):
    """Rounds its input to the 256 values that int8 has for a range; 0 is one of them.

    The gradient ignores the rounding where the input is in the range.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`.

    Shapes:
        Input and output have the same shape, which may be any.

    Example:

    >>> layer = FakeQuantize()
    >>> layer.set_range(0.0, 25.5)
    >>> layer(keras.ops.array([0.06, 30.0])).numpy().round(3)
    array([ 0.1, 25.5], dtype=float32)

    Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient
    Integer-Arithmetic-Only Inference", CVPR 2018.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._range = self.add_weight(
            name="range", shape=(2,), initializer="zeros", trainable=False, dtype="float32"
        )

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest value not clipped; if they are equal, nothing is rounded."""
        low, high = ops.convert_to_numpy(self._range)
        return float(low), float(high)

    def set_range(self, low: float, high: float) -> None:
        """Sets the range, widened to include 0."""
        self._range.assign([min(low, 0.0), max(high, 0.0)])

    def call(self, inputs):
        low, high = self._range[0], self._range[1]
        step = ops.maximum(high - low, 1e-12) / _LEVELS
        lowest = ops.round(low / step)
        clipped = ops.clip(inputs, lowest * step, (lowest + _LEVELS) * step)
        rounded = clipped + ops.stop_gradient(ops.round(clipped / step) * step - clipped)
        return ops.where(high > low, rounded, inputs)

    def compute_output_spec(self, inputs):
        # Keras would mark the result of its operators as sparse.
        return keras.KerasTensor(inputs.shape, inputs.dtype)


class RoundedKernel(TransformedKernel):
    """A mixin for a Keras layer, which makes it compute with its kernel rounded to int8.

    Each output channel has its own step and 255 values. So a batch normalization after the layer,
    which the converter multiplies into the kernel, does not change the rounding.
    """

    def transformed(self, name, kernel):
        outputs = {-2} if isinstance(self, TRANSPOSED) else {-1}
        if isinstance(self, _DEPTHWISE):
            outputs = {-2, -1}
        axes = [axis for axis in range(-len(kernel.shape), 0) if axis not in outputs]
        step = ops.maximum(ops.max(ops.abs(kernel), axes, keepdims=True), 1e-12) / (_LEVELS // 2)
        return straight_through(ops.round(kernel / step) * step, kernel)


_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
#: The plain layers whose kernels are rounded.
PLAIN = (*FORWARD, *TRANSPOSED, *_DEPTHWISE)
#: Plain layer -> the one that rounds.
ROUNDED = {
    plain: keras.saving.register_keras_serializable(package="fr_keras")(
        type(f"Rounded{plain.__name__}", (RoundedKernel, plain), {"__doc__": RoundedKernel.__doc__})
    )
    for plain in PLAIN
}
