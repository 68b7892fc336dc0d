"""What chains cost by their ranks."""

import dataclasses
import itertools
import math


@dataclasses.dataclass(frozen=True)
class Cost:
    """What the chain of a layer costs by its ranks.

    Attributes:
        shape: The shape `(groups, k, s, t)` of its kernel.
    """

    shape: tuple[int, int, int, int]

    @property
    def whole(self) -> int:
        """That of the layer without a chain."""
        return math.prod(self.shape)

    def __call__(self, ranks):
        """Returns the number of weights of a chain; for arrays of ranks, an array."""
        groups, k, s, t = self.shape
        r_in, r_out = ranks
        ends = s * r_in * (r_in < s) + r_out * t * (r_out < t)
        return groups * (k * r_in * r_out + ends)

    def smallest(self, ranks: tuple[int, int]) -> tuple[int, int]:
        """Returns the ranks with whole axes where the stage costs more than merging it in."""
        whole = self.shape[2:]
        choices = itertools.product(*({r, n} for r, n in zip(ranks, whole, strict=True)))
        stages = lambda one: sum(r < n for r, n in zip(one, whole, strict=True))  # noqa: E731
        return min(choices, key=lambda one: (self(one), stages(one)))
