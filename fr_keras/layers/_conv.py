"""Convolution layers in the DCT domain."""

import math

import keras
from keras import ops

from fr_keras.layers._factored import ROLES, FactoredKernel
from fr_keras.layers._frequency import FrequencyKernel

_CONVOLUTIONS = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D, 3: keras.layers.Conv3D}


class _Convolution(FactoredKernel):
    """Shared by plain and transposed convolutions: the outer stages are 1x1 convolutions."""

    def _end_kernel(self, role, matrix, corner):
        kernel = ops.reshape(matrix, (1,) * self.rank + tuple(matrix.shape))
        return _tiled(kernel, self.groups) if role == "in" else kernel

    def _apply(self, role, x, kernel):
        if role == "core":
            return self._apply_core(x, kernel)
        return ops.conv(x, kernel, data_format=self.data_format)

    def _stage_layer(self, role, roles, shape, options):
        options = {"use_bias": False, "data_format": self.data_format, **options}
        if role == "core":
            return self._core_layer(shape, options)
        return _CONVOLUTIONS[self.rank](shape[-1], 1, groups=self.groups, **options)

    def _ends_in_matrix(self):
        return self.groups == 1 and self.data_format == "channels_last"

    def _shaped_bias(self):
        first = self.data_format == "channels_first"
        return ops.reshape(
            self.bias, (1, -1, *(1,) * self.rank) if first else (1,) * (self.rank + 1) + (-1,)
        )


class _ForwardConvolution(_Convolution):
    def ends(self):
        return (self.rank,), (self.rank + 1,)

    def positions(self):
        # The 1x1 convolution before a strided core runs at the resolution of the input.
        return {**dict.fromkeys(ROLES, 1), "in": math.prod(self.strides)}

    def _core_kernel(self, core, roles):
        return _tiled(core, self.groups) if "out" in roles else core

    def _apply_core(self, x, kernel):
        padding = self.padding
        if padding == "causal":
            x, padding = ops.pad(x, self._compute_causal_padding()), "valid"
        return ops.conv(
            x,
            kernel,
            strides=list(self.strides),
            padding=padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )

    def _core_layer(self, shape, options):
        return _CONVOLUTIONS[self.rank](
            shape[-1],
            self.kernel_size,
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
            groups=self.groups,
            **options,
        )


class _TransposedConvolution(_Convolution):
    def ends(self):
        return (self.rank + 1,), (self.rank,)

    def positions(self):
        # The core counts per position of the input, the 1x1 convolution after it per output.
        return {**dict.fromkeys(ROLES, 1), "out": math.prod(self.strides)}

    def _core_kernel(self, core, roles):
        return core

    def _apply_core(self, x, kernel):
        return ops.conv_transpose(
            x,
            kernel,
            strides=list(self.strides),
            padding=self.padding,
            output_padding=self.output_padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )

    def _core_layer(self, shape, options):
        kinds = {
            1: keras.layers.Conv1DTranspose,
            2: keras.layers.Conv2DTranspose,
            3: keras.layers.Conv3DTranspose,
        }
        return kinds[self.rank](
            shape[-2],
            self.kernel_size,
            strides=self.strides,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation_rate=self.dilation_rate,
            **options,
        )


def _tiled(kernel, groups: int):
    """The kernel once for each group, along the output channels."""
    return ops.concatenate([kernel] * groups, axis=-1) if groups > 1 else kernel


@keras.saving.register_keras_serializable(package="fr_keras")
class FRConv1D(_ForwardConvolution, keras.layers.Conv1D):
    """`keras.layers.Conv1D` whose kernel is held as truncated DCT coefficients.

    Takes the same arguments in the same order, and `axis_weights`; see `FrequencyKernel`.

    Shapes:
        Input `(batch, steps, in)` with channels last, or with channels first if
        `data_format` says so. Coefficients and kernel `(kw, in, filters)` in both cases.

    Example:

    >>> layer = FRConv1D(8, 3)
    >>> layer(keras.ops.ones((2, 9, 4))).shape
    TensorShape([2, 7, 8])
    """


@keras.saving.register_keras_serializable(package="fr_keras")
class FRConv2D(_ForwardConvolution, keras.layers.Conv2D):
    """`keras.layers.Conv2D` whose kernel is held as truncated DCT coefficients.

    Takes the same arguments in the same order, and `axis_weights`; see `FrequencyKernel`.

    Shapes:
        Input `(batch, height, width, in)` with channels last, or with channels first if
        `data_format` says so. Coefficients and kernel `(kh, kw, in, filters)` in both cases.

    Example:

    >>> layer = FRConv2D(8, 3)
    >>> layer(keras.ops.ones((2, 9, 9, 4))).shape
    TensorShape([2, 7, 7, 8])
    """


