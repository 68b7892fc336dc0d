"""Convolution layers in the DCT domain."""

import keras

from fr_keras.layers._frequency import FrequencyKernel


@keras.saving.register_keras_serializable(package="fr_keras")
class FRConv1D(FrequencyKernel, keras.layers.Conv1D):
    """`keras.layers.Conv1D` whose kernel is held as truncated DCT coefficients.

    Same arguments in the same order, and `axis_weights`; see `FrequencyKernel`.

    Shapes:
        Input `(batch, steps, in)` with channels last, or the channels first where
        `data_format` says so. Coefficients and kernel `(kw, in, filters)` in both cases.

    Example:

    >>> layer = FRConv1D(8, 3)
    >>> layer(keras.ops.ones((2, 9, 4))).shape
    TensorShape([2, 7, 8])
    """


@keras.saving.register_keras_serializable(package="fr_keras")
class FRConv2D(FrequencyKernel, keras.layers.Conv2D):
    """`keras.layers.Conv2D` whose kernel is held as truncated DCT coefficients.

    Same arguments in the same order, and `axis_weights`; see `FrequencyKernel`.

    Shapes:
        Input `(batch, height, width, in)` with channels last, or the channels first where
        `data_format` says so. Coefficients and kernel `(kh, kw, in, filters)` in both cases.

    Example:

    >>> layer = FRConv2D(8, 3)
    >>> layer(keras.ops.ones((2, 9, 9, 4))).shape
    TensorShape([2, 7, 7, 8])
    """


@keras.saving.register_keras_serializable(package="fr_keras")
class FRConv3D(FrequencyKernel, keras.layers.Conv3D):
    """`keras.layers.Conv3D` whose kernel is held as truncated DCT coefficients.

    Same arguments in the same order, and `axis_weights`; see `FrequencyKernel`.

    Shapes:
        Input `(batch, depth, height, width, in)` with channels last, or the channels first where
        `data_format` says so. Coefficients and kernel `(kd, kh, kw, in, filters)` in both cases.

    Example:

    >>> layer = FRConv3D(8, 3)
    >>> layer(keras.ops.ones((2, 9, 9, 9, 4))).shape
    TensorShape([2, 7, 7, 7, 8])
    """


@keras.saving.register_keras_serializable(package="fr_keras")
class FRConv1DTranspose(FrequencyKernel, keras.layers.Conv1DTranspose):
    """`keras.layers.Conv1DTranspose` whose kernel is held as truncated DCT coefficients.

    Same arguments in the same order, and `axis_weights`; see `FrequencyKernel`.

    Shapes:
        Input `(batch, steps, in)` with channels last, or the channels first where
        `data_format` says so. Coefficients and kernel `(kw, filters, in)` in both cases.

    Example:

    >>> layer = FRConv1DTranspose(8, 2, strides=2)
    >>> layer(keras.ops.ones((2, 9, 4))).shape
    TensorShape([2, 18, 8])
    """


@keras.saving.register_keras_serializable(package="fr_keras")
class FRConv2DTranspose(FrequencyKernel, keras.layers.Conv2DTranspose):
    """`keras.layers.Conv2DTranspose` whose kernel is held as truncated DCT coefficients.

    Same arguments in the same order, and `axis_weights`; see `FrequencyKernel`.

    Shapes:
        Input `(batch, height, width, in)` with channels last, or the channels first where
        `data_format` says so. Coefficients and kernel `(kh, kw, filters, in)` in both cases.

    Example:

    >>> layer = FRConv2DTranspose(8, 2, strides=2)
    >>> layer(keras.ops.ones((2, 9, 9, 4))).shape
    TensorShape([2, 18, 18, 8])
    """


@keras.saving.register_keras_serializable(package="fr_keras")
class FRConv3DTranspose(FrequencyKernel, keras.layers.Conv3DTranspose):
    """`keras.layers.Conv3DTranspose` whose kernel is held as truncated DCT coefficients.

    Same arguments in the same order, and `axis_weights`; see `FrequencyKernel`.

    Shapes:
        Input `(batch, depth, height, width, in)` with channels last, or the channels first where
        `data_format` says so. Coefficients and kernel `(kd, kh, kw, filters, in)` in both cases.

    Example:

    >>> layer = FRConv3DTranspose(8, 2, strides=2)
    >>> layer(keras.ops.ones((2, 9, 9, 9, 4))).shape
    TensorShape([2, 18, 18, 18, 8])
    """


@keras.saving.register_keras_serializable(package="fr_keras")
class FRDepthwiseConv1D(FrequencyKernel, keras.layers.DepthwiseConv1D):
    """`keras.layers.DepthwiseConv1D` whose kernel is held as truncated DCT coefficients.

    The channel axis is transformed like the others: one rule for every kernel, and what
    neighbouring channels share costs nothing.

    Same arguments in the same order, and `axis_weights`; see `FrequencyKernel`.

    Shapes:
        Input `(batch, steps, in)` with channels last, or the channels first where
        `data_format` says so. Coefficients and kernel `(kw, in, multiplier)` in both cases.

    Example:

    >>> layer = FRDepthwiseConv1D(3)
    >>> layer(keras.ops.ones((2, 9, 4))).shape
    TensorShape([2, 7, 4])
    """


@keras.saving.register_keras_serializable(package="fr_keras")
class FRDepthwiseConv2D(FrequencyKernel, keras.layers.DepthwiseConv2D):
    """`keras.layers.DepthwiseConv2D` whose kernel is held as truncated DCT coefficients.

    The channel axis is transformed like the others: one rule for every kernel, and what
    neighbouring channels share costs nothing.

    Same arguments in the same order, and `axis_weights`; see `FrequencyKernel`.

    Shapes:
        Input `(batch, height, width, in)` with channels last, or the channels first where
        `data_format` says so. Coefficients and kernel `(kh, kw, in, multiplier)` in both cases.

    Example:

    >>> layer = FRDepthwiseConv2D(3)
    >>> layer(keras.ops.ones((2, 9, 9, 4))).shape
    TensorShape([2, 7, 7, 4])
    """
