"""Layers whose kernels take few values, by a rule that belongs to the layer: a quantizer."""

import abc
import dataclasses
import warnings
from collections.abc import Iterator

import keras
import numpy as np
from keras import ops

from fr_keras.layers._refusal import adapted
from fr_keras.layers._transformed import TransformedKernel


@dataclasses.dataclass(frozen=True)
class State:
    """Numbers of a quantizer that a layer holds for each of its kernels.

    Attributes:
        name: Their name.
        shape: Their shape.
        trainable: Whether training changes them.
    """

    name: str
    shape: tuple[int, ...] = ()
    trainable: bool = True


class Quantizer(abc.ABC):
    """A rule that gives every weight of a kernel one of few values, its levels.

    A quantizer is a frozen dataclass, whose fields are its config, registered with Keras. The
    numbers that it learns belong to the layer.
    """

    #: The numbers that a layer holds for it.
    state: tuple[State, ...] = ()

    @property
    @abc.abstractmethod
    def most_levels(self) -> int:
        """The number of different values that a kernel has at most."""

    @abc.abstractmethod
    def __call__(self, kernel, state: dict, training: bool):
        """Returns the quantized kernel, with the gradient of the method.

        Args:
            kernel: A tensor of any shape, in float32 or float64.
            state: The numbers of `state` by name, as tensors of the same type.
            training: Whether the layer is being trained; if not, the result has at most
                `most_levels` different values.
        """

    def first(self, kernel: np.ndarray) -> dict[str, np.ndarray | float]:
        """Returns the numbers of `state` by name for a kernel before its training."""
        return {}

    def refusal(self, kernel: np.ndarray) -> str | None:
        """Returns why the levels of a kernel would collapse; `None` if they do not."""
        return None if kernel.any() else "it holds only zeros"

    def get_config(self) -> dict:
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: dict) -> "Quantizer":
        return cls(**config)


class QuantizedKernel(TransformedKernel):
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

    def __init__(self, *args, quantizer: Quantizer | dict, **kwargs):
        super().__init__(*args, **kwargs)
        reason = adapted(self)
        if reason is not None:
            raise ValueError(reason)
        if not isinstance(quantizer, Quantizer):
            quantizer = keras.saving.deserialize_keras_object(quantizer)
        self.quantizer = quantizer
        self._in_training = False

    def build(self, input_shape):
        super().build(input_shape)
        for name in self.kernel_names:
            for one in self.quantizer.state:
                self._add_state(name, one)

    def _add_state(self, name: str, one: State) -> None:
        kernel = self.exact_kernel(name)

        def first(shape, dtype=None):
            return ops.cast(self.quantizer.first(_numbers(kernel))[one.name], dtype)

        variable = self.add_weight(
            name=f"{name}_{one.name}",
            shape=one.shape,
            initializer=first,
            dtype=keras.backend.result_type(kernel.dtype, "float32"),
            autocast=False,
            trainable=one.trainable,
        )
        setattr(self, _attribute(name, one), variable)

    def state_of(self, name: str) -> dict[str, keras.Variable]:
        """Returns what the quantizer holds for a kernel, by the names of its `state`."""
        return {one.name: getattr(self, _attribute(name, one)) for one in self.quantizer.state}

    def transformed(self, name, kernel):
        state = {key: ops.convert_to_tensor(one) for key, one in self.state_of(name).items()}
        return self.quantizer(kernel, state, self._in_training)

    def call(self, inputs, training=None):
        self._in_training = bool(training)
        try:
            return super().call(inputs)
        finally:
            self._in_training = False

    def levels(self) -> dict[str, np.ndarray]:
        """Returns the values that each kernel has now, in rising order, by the kernel's name."""
        return {name: np.unique(self.float32_kernel(name)) for name in self.kernel_names}

    def get_config(self):
        quantizer = keras.saving.serialize_keras_object(self.quantizer)
        return {**super().get_config(), "quantizer": quantizer}

    def plain(self) -> keras.layers.Layer:
        """Returns the plain layer, not built."""
        config = self.get_config()
        del config["quantizer"]
        return self.plain_type.from_config(config)

    def load_plain(self, plain: keras.layers.Layer) -> None:
        """Takes the weights of the plain layer, and begins the quantizer anew."""
        for name in self.kernel_names:
            kernel = getattr(plain, name)
            self.exact_kernel(name).assign(kernel)
            first = self.quantizer.first(_numbers(kernel))
            for key, variable in self.state_of(name).items():
                variable.assign(first[key])
        for own, its in self._others(plain):
            own.assign(its)

    def fill_plain(self, plain: keras.layers.Layer) -> None:
        """Writes the levels and the other weights to the plain layer."""
        for name in self.kernel_names:
            kernel = self.float32_kernel(name)
            if np.ptp(kernel) == 0:
                warnings.warn(
                    f"The levels of '{name}' of layer '{self.name}' have collapsed: all its "
                    f"weights are {np.ravel(kernel)[0]:g}. Train with a lower learning rate, or "
                    "leave the layer out with `exclude`.",
                    stacklevel=2,
                )
            getattr(plain, name).assign(kernel)
        for own, its in self._others(plain):
            its.assign(own)

    def _others(self, plain) -> Iterator[tuple[keras.Variable, keras.Variable]]:
        held = {id(getattr(plain, name)) for name in self.kernel_names}
        for name in self.kernel_names:
            held |= {id(self.exact_kernel(name)), *map(id, self.state_of(name).values())}
        own, its = ([w for w in layer.weights if id(w) not in held] for layer in (self, plain))
        return zip(own, its, strict=True)

    def quantize(self, mode=None, *args, **kwargs):
        raise NotImplementedError(
            f"Layer '{self.name}' computes with the levels of its quantizer, which Keras would not "
            "know. Use `fr_keras.bake(model)` first, or `fr_keras.tflite.convert(model, ...)`."
        )

    def enable_lora(self, *args, **kwargs):
        raise NotImplementedError(
            f"Layer '{self.name}' computes with the levels of its quantizer, to which LoRA would "
            "add others. Use `fr_keras.bake(model)` first."
        )


def _attribute(name: str, one: State) -> str:
    return f"_{name}_{one.name}"


def _numbers(kernel) -> np.ndarray:
    exact = keras.backend.result_type(kernel.dtype, "float32")
    return ops.convert_to_numpy(ops.cast(kernel, exact))


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
