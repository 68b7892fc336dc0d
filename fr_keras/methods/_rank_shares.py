"""Ranks by what they buy: the least sum of errors that a budget pays for."""

import bisect
import dataclasses
import itertools
from collections.abc import Mapping

import numpy as np

from fr_keras.methods._chain_costs import Cost
from fr_keras.methods._linear import Linear
from fr_keras.methods._outputs import Statistics
from fr_keras.methods._rank_lines import FEW, squares

_GRID = 512  # ranks of an axis that are looked at; of a longer one, in steps that grow
_ROUNDING = 1e-12  # of the energy of a kernel


@dataclasses.dataclass(frozen=True)
class Curve:
    """The chains that a layer may become, with rising costs and falling errors.

    Attributes:
        pairs: Their ranks, `(chains, 2)`.
        costs: What each costs.
        errors: The error of each.
    """

    pairs: np.ndarray
    costs: np.ndarray
    errors: np.ndarray

    @classmethod
    def of(cls, pairs: np.ndarray, costs: np.ndarray, errors: np.ndarray) -> "Curve":
        """Returns the curve of those chains that have a smaller error than all cheaper ones."""
        errors = np.where(errors < _ROUNDING, 0.0, errors)
        order = np.lexsort((errors, costs))
        before = np.append(np.inf, np.minimum.accumulate(errors[order])[:-1])
        kept = order[errors[order] < before]
        return cls(pairs[kept], costs[kept], errors[kept])

    def corners(self) -> list[int]:
        """Returns the numbers of the chains on the lower convex hull, from the first to the last.

        From each to the next, a unit of cost takes less of the error than before.
        """
        found: list[int] = []
        for last in range(len(self.costs)):
            while len(found) > 1 and self.rate(*found[-2:]) <= self.rate(found[-1], last):
                found.pop()
            found.append(last)
        return found

    def rate(self, one: int, other):
        """Returns how much of the error a unit of cost takes from one chain to another, or some."""
        return (self.errors[one] - self.errors[other]) / (self.costs[other] - self.costs[one])


def curve(one: Linear, seen: Statistics | None, cost: Cost) -> Curve:
    """Returns the chains of a layer, with the share of its outputs, or kernel, that each loses.

    A chain of two ranks loses at most what each of them alone would, and that sum is taken. It is
    exact where one axis stays whole and for a matrix. The chain of cosines of an FR layer has no
    error.

    Args:
        one: The layer.
        seen: How its inputs and outputs vary, if that is known.
        cost: What its chains cost.
    """
    _, k, s, t = one.shape
    lost = [_lost(found.sum(0)) for found in squares(one, seen)]
    if k == 1:
        ranks = _grid(min(s, t))
        pairs = np.stack([np.full_like(ranks, s), ranks], 1)
        errors = lost[0](ranks)
        if min(s, t) <= FEW:
            pairs, errors = pairs[:0], errors[:0]
        pairs, errors = np.append(pairs, [(s, t)], 0), np.append(errors, 0.0)
    else:
        grids = [_grid(n) if n > FEW else np.array([n]) for n in (s, t)]
        pairs = np.stack(np.meshgrid(*grids, indexing="ij"), -1).reshape(-1, 2)
        errors = sum(axis(ranks) for axis, ranks in zip(lost, pairs.T, strict=True))
    costs = cost(pairs.T)
    if cost.cosines is not None:
        pairs = np.append(pairs, [cost.cosines.limit], 0)
        costs, errors = np.append(costs, cost.cosines.cost), np.append(errors, 0.0)
    return Curve.of(pairs, costs, errors)


def spent(curves: Mapping[str, Curve], budget: float) -> dict[str, int]:
    """Returns the number of the chain of each layer, with a small sum of errors within a budget.

    All begin with their cheapest one. Along the convex hulls, the change that takes the most of the
    error for a unit of cost comes first, until one cannot be paid. Then it is the same with all
    chains that can be, until there is none. The sum is above the least one by at most what that
    first change would have taken.

    Args:
        curves: The chains of each layer, of which the budget pays for the cheapest ones.
        budget: The most that all chains may cost.
    """
    at = dict.fromkeys(curves, 0)
    left = budget - sum(one.costs[0] for one in curves.values())
    changes = []
    for name, one in curves.items():
        pairs = itertools.pairwise(one.corners())
        changes += [(one.rate(*pair), name, *pair) for pair in pairs]
    for _, name, before, after in sorted(changes, reverse=True):
        price = curves[name].costs[after] - curves[name].costs[before]
        if price > left:
            break
        at[name], left = after, left - price
    while changes := [
        (one.rate(at[name], best), name, best)
        for name, one in curves.items()
        if (best := _best(one, at[name], left))
    ]:
        _, name, best = max(changes)
        left -= curves[name].costs[best] - curves[name].costs[at[name]]
        at[name] = best
    return at


def _best(one: Curve, at: int, left: float) -> int | None:
    """The chain to which a change takes the most for a unit of cost, of those that can be paid."""
    last = bisect.bisect_right(one.costs, one.costs[at] + left)
    if last <= at + 1:
        return None
    return at + 1 + int(np.argmax(one.rate(at, slice(at + 1, last))))


def _lost(energies: np.ndarray):
    """The share of all energy behind a number of ranks."""
    sums = np.append(np.cumsum(energies[::-1])[::-1], 0.0)
    shares = sums / (sums[0] or 1)
    return lambda ranks: shares[np.minimum(ranks, len(energies))]


def _grid(length: int) -> np.ndarray:
    if length <= _GRID:
        return np.arange(1, length + 1)
    return np.unique(np.geomspace(1, length, _GRID).round().astype(int))
