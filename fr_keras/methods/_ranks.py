"""The ranks of the layers of a model: by EVBMF, within a budget, or as they are given."""

import bisect
import dataclasses
import numbers
import warnings
from collections.abc import Callable, Mapping

import keras
import numpy as np

from fr_keras.methods._chain_costs import Costs
from fr_keras.methods._evbmf import evbmf
from fr_keras.methods._linear import Linear
from fr_keras.methods._outputs import Statistics
from fr_keras.methods._rank_lines import FEW, STEPS, Pairs, axes, equal_losses, equal_shares, pair
from fr_keras.methods._rank_sensitivity import sensitive
from fr_keras.methods._rank_shares import curve, spent
from fr_keras.methods._tucker2 import singular_values

#: `ranks` as users give them.
Ranks = str | int | float | Mapping[str, int | tuple[int, int]]


#: How the layers of a model share a budget.
SHARINGS = ("equal", "error", "sensitivity")


@dataclasses.dataclass(frozen=True)
class Candidates:
    """The layers of a model that can become chains, and what is known of them.

    Attributes:
        model: The model.
        layers: These layers by name.
        costs: What their chains cost.
        rows: Batches of inputs, or `None`.
        seen: How inputs and outputs of the layers vary on the rows; `None` without rows.
    """

    model: keras.Model
    layers: dict[str, Linear]
    costs: Costs
    rows: list | None
    seen: Mapping[str, Statistics] | None

    def learnt(self) -> dict[str, Linear]:
        """Returns the layers that do not come from FR layers."""
        return {name: x for name, x in self.layers.items() if self.costs.of[name].cosines is None}


def checked_ranks(found: dict[str, Linear], ranks: Ranks) -> str | int | float | Pairs:
    """Returns `ranks` with pairs in place of single ranks, or raises a ValueError."""
    if isinstance(ranks, Mapping):
        return _by_name(found, ranks)
    if isinstance(ranks, str) and ranks == "evbmf":
        return ranks
    whole = isinstance(ranks, numbers.Integral)
    if whole and not isinstance(ranks, bool) and ranks >= 1:
        return int(ranks)
    if isinstance(ranks, numbers.Real) and not whole and 0 < ranks <= 1:
        return float(ranks)
    raise ValueError(
        "`ranks` must be 'evbmf', a number from 1 in the unit of `measure` (int), a fraction "
        "above 0 and at most 1 (float), or a dict from layer names to ranks. "
        f"Received: {ranks!r}"
    )


def check_sharing(sharing: str, ranks: str | int | float | Pairs, has_data: bool) -> None:
    """Raises a ValueError if the ranks, as `checked_ranks` returns them, cannot be shared so."""
    if sharing not in SHARINGS:
        raise ValueError(f"`sharing` must be one of {SHARINGS}. Received: {sharing!r}")
    if isinstance(ranks, (str, Mapping)):
        return  # there is nothing to share
    if sharing == "sensitivity" and not has_data:
        raise ValueError(
            "`data` must be rows if `sharing` is 'sensitivity', because the change of the model's "
            "outputs is measured on them. Received: None"
        )


def chosen_ranks(found: Candidates, ranks: str | int | float | Pairs, sharing: str) -> Pairs:
    """Returns the ranks of each layer that is to be factored, before stages are merged.

    Args:
        found: The layers that can become chains.
        ranks: As `checked_ranks` returns them.
        sharing: How the layers share a budget.
    """
    if isinstance(ranks, Mapping):
        return ranks
    layers, learnt = found.layers, found.learnt()
    flat = {name: pair(one, 1) for name, one in learnt.items() if np.ptp(one.kernel()) == 0}
    if flat:
        warnings.warn(
            f"the kernels of these layers have one value only, and their rank is 1: {[*flat]}. "
            "Were they trained?",
            stacklevel=4,
        )
    if isinstance(ranks, str):
        limits = {n: found.costs.of[n].cosines.limit for n in layers if n not in learnt}
        return {**flat, **limits, **_by_evbmf({n: learnt[n] for n in learnt if n not in flat})}
    if sharing != "equal":
        return _shared(found, sharing, ranks)
    others = {name: one for name, one in layers.items() if name not in flat}
    line = equal_shares(others) if found.seen is None else equal_losses(others, found.seen)
    return _within(found, lambda step: {**flat, **line(step)}, ranks)