@keras.saving.register_keras_serializable(package="fr_keras")
class FRConv3D(_ForwardConvolution, keras.layers.Conv3D):
    """`keras.layers.Conv3D` whose kernel is held as truncated DCT coefficients.

    Takes the same arguments in the same order, and `axis_weights`; see `FrequencyKernel`.

    Shapes:
        Input `(batch, depth, height, width, in)` with channels last, or with channels first if
        `data_format` says so. Coefficients and kernel `(kd, kh, kw, in, filters)` in both cases.

    Example:

    >>> layer = FRConv3D(8, 3)
    >>> layer(keras.ops.ones((2, 9, 9, 9, 4))).shape
    TensorShape([2, 7, 7, 7, 8])
    """


@keras.saving.register_keras_serializable(package="fr_keras")
class FRConv1DTranspose(_TransposedConvolution, keras.layers.Conv1DTranspose):
    """`keras.layers.Conv1DTranspose` whose kernel is held as truncated DCT coefficients.

    Takes the same arguments in the same order, and `axis_weights`; see `FrequencyKernel`.

    Shapes:
        Input `(batch, steps, in)` with channels last, or with channels first if
        `data_format` says so. Coefficients and kernel `(kw, filters, in)` in both cases.

    Example:

    >>> layer = FRConv1DTranspose(8, 2, strides=2)
    >>> layer(keras.ops.ones((2, 9, 4))).shape
    TensorShape([2, 18, 8])
    """


@keras.saving.register_keras_serializable(package="fr_keras")
class FRConv2DTranspose(_TransposedConvolution, keras.layers.Conv2DTranspose):
    """`keras.layers.Conv2DTranspose` whose kernel is held as truncated DCT coefficients.

    Takes the same arguments in the same order, and `axis_weights`; see `FrequencyKernel`.

    Shapes:
        Input `(batch, height, width, in)` with channels last, or with channels first if
        `data_format` says so. Coefficients and kernel `(kh, kw, filters, in)` in both cases.

    Example:

    >>> layer = FRConv2DTranspose(8, 2, strides=2)
    >>> layer(keras.ops.ones((2, 9, 9, 4))).shape
    TensorShape([2, 18, 18, 8])
    """


@keras.saving.register_keras_serializable(package="fr_keras")
class FRConv3DTranspose(_TransposedConvolution, keras.layers.Conv3DTranspose):
    """`keras.layers.Conv3DTranspose` whose kernel is held as truncated DCT coefficients.

    Takes the same arguments in the same order, and `axis_weights`; see `FrequencyKernel`.

    Shapes:
        Input `(batch, depth, height, width, in)` with channels last, or with channels first if
        `data_format` says so. Coefficients and kernel `(kd, kh, kw, filters, in)` in both cases.

    Example:

    >>> layer = FRConv3DTranspose(8, 2, strides=2)
    >>> layer(keras.ops.ones((2, 9, 9, 9, 4))).shape
    TensorShape([2, 18, 18, 18, 8])
    """


@keras.saving.register_keras_serializable(package="fr_keras")
class FRDepthwiseConv1D(FrequencyKernel, keras.layers.DepthwiseConv1D):
    """`keras.layers.DepthwiseConv1D` whose kernel is held as truncated DCT coefficients.

    The channel axis is transformed like the others. So one rule holds for every kernel, and a
    pattern that neighbouring channels share costs nothing extra.

    Takes the same arguments in the same order, and `axis_weights`; see `FrequencyKernel`.

    Shapes:
        Input `(batch, steps, in)` with channels last, or with channels first if
        `data_format` says so. Coefficients and kernel `(kw, in, multiplier)` in both cases.

    Example:

    >>> layer = FRDepthwiseConv1D(3)
    >>> layer(keras.ops.ones((2, 9, 4))).shape
    TensorShape([2, 7, 4])
    """


@keras.saving.register_keras_serializable(package="fr_keras")
class FRDepthwiseConv2D(FrequencyKernel, keras.layers.DepthwiseConv2D):
    """`keras.layers.DepthwiseConv2D` whose kernel is held as truncated DCT coefficients.

    The channel axis is transformed like the others. So one rule holds for every kernel, and a
    pattern that neighbouring channels share costs nothing extra.

    Takes the same arguments in the same order, and `axis_weights`; see `FrequencyKernel`.

    Shapes:
        Input `(batch, height, width, in)` with channels last, or with channels first if
        `data_format` says so. Coefficients and kernel `(kh, kw, in, multiplier)` in both cases.

    Example:

    >>> layer = FRDepthwiseConv2D(3)
    >>> layer(keras.ops.ones((2, 9, 9, 4))).shape
    TensorShape([2, 7, 7, 4])
    """
