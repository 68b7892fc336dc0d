"""The forms in which an FR layer is written down as plain Keras, and how one is chosen."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping

import keras

from fr_keras.layers import Chain, FactoredKernel

WHOLE = ("core",)

# The chain that costs least, by form; of equal ones that of fewer stages.
_COSTS = {
    "dense": lambda chain: len(chain.roles),
    "factored": lambda chain: (chain.roles == WHOLE, chain.multiply_adds, len(chain.roles)),
    "auto": lambda chain: (chain.multiply_adds * chain.weights, len(chain.roles)),
}


def chooser(form: str) -> Callable[[FactoredKernel], Chain]:
    """Returns what picks a layer's chain from the corner that it keeps now.

    Args:
        form: `"dense"`: the whole kernel; `"factored"`: the chain of two stages or three with the
            fewest multiply-adds; `"auto"`: the whole kernel or a chain, whichever has the
            smallest product of multiply-adds and weights.

    Raises:
        ValueError: If the form is unknown.
    """
    if form not in _COSTS:
        raise ValueError(f"`form` must be one of {tuple(_COSTS)}. Received: form={form!r}")
    return lambda layer: min(layer.chains(layer.corner), key=_COSTS[form])


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
