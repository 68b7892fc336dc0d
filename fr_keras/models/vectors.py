"""The weights of a model other than its coefficients: the kernels and vectors of an archive.

A weight with several axes is a kernel in space. A weight with one axis is one vector, unless it is
longer than `LONGEST`: then it is cut into vectors of `BLOCK` numbers, which are quick to transform.
Similar vectors follow one another, because the archive codes their lengths and steps as
differences. The first version of the format has no kernels in space: there, these are flattened and
cut as long vectors are.

The state of random generators, and counters that only training reads, are not stored.
"""

import collections
import dataclasses
import math
from collections.abc import Iterable, Iterator

import keras
import numpy as np

from fr_archive import ArchiveError
from fr_keras.layers import FrequencyTwin
from fr_keras.models.walk import named_layers

LONGEST = 1 << 12
BLOCK = 1 << 10
_FIRST = ("moving_mean", "moving_variance", "gamma", "beta", "bias")
_COUNTERS = ("count",)


@dataclasses.dataclass(frozen=True)
class Weight:
    """One weight of a layer.

    Attributes:
        layer: The layer, as `named_layers` gives it.
        variable: The weight.
        layer_name: The name of the layer in `named_layers`.
        name: The name of the layer and of the weight, for people, with a number where a layer has
            several weights of that name.
    """

    layer: keras.layers.Layer
    variable: keras.Variable
    layer_name: str
    name: str

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.variable.shape)

    @property
    def in_space(self) -> bool:
        """Whether it is a kernel in space."""
        return is_in_space(tuple(self.variable.shape))

    @property
    def columns(self) -> int:
        """The length of its last axis, but at least 1."""
        return columns(tuple(self.variable.shape))

    @property
    def lengths(self) -> list[int]:
        """The lengths of its vectors."""
        return lengths(tuple(self.variable.shape))

    def is_statistic(self, name: str) -> bool:
        """Whether it is the moving mean or variance of a batch normalization."""
        normalizes = isinstance(self.layer, keras.layers.BatchNormalization)
        return normalizes and self.variable.name == f"moving_{name}"

    def values(self) -> np.ndarray:
        """Returns its numbers, flattened, in float32."""
        return keras.ops.convert_to_numpy(keras.ops.cast(self.variable, "float32")).ravel()

    def assign(self, values: np.ndarray) -> None:
        """Sets its numbers, given flat."""
        self.variable.assign(values.reshape(self.variable.shape))

    def cut(self, values: np.ndarray) -> list[np.ndarray]:
        """Returns its numbers, given flat, as its vectors."""
        return np.split(values, np.cumsum(self.lengths)[:-1]) if self.size else []


def is_in_space(shape: tuple[int, ...]) -> bool:
    """Whether a weight of that shape is a kernel in space."""
    return len(shape) > 1


def columns(shape: tuple[int, ...]) -> int:
    """Returns the length of the last axis of a kernel of that shape, but at least 1."""
    return max(1, shape[-1])


def lengths(shape: tuple[int, ...]) -> list[int]:
    """Returns the lengths of the vectors of a weight of that shape."""
    size = math.prod(shape)
    if len(shape) <= 1 and size <= LONGEST:
        return [size] if size else []
    whole, rest = divmod(size, BLOCK)
    return [BLOCK] * whole + ([rest] if rest else [])


def weights(model: keras.Model) -> list[Weight]:
    """Returns the weights that an archive holds beside coefficients, in its order.

    Raises:
        ArchiveError: If there is an integer weight that is not a counter.
    """
    found = [one for named in named_layers(model).items() for one in _of_layer(*named)]
    return sorted(found, key=lambda one: place_of(one.variable))


def place_of(variable: keras.Variable) -> tuple[int, str]:
    """Returns what the weights of an archive are sorted by; equal ones keep the layers' order."""
    name = variable.name
    return (_FIRST.index(name), "") if name in _FIRST else (len(_FIRST), name)


def _of_layer(layer_name: str, layer: keras.layers.Layer) -> Iterator[Weight]:
    times = collections.Counter()
    for variable in _beside_spectra(layer):
        times[variable.name] += 1
        number = f" {times[variable.name]}" if times[variable.name] > 1 else ""
        yield Weight(layer, variable, layer_name, f"{layer_name}/{variable.name}{number}")


def _beside_spectra(layer: keras.layers.Layer) -> list[keras.Variable]:
    parts = layer.parts() if isinstance(layer, FrequencyTwin) else []
    return real_weights(layer, [(part.coefficients, part._truncation) for part in parts])


def real_weights(
    layer: keras.layers.Layer, but: Iterable[Iterable[keras.Variable]] = ()
) -> list[keras.Variable]:
    """Returns the floating-point weights of a layer.

    Args:
        layer: The layer.
        but: Weights to leave out.

    Raises:
        ArchiveError: If there is an integer weight that is not a counter.
    """
    others = {id(one) for part in but for one in part}
    found = [one for one in layer.weights if id(one) not in others]
    for one in found:
        if "float" not in one.dtype and one.name not in _COUNTERS:
            raise ArchiveError(
                "An archive can hold only floating-point weights. "
                f"Received: '{one.path}' of type {one.dtype}"
            )
    return [one for one in found if "float" in one.dtype]
