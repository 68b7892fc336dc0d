"""Where the layers of a baked model come from."""

import dataclasses
from collections.abc import Iterable, Mapping

import keras

from fr_keras.layers.forms import WHOLE


@dataclasses.dataclass(frozen=True)
class Origin:
    """What a layer of a baked model is of the layer that it was baked from.

    Attributes:
        layer: The layer of the model before.
        chain: The stages of the chain in its place; `("core",)` if it is one layer.
        roles: Those of them that this layer is, in one; none for a sum of parts.
        channels: Of an input stage that reads a part of its input: the first channel, and the one
            behind the last.
        reader: What reads this chain, whose matrix is multiplied into this layer.
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
        origins: The origin of each of its layers but inputs, by `id`.
    """

    model: keras.Model
    origins: Mapping[int, Origin]

    def made_from(self, layers: Iterable[keras.layers.Layer]) -> set[int]:
        """The `id` of each layer that was made from one of these layers of the model before."""
        before = {id(layer) for layer in layers}
        return {plain for plain, one in self.origins.items() if id(one.layer) in before}
