"""The numbers of a model beside its coefficients, as the vectors of an archive.

A weight of one axis is a vector. Any other, or a longer one, is laid flat and cut into vectors of
`BLOCK`: nothing is known of its spectrum, and short ones are quick. Vectors that are alike follow
one another, for the archive codes their lengths and steps as differences.

Not kept: the state of random generators, and counters that only training reads.
"""

import dataclasses
import math

import keras
import numpy as np

from fr_archive import ArchiveError
from fr_keras.layers import FrequencyTwin
from fr_keras.rebuild import all_layers

LONGEST = 1 << 12
BLOCK = 1 << 10
_FIRST = ("moving_mean", "moving_variance", "gamma", "beta", "bias")
_COUNTERS = ("count",)


@dataclasses.dataclass(frozen=True)
class Weight:
    """One weight of a layer.

    Attributes:
        layer: The layer, as `all_layers` gives it.
        variable: The weight.
    """

    layer: keras.layers.Layer
    variable: keras.Variable

    @property
    def name(self) -> str:
        """The layer and the weight, for people."""
        return f"{self.layer.name}/{self.variable.name}"

    @property
    def size(self) -> int:
        """Its numbers."""
        return math.prod(self.variable.shape)

    @property
    def lengths(self) -> list[int]:
        """The lengths of its vectors."""
        if len(self.variable.shape) <= 1 and self.size <= LONGEST:
            return [self.size] if self.size else []
        whole, rest = divmod(self.size, BLOCK)
        return [BLOCK] * whole + ([rest] if rest else [])

    def is_statistic(self, name: str) -> bool:
        """Whether it is the moving mean or variance of a batch normalization."""
        normalizes = isinstance(self.layer, keras.layers.BatchNormalization)
        return normalizes and self.variable.name == f"moving_{name}"

    def values(self) -> np.ndarray:
        """Returns its numbers, laid flat, in float32."""
        return keras.ops.convert_to_numpy(keras.ops.cast(self.variable, "float32")).ravel()

    def assign(self, values: np.ndarray) -> None:
        """Sets its numbers, given flat."""
        self.variable.assign(values.reshape(self.variable.shape))

    def cut(self, values: np.ndarray) -> list[np.ndarray]:
        """Returns its numbers, given flat, as its vectors."""
        return np.split(values, np.cumsum(self.lengths)[:-1]) if self.size else []


def weights(model: keras.Model) -> list[Weight]:
    """Returns the weights that an archive holds as vectors, in its order.

    Raises:
        ArchiveError: If there is a weight of whole numbers that is no counter.
    """
    found = [Weight(layer, one) for layer in all_layers(model) for one in _beside_spectra(layer)]
    names = [*_FIRST, *sorted({one.variable.name for one in found} - {*_FIRST})]
    return sorted(found, key=lambda one: names.index(one.variable.name))


def _beside_spectra(layer: keras.layers.Layer) -> list[keras.Variable]:
    parts = layer.parts() if isinstance(layer, FrequencyTwin) else []
    spectra = {id(one) for part in parts for one in (part.coefficients, part._truncation)}
    found = [one for one in layer.weights if id(one) not in spectra]
    for one in found:
        if "float" not in one.dtype and one.name not in _COUNTERS:
            raise ArchiveError(
                f"An archive holds real numbers. Received: '{one.path}' of type {one.dtype}"
            )
    return [one for one in found if "float" in one.dtype]