def _by_evbmf(found: dict[str, Linear]) -> Pairs:
    """For each axis the largest rank among the groups."""
    pairs, noise = {}, []
    for name, one in found.items():
        kernel = one.kernel()
        ranks = [max(_rank(group, axis) for group in kernel) for axis in axes(one)]
        pairs[name] = pair(one, *ranks)
        if pairs[name] != one.shape[2:] and not min(ranks):
            noise.append(name)
    if noise:
        warnings.warn(
            f"EVBMF finds nothing but noise in the kernels of {noise}, so that their rank is 1. "
            "They may not have been trained long. Take a budget as `ranks` instead, best with "
            "`data`.",
            stacklevel=5,
        )
    return pairs


def _rank(kernel: np.ndarray, axis: int) -> int:
    sides = kernel.shape[axis], kernel.size // kernel.shape[axis]
    return evbmf(singular_values(kernel, axis), sides)[0]


def _within(found: Candidates, line: Callable[[int], Pairs], budget: int | float) -> Pairs:
    """The last ranks of a line of growing ones within a budget."""

    def cost(step: int) -> int:
        pairs = ((found.costs.of[name], ranks) for name, ranks in line(step).items())
        return sum(one.least(ranks) for one, ranks in pairs)

    most = found.costs.budget(budget, cost(0))
    return line(bisect.bisect_right(range(STEPS + 1), most, key=cost) - 1)


def _shared(found: Candidates, sharing: str, budget: int | float) -> Pairs:
    """The ranks with a small sum of errors within a budget."""
    seen = found.seen or {}
    curves = {n: curve(one, seen.get(n), found.costs.of[n]) for n, one in found.layers.items()}
    most = found.costs.budget(budget, sum(int(one.costs[0]) for one in curves.values()))
    if sharing == "sensitivity":
        curves = sensitive(found.model, found.layers, curves, seen, found.rows)
    numbers = spent(curves, most)
    return {name: tuple(map(int, curves[name].pairs[at])) for name, at in numbers.items()}


def _by_name(found: dict[str, Linear], ranks: Mapping) -> Pairs:
    unknown = sorted(str(name) for name in ranks if name not in found)
    if unknown or not ranks:
        raise ValueError(
            "`ranks` must name layers of the model that can become chains, with paths where layers "
            f"of nested models share a name: {sorted(found)}. Received: "
            f"{unknown or 'an empty dict'}"
        )
    return {name: _checked(name, found[name].shape, one) for name, one in ranks.items()}


def _checked(name: str, shape: tuple, given) -> tuple[int, int]:
    _, k, s, t = shape
    whole = lambda one: isinstance(one, numbers.Integral) and not isinstance(one, bool)  # noqa: E731
    if k == 1:
        # `tucker_ranks` says a pair.
        paired = isinstance(given, (tuple, list)) and len(given) == 2 and given[0] == s
        rank = given[1] if paired else given
        if whole(rank) and 1 <= rank <= min(s, t):
            return s, int(rank)
        rule = (
            f"one whole number from 1 to {min(s, t)}, because its kernel is a matrix, or a pair of "
            f"{s} and this number"
        )
    else:
        pair = given
        if whole(given):
            pair = [n if n <= FEW else given for n in (s, t)]
        if (
            isinstance(pair, (tuple, list))
            and len(pair) == 2
            and all(whole(r) and 1 <= r <= n for r, n in zip(pair, (s, t), strict=True))
        ):
            return int(pair[0]), int(pair[1])
        rule = (
            f"a pair of whole numbers from (1, 1) to ({s}, {t}), the channels that a group has, or "
            "one number for both"
        )
    raise ValueError(f"`ranks[{name!r}]` must be {rule}. Received: {given!r}")
