"""Layers whose kernels take few values, by a rule that belongs to the layer: a quantizer."""

import warnings
from collections.abc import Iterator

import keras
import numpy as np
from keras import ops

from fr_keras._backends import assign_copy
from fr_keras.layers._quantizer import Quantizing, numbers
from fr_keras.layers._transformed import TransformedKernel


class QuantizedKernel(Quantizing, TransformedKernel):
    """Computes with the levels of its kernel, and trains the kernel itself.

    The gradient, and what else is trained, are the quantizer's. `fr_keras.bake` gives back the
    plain layer, whose kernel holds the levels.

    Args:
        *args: The arguments of the plain layer, in the same order.
        quantizer: The quantizer, for instance `fr_keras.methods.Ternary()`.
        **kwargs: The keyword arguments of the plain layer.

    Raises:
        ValueError: If the layer has LoRA or a quantized dtype policy.
    """

    #: The class of the plain layer.
    plain_type: type[keras.layers.Layer]

    _in_training = False

    def transformed(self, name, kernel):
        state = {key: ops.convert_to_tensor(one) for key, one in self.state_of(name).items()}
        return self.quantizer(kernel, state, self._in_training)

    def quantized(self, name):
        return self.float32_kernel(name)

    def call(self, inputs, training=None):
        self._in_training = bool(training)
        try:
            return super().call(inputs)
        finally:
            self._in_training = False

    def levels(self) -> dict[str, np.ndarray]:
        """Returns the values that each kernel has now, in rising order, by the kernel's name."""
        kernels = {name: self.float32_kernel(name) for name in self.kernel_names}
        return {name: np.unique(ops.convert_to_numpy(one)) for name, one in kernels.items()}

    def plain(self) -> keras.layers.Layer:
        """Returns the plain layer, not built."""
        config = self.get_config()
        del config["quantizer"]
        return self.plain_type.from_config(config)

    def load_plain(self, plain: keras.layers.Layer) -> None:
        """Takes the weights of the plain layer, and begins the quantizer anew."""
        for name in self.kernel_names:
            kernel = getattr(plain, name)
            assign_copy(self.exact_kernel(name), kernel)
            self.begin(name, numbers(kernel))
        for own, its in self._others(plain):
            assign_copy(own, its)

    def fill_plain(self, plain: keras.layers.Layer) -> None:
        """Writes the levels and the other weights to the plain layer."""
        for name in self.kernel_names:
            kernel = ops.convert_to_numpy(self.float32_kernel(name))
            if kernel.size > 1 and np.ptp(kernel) == 0:
                warnings.warn(
                    f"The levels of '{name}' of layer '{self.name}' have collapsed: all its "
                    f"weights are {kernel.flat[0]:g}. Train with a lower learning rate or a "
                    "lower price, or leave the layer out with `exclude`.",
                    stacklevel=2,
                )
            getattr(plain, name).assign(kernel)
        for own, its in self._others(plain):
            assign_copy(its, own)

    def _others(self, plain) -> Iterator[tuple[keras.Variable, keras.Variable]]:
        held = {id(getattr(plain, name)) for name in self.kernel_names} | {*map(id, self.states())}
        for name in self.kernel_names:
            held |= {id(self.exact_kernel(name))}
        own, its = ([w for w in layer.weights if id(w) not in held] for layer in (self, plain))
        return zip(own, its, strict=True)


def _quantized(plain: type, *names: str) -> type:
    name = f"Quantized{plain.__name__}"
    doc = f"`keras.layers.{plain.__name__}` that computes with the levels of its kernel."
    of = {"plain_type": plain, "kernel_names": names, "__doc__": doc, "__module__": __name__}
    register = keras.saving.register_keras_serializable(package="fr_keras")
    return register(type(name, (QuantizedKernel, plain), of))


_SEPARABLE = ("depthwise_kernel", "pointwise_kernel")
#: Plain layer -> the one that computes with levels.
QUANTIZED: dict[type[keras.layers.Layer], type[QuantizedKernel]] = {
    **{
        plain: _quantized(plain, "kernel")
        for plain in (
            keras.layers.Dense,
            keras.layers.EinsumDense,
            keras.layers.Conv1D,
            keras.layers.Conv2D,
            keras.layers.Conv3D,
            keras.layers.Conv1DTranspose,
            keras.layers.Conv2DTranspose,
            keras.layers.Conv3DTranspose,
            keras.layers.DepthwiseConv1D,
            keras.layers.DepthwiseConv2D,
        )
    },
    keras.layers.SeparableConv1D: _quantized(keras.layers.SeparableConv1D, *_SEPARABLE),
    keras.layers.SeparableConv2D: _quantized(keras.layers.SeparableConv2D, *_SEPARABLE),
    keras.layers.Embedding: _quantized(keras.layers.Embedding, "embeddings"),
}
