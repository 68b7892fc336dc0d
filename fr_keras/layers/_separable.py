"""Separable convolutions in the DCT domain, with two kernels per layer."""

import keras

from fr_keras._backends import assign_copy
from fr_keras.layers._frequency import FrequencyKernel, FrequencyTwin
from fr_keras.layers._refusal import refusal

_KERNELS = ("depthwise_kernel", "pointwise_kernel")


class _Kernel(FrequencyKernel, keras.layers.Layer):
    """One kernel of a layer that has several, truncated on its own."""

    def __init__(self, shape, initializer, regularizer, **kwargs):
        super().__init__(**kwargs)
        self._arguments = {"shape": shape, "initializer": initializer, "regularizer": regularizer}

    def build(self, input_shape=None):
        self.add_weight(name="kernel", **self._arguments)


class _FrequencySeparable(FrequencyTwin):
    """Gives a separable convolution a `_Kernel` in place of each of its two kernels."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        reason = refusal(self)
        if reason is not None:
            raise ValueError(reason)

    def add_weight(self, *args, name=None, **kwargs):
        if name not in _KERNELS:
            return super().add_weight(*args, name=name, **kwargs)
        arguments = {key: kwargs[key] for key in ("shape", "initializer", "regularizer")}
        part = _Kernel(**arguments, name=f"{self.name}_{name}", dtype=self.dtype_policy)
        part.trainable = self.trainable
        part.build()
        setattr(self, f"frequency_{name}", part)
        return None

    @property
    def depthwise_kernel(self):
        """The depthwise kernel, rebuilt from its kept coefficients."""
        return self.frequency_depthwise_kernel.kernel

    @depthwise_kernel.setter
    def depthwise_kernel(self, value):
        """Ignores the `None` that `add_weight` returned and that Keras assigns."""

    @property
    def pointwise_kernel(self):
        """The pointwise kernel, rebuilt from its kept coefficients."""
        return self.frequency_pointwise_kernel.kernel

    @pointwise_kernel.setter
    def pointwise_kernel(self, value):
        """Ignores the `None` that `add_weight` returned and that Keras assigns."""

    def parts(self):
        return [self.frequency_depthwise_kernel, self.frequency_pointwise_kernel]

    @classmethod
    def plain_kernels(cls, plain):
        return [getattr(plain, name) for name in _KERNELS]

    def load_plain(self, plain):
        for kernel, part in zip(self.plain_kernels(plain), self.parts(), strict=True):
            part.set_kernel(keras.ops.convert_to_numpy(keras.ops.cast(kernel, "float32")))
        if plain.bias is not None:
            assign_copy(self.bias, plain.bias)

    def fill_plain(self, plain):
        for kernel, part in zip(self.plain_kernels(plain), self.parts(), strict=True):
            kernel.assign(part.float32_kernel())
        if plain.bias is not None:
            assign_copy(plain.bias, self.bias)


@keras.saving.register_keras_serializable(package="fr_keras")
class FRSeparableConv1D(_FrequencySeparable, keras.layers.SeparableConv1D):
    """`keras.layers.SeparableConv1D` whose two kernels are held as truncated DCT coefficients.

    `parts()` returns a layer for each kernel, named `<layer>_depthwise_kernel` and
    `<layer>_pointwise_kernel`; `TailTruncation` cuts them separately.

    Takes the same arguments in the same order.

    Shapes:
        Input `(batch, steps, in)` with channels last. Kernels `(kw, in, multiplier)` and
        `(1, in * multiplier, filters)`.

    Example:

    >>> layer = FRSeparableConv1D(8, 3)
    >>> layer(keras.ops.ones((2, 9, 4))).shape
    TensorShape([2, 7, 8])
    >>> [part.kept for part in layer.parts()]
    [12, 32]
    """


@keras.saving.register_keras_serializable(package="fr_keras")
class FRSeparableConv2D(_FrequencySeparable, keras.layers.SeparableConv2D):
    """`keras.layers.SeparableConv2D` whose two kernels are held as truncated DCT coefficients.

    `parts()` returns a layer for each kernel, named `<layer>_depthwise_kernel` and
    `<layer>_pointwise_kernel`; `TailTruncation` cuts them separately.

    Takes the same arguments in the same order.

    Shapes:
        Input `(batch, height, width, in)` with channels last. Kernels `(kh, kw, in, multiplier)`
        and `(1, 1, in * multiplier, filters)`.

    Example:

    >>> layer = FRSeparableConv2D(8, 3)
    >>> layer(keras.ops.ones((2, 9, 9, 4))).shape
    TensorShape([2, 7, 7, 8])
    >>> [part.kept for part in layer.parts()]
    [36, 32]
    """
