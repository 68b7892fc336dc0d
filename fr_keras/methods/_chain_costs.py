"""What chains cost by their ranks, in kernel weights or in multiply-adds."""

import dataclasses
import itertools
import math
from collections.abc import Mapping

import keras

from fr_keras.layers import FactoredKernel
from fr_keras.methods._cosines import Cosines
from fr_keras.methods._costs import COUNTED, known_positions
from fr_keras.methods._linear import Dense, Linear, Transposed
from fr_keras.models.summaries import summary, uses

_UNITS = {"weights": "kernel weights", "multiply_adds": "multiply-adds"}


@dataclasses.dataclass(frozen=True)
class Cost:
    """What the chain of a layer costs by its ranks.

    Attributes:
        shape: The shape `(groups, k, s, t)` of its kernel.
        positions: How often the input stage, the core and the output stage are applied; once, if
            weights are counted.
        cosines: The chain that it is already, if it comes from an FR layer.
    """

    shape: tuple[int, int, int, int]
    positions: tuple[int, int, int] = (1, 1, 1)
    cosines: Cosines | None = None

    @property
    def whole(self) -> int:
        """That of the layer without a chain."""
        return self.positions[1] * math.prod(self.shape)

    def __call__(self, ranks):
        """Returns what a chain costs; for arrays of ranks, an array."""
        groups, k, s, t = self.shape
        before, core, after = self.positions
        r_in, r_out = ranks
        ends = before * s * r_in * (r_in < s) + after * r_out * t * (r_out < t)
        return groups * (core * k * r_in * r_out + ends)

    def smallest(self, ranks: tuple[int, int]) -> tuple[int, int]:
        """Returns the ranks with whole axes where the stage costs more than merging it in."""
        whole = self.shape[2:]
        choices = itertools.product(*({r, n} for r, n in zip(ranks, whole, strict=True)))
        stages = lambda one: sum(r < n for r, n in zip(one, whole, strict=True))  # noqa: E731
        return min(choices, key=lambda one: (self(one), stages(one)))

    def limited(self, ranks: tuple[int, int]) -> tuple[int, int]:
        """Returns the ranks, but none above those with which an FR layer has no error."""
        limit = ranks if self.cosines is None else self.cosines.limit
        return min(ranks[0], limit[0]), min(ranks[1], limit[1])

    def least(self, ranks: tuple[int, int]) -> int:
        """Returns what a layer of these ranks costs, or without error if that is cheaper."""
        learnt = self(self.smallest(self.limited(ranks)))
        return learnt if self.cosines is None else min(learnt, self.cosines.cost)


@dataclasses.dataclass(frozen=True)
class Costs:
    """What the chains of a model cost.

    Attributes:
        of: Those of each layer that can become a chain.
        fixed: What all other layers cost.
        unit: What is counted.
    """

    of: Mapping[str, Cost]
    fixed: int
    unit: str

    @classmethod
    def counted(
        cls,
        model: keras.Model,
        layers: Mapping[str, Linear],
        measure: str,
        twins: Mapping[str, FactoredKernel],
    ) -> "Costs":
        """Returns what the chains of layers cost, or raises a ValueError.

        Args:
            model: A model of plain layers.
            layers: Those that can become chains.
            measure: What is counted.
            twins: The FR layers that some of them come from.
        """
        if measure not in COUNTED:
            raise ValueError(f"`measure` must be one of {[*COUNTED]}. Received: {measure!r}")
        positions = dict.fromkeys(layers, (1, 1, 1))
        if measure == "multiply_adds":
            known_positions(model)
            positions = _positions(model, layers)
        of = {}
        for name, one in layers.items():
            times, cosines = positions[name], None
            if name in twins:  # all stages of a Dense of cosines read what is flattened
                of_cosines = times[1:2] * 3 if isinstance(one, Dense) else times
                cosines = Cosines.of(twins[name], one, of_cosines)
            of[name] = Cost(one.shape, times, cosines)
        fixed = summary(model).total(COUNTED[measure]) - sum(one.whole for one in of.values())
        return cls(of, fixed, _UNITS[measure])

    def budget(self, budget: int | float, least: int) -> float:
        """Returns what the chains may cost, or raises a ValueError.

        Args:
            budget: What the model may cost, as a number or a fraction.
            least: What the cheapest chains cost.
        """
        total = self.fixed + sum(one.whole for one in self.of.values())
        most = budget * total if isinstance(budget, float) else budget
        if self.fixed + least > most or most > total:
            raise ValueError(
                f"`ranks` must be from {self.fixed + least:,} {self.unit}, which are left when all "
                f"ranks are 1, to the {total:,} of the model. Received: {budget!r}"
            )
        return most - self.fixed


def _positions(model: keras.Model, layers: Mapping[str, Linear]) -> dict[str, tuple[int, int, int]]:
    """How often the stages of the chain of each layer would be applied, over all its uses."""
    sums = {id(one.layer): [0, 0] for one in layers.values()}
    for layer, *ends in uses(model):
        if id(layer) in sums:
            sums[id(layer)] = [a + b for a, b in zip(sums[id(layer)], ends, strict=True)]
    found = {}
    for name, one in layers.items():
        before, after = sums[id(one.layer)]
        if isinstance(one, Dense):  # what a Flatten flattened has more positions
            before *= one.shape[1]
        core = before if isinstance(one, Transposed) else after
        found[name] = before, core, after
    return found
