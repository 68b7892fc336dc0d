"""The einsum layer in the DCT domain."""

import keras

from fr_keras.layers._frequency import FrequencyKernel


@keras.saving.register_keras_serializable(package="fr_keras")
class FREinsumDense(FrequencyKernel, keras.layers.EinsumDense):
    """`keras.layers.EinsumDense` whose kernel is held as truncated DCT coefficients.

    Same arguments in the same order, and `axis_weights`; see `FrequencyKernel`.

    Shapes:
        Input, output and kernel as the equation says; coefficients as the kernel.

    Example:

    >>> layer = FREinsumDense("abc,cd->abd", output_shape=(None, 8), bias_axes="d")
    >>> layer(keras.ops.ones((2, 5, 4))).shape
    TensorShape([2, 5, 8])
    """
