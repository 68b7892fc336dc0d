"""The kernels of a model that have a price."""

import dataclasses
import math
import warnings
from collections.abc import Iterable

import keras
import numpy as np
from keras import ops

from fr_keras.layers import Quantizing
from fr_keras.methods._whole_steps import WholeSteps
from fr_keras.models.walk import named_layers


@dataclasses.dataclass(frozen=True)
class Priced:
    """A kernel in whole steps.

    Attributes:
        label: Its name for users.
        layer: Its layer.
        name: Its name in the layer.
    """

    label: str
    layer: Quantizing
    name: str

    @property
    def state(self) -> dict[str, keras.Variable]:
        """The price of a bit, and the binary logarithm of the step."""
        return self.layer.state_of(self.name)

    def bits(self) -> float:
        """Returns an estimate of the bits of the rounded numbers in an archive."""
        bits = self.layer.quantizer.bits(*self.layer.numbers_of(self.name), self.state)
        return float(ops.convert_to_numpy(bits))

    def left(self) -> int:
        """Returns how many numbers are not 0."""
        return int(np.count_nonzero(ops.convert_to_numpy(self.layer.quantized(self.name))))

    def settle(self) -> None:
        """Sets the kernel to the rounded one, and the step to the one that it is rounded with."""
        values, _ = self.layer.numbers_of(self.name)
        step = ops.log2(self.layer.quantizer.step_of(values, self.state))
        self.layer.exact_kernel(self.name).assign(self.layer.quantized(self.name))
        self.state["log2_step"].assign(step)


def priced_kernels(model: keras.Model) -> list[Priced]:
    """Returns the trainable kernels of a model that have a price."""
    return [
        Priced(label if len(layer.kernel_names) == 1 else f"{label}/{name}", layer, name)
        for label, layer in named_layers(model).items()
        if isinstance(layer, Quantizing)
        and isinstance(layer.quantizer, WholeSteps)
        and layer.trainable
        for name in layer.kernel_names
    ]


def warn_of_nothing(kernels: Iterable[Priced]) -> None:
    """Warns of kernels that are down to one number."""
    few = [
        one.label
        for one in kernels
        if math.prod(one.layer.exact_kernel(one.name).shape) > 1 and one.left() <= 1
    ]
    if few:
        warnings.warn(
            f"The kernels of {few} are down to one number, which is kept so that they do not "
            "vanish: at this price they hardly pay. Lower the price, or remove these layers or "
            "leave them out with `exclude`.",
            stacklevel=3,
        )
