"""Where the layers of a baked model come from."""

import dataclasses
from collections.abc import Iterable, Mapping

import keras

from fr_keras.layers.forms import WHOLE


@dataclasses.dataclass(frozen=True)
class Origin:
    """The layer that a layer of a baked model comes from, and its part in it.

    Attributes:
        layer: The original layer.
        chain: The stages of the chain in its place; `("core",)` if it is one layer.
        roles: The stages that this layer stands for; none for a sum of parts.
        channels: For an input stage that reads a part of its input: the first channel, and the one
            after the last.
        reader: The stage that reads this chain, if its matrix is multiplied into this layer.
    """

    layer: keras.layers.Layer
    chain: tuple[str, ...] = WHOLE
    roles: tuple[str, ...] = WHOLE
    channels: tuple[int, int] | None = None
    reader: "Origin | None" = None


@dataclasses.dataclass(frozen=True)
class Baked:
    """A model of plain layers, and where they come from.

    Attributes:
        model: The model.
        origins: The origin of each of its layers except inputs, by `id`.
    """

    model: keras.Model
    origins: Mapping[int, Origin]

    def made_from(self, layers: Iterable[keras.layers.Layer]) -> set[int]:
        """Returns the `id` of each layer that was made from one of these original layers."""
        before = {id(layer) for layer in layers}
        return {plain for plain, one in self.origins.items() if id(one.layer) in before}
