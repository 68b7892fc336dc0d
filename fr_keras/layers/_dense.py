"""The dense layer in the DCT domain."""

import math
from collections.abc import Sequence

import keras
from keras import ops

from fr_keras.layers._factored import FactoredKernel


@keras.saving.register_keras_serializable(package="fr_keras")
class FRDense(FactoredKernel, keras.layers.Dense):
    """`keras.layers.Dense` whose kernel is held as truncated DCT coefficients.

    After a `Flatten`, the rows of the kernel belong to a flattened tensor, and a cosine along the
    flat axis has no meaning. With `input_axes`, the coefficients have the shape
    `(*input_axes, units)`, and there are frequencies along each axis of that tensor.

    Args:
        units: Number of outputs, as in `keras.layers.Dense`.
        input_axes: Shape of the tensor that was flattened, such as `(4, 4, 50)`; its product is
            the number of inputs. With `None`, the kernel has the axes `(inputs, units)`.
        axis_weights: Weights of the coefficients' axes in the zigzag order.
        **kwargs: As in `keras.layers.Dense`.

    Shapes:
        Input `(batch, ..., inputs)`, output `(batch, ..., units)`.

    Raises:
        ValueError: On build, if `input_axes` does not multiply to the number of inputs; also as in
            `FrequencyKernel`.

    Example:

    >>> layer = FRDense(10, input_axes=(4, 4, 8))
    >>> layer(keras.ops.ones((2, 128))).shape
    TensorShape([2, 10])
    >>> tuple(layer.coefficients.shape)
    (4, 4, 8, 10)
    >>> layer.truncate(33); layer.kept, layer.corner
    (33, (4, 4, 4, 3))
    """

    def __init__(self, units, *args, input_axes: Sequence[int] | None = None, **kwargs):
        super().__init__(units, *args, **kwargs)
        self.input_axes = None if input_axes is None else tuple(input_axes)

    def spectrum_of(self, kernel_shape):
        if self.input_axes is None:
            return kernel_shape
        if math.prod(self.input_axes) != kernel_shape[0]:
            raise ValueError(
                f"`input_axes` must multiply to the {kernel_shape[0]} inputs of layer "
                f"'{self.name}'. Received: input_axes={self.input_axes}"
            )
        return (*self.input_axes, kernel_shape[1])

    def ends(self):
        last = len(self.spectrum_shape) - 1
        return tuple(range(last)), (last,)

    def _core_kernel(self, core, roles):
        return ops.reshape(core, (-1, core.shape[-1]))

    def _end_kernel(self, role, matrix, corner):
        return matrix

    def _apply(self, role, x, kernel):
        return ops.matmul(x, kernel)

    def _stage_layer(self, role, roles, shape, options):
        return keras.layers.Dense(shape[-1], **{"use_bias": False, **options})

    def get_config(self):
        return {**super().get_config(), "input_axes": self.input_axes}
