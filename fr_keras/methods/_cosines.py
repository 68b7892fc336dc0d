"""FR layers among those that are factored: the chains of cosines that they are already."""

import dataclasses
import math
from collections.abc import Sequence

import keras

from fr_keras.layers import Chain, FactoredKernel, FRBatchNormalization, FrequencyTwin
from fr_keras.layers.forms import WHOLE
from fr_keras.methods._linear import Dense, Linear, Stage
from fr_keras.models.baking import bake
from fr_keras.models.walk import all_layers, check_exact, check_graph, named_layers


@dataclasses.dataclass(frozen=True)
class Cosines:
    """The cheapest way to write an FR layer at its corner, which has no error.

    Attributes:
        layer: The FR layer.
        chain: The chain; it may be the whole kernel.
        cost: What it costs.
        limit: The ranks with which learnt factors have no error either.
    """

    layer: FactoredKernel
    chain: Chain
    cost: int
    limit: tuple[int, int]

    @classmethod
    def of(cls, layer: FactoredKernel, one: Linear, positions: Sequence[int]) -> "Cosines":
        """Returns that of an FR layer.

        Args:
            layer: The FR layer.
            one: The plain layer that computes the same.
            positions: How often an input stage, a core and an output stage are applied.
        """
        of_role = dict(zip(("in", "core", "out"), positions, strict=True))

        def cost(chain: Chain) -> int:
            counts = zip(chain.roles, chain.counts, strict=True)
            return sum(of_role[role] * count for role, count in counts)

        chains = layer.chains(layer.corner)
        chain = min(chains, key=lambda one: (cost(one), len(one.roles)))
        return cls(layer, chain, cost(chain), _limit(layer, one))

    @property
    def is_whole(self) -> bool:
        return self.chain.roles == WHOLE

    def stages(self) -> list[Stage]:
        """Returns the layers of the chain, not built."""
        roles = self.chain.roles
        kernels = self.layer.corner_kernels(roles)
        layers = self.layer.stage_layers(roles, kernels)
        return list(zip(roles, layers, kernels.values(), strict=True))


def without_twins(model: keras.Model) -> tuple[keras.Model, dict[str, FactoredKernel]]:
    """Returns a model with whole kernels in place of FR layers, and those that have chains."""
    check_graph(model)
    check_exact(
        model, "because their levels would be lost: give `fr_keras.bake(model)` to let them go"
    )
    kinds = FrequencyTwin, FRBatchNormalization
    if not any(isinstance(layer, kinds) for layer in all_layers(model)):
        return model, {}
    named = named_layers(model).items()
    return bake(model), {name: one for name, one in named if isinstance(one, FactoredKernel)}


def _limit(layer: FactoredKernel, one: Linear) -> tuple[int, int]:
    _, k, s, t = one.shape
    r_in, r_out = (math.prod(layer.corner[axis] for axis in axes) for axes in layer.ends())
    if k == 1:
        return s, min(s, t, r_in, r_out)
    if isinstance(one, Dense):  # the last axis of what was flattened has a rank of its own
        axes = layer.input_axes or (k * s,)
        r_in = layer.corner[-2] if axes[-1] == s else s
    return min(s, r_in), min(t, r_out)
