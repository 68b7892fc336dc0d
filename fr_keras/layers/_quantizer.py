"""Quantizers, the rules that give numbers one of few values, and the layers that hold them."""

import abc
import dataclasses
from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from fr_keras._backends import exact_type
from fr_keras.layers._refusal import adapted


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


class Alike(abc.ABC):
    """Which numbers of a kernel are alike in size: its groups."""

    @abc.abstractmethod
    def totals(self, values):
        """Returns the sum of the values of each group."""

    @abc.abstractmethod
    def spread(self, of_groups):
        """Returns a number for each group as one for each value, or as what broadcasts to it."""

    def counted(self, values):
        """Returns values with zeros for those that belong to no group."""
        return values


class Columns(Alike):
    """The places of the last axis, in a plain kernel mostly its output channels."""

    def totals(self, values):
        return ops.sum(values, axis=tuple(range(len(values.shape) - 1)))

    def spread(self, of_groups):
        return of_groups


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

    #: Whether `penalty` adds something to the loss.
    has_penalty = False

    def penalty(self, kernel, alike: Alike, state: dict):
        """Returns what a kernel adds to the loss.

        Args:
            kernel: A tensor of any shape, in float32 or float64.
            alike: Which of its numbers are alike.
            state: The numbers of `state` by name.
        """
        raise NotImplementedError

    def get_config(self) -> dict:
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: dict) -> "Quantizer":
        return cls(**config)


class Quantizing:
    """A mixin for a Keras layer that computes with quantized kernels.

    It holds the quantizer and its numbers, and adds the penalty of the quantizer to the loss.

    Args:
        *args: The arguments of the plain layer, in the same order.
        quantizer: The quantizer, for instance `fr_keras.methods.Ternary()`.
        **kwargs: The keyword arguments of the plain layer.

    Raises:
        ValueError: If the layer has LoRA or a quantized dtype policy.
    """

    #: Names of the weights that are quantized.
    kernel_names: tuple[str, ...]

    def __init__(self, *args, quantizer: Quantizer | dict, **kwargs):
        super().__init__(*args, **kwargs)
        reason = adapted(self)
        if reason is not None:
            raise ValueError(reason)
        if not isinstance(quantizer, Quantizer):
            quantizer = keras.saving.deserialize_keras_object(quantizer)
        self.quantizer = quantizer

    def numbers_of(self, name: str) -> tuple:
        """Returns the numbers of a kernel that are quantized, as a tensor, and their `Alike`."""
        kernel = self.exact_kernel(name)
        return ops.cast(kernel, exact_type(kernel.dtype)), Columns()

    def quantized(self, name: str):
        """Returns the kernel as the layer computes with it, in the precision of the quantizer."""
        raise NotImplementedError

    def build(self, input_shape):
        super().build(input_shape)
        for name in self.kernel_names:
            for one in self.quantizer.state:
                self._hold(name, one)
            if self.quantizer.has_penalty:
                weight = self.exact_kernel(name)
                weight.regularizer = _Penalty(self, name, weight.regularizer)

    def _hold(self, name: str, one: State) -> None:
        kernel = self.exact_kernel(name)

        def first(shape, dtype=None):
            return ops.cast(self.quantizer.first(numbers(kernel))[one.name], dtype)

        variable = self.add_weight(
            name=f"{name}_{one.name}",
            shape=one.shape,
            initializer=first,
            dtype=exact_type(kernel.dtype),
            autocast=False,
            trainable=one.trainable,
        )
        setattr(self, _attribute(name, one), variable)

    def state_of(self, name: str) -> dict[str, keras.Variable]:
        """Returns what the quantizer holds for a kernel, by the names of its `state`."""
        return {one.name: getattr(self, _attribute(name, one)) for one in self.quantizer.state}

    def begin(self, name: str, kernel: np.ndarray) -> None:
        """Begins the quantizer of a kernel anew."""
        first = self.quantizer.first(kernel)
        for key, variable in self.state_of(name).items():
            variable.assign(first[key])

    def states(self) -> list[keras.Variable]:
        """Returns the numbers of the quantizer for all kernels."""
        return [one for name in self.kernel_names for one in self.state_of(name).values()]

    def get_config(self):
        quantizer = keras.saving.serialize_keras_object(self.quantizer)
        return {**super().get_config(), "quantizer": quantizer}

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


class _Penalty:
    """The penalty of a quantizer on a kernel, added to the regularizer that it has."""

    def __init__(self, layer: Quantizing, name: str, before: Callable | None):
        self.layer, self.name, self.before = layer, name, before

    def __call__(self, kernel):
        penalty = self.layer.quantizer.penalty(
            *self.layer.numbers_of(self.name), self.layer.state_of(self.name)
        )
        return penalty if self.before is None else penalty + self.before(kernel)


def _attribute(name: str, one: State) -> str:
    return f"_{name}_{one.name}"


def numbers(kernel: keras.Variable) -> np.ndarray:
    """Returns the values of a kernel in float32 or float64."""
    exact = exact_type(kernel.dtype)
    return ops.convert_to_numpy(ops.cast(kernel, exact))
