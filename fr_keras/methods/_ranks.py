"""The ranks of the layers of a model: by EVBMF, within a budget, or as they are given."""

import bisect
import math
import numbers
import warnings
from collections.abc import Callable, Mapping

import keras
import numpy as np

from fr_keras.methods._evbmf import evbmf
from fr_keras.methods._layer_ranks import count_weights, smallest
from fr_keras.methods._linear import Linear
from fr_keras.methods._outputs import Statistics
from fr_keras.methods._rank_lines import FEW, STEPS, Pairs, axes, equal_losses, equal_shares, pair
from fr_keras.methods._tucker2 import singular_values
from fr_keras.models.summaries import summary

#: `ranks` as users give them.
Ranks = str | int | float | Mapping[str, int | tuple[int, int]]


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
        "`ranks` must be 'evbmf', a number of kernel weights from 1 (int), a fraction of them "
        "above 0 and at most 1 (float), or a dict from layer names to ranks. "
        f"Received: {ranks!r}"
    )


def chosen_ranks(
    model: keras.Model,
    found: dict[str, Linear],
    ranks: str | int | float | Pairs,
    seen: Mapping[str, Statistics] | None,
) -> Pairs:
    """Returns the ranks of each layer that is to be factored, before stages are merged.

    Args:
        model: The model.
        found: Its layers that can become chains.
        ranks: As `checked_ranks` returns them.
        seen: How their inputs and outputs vary, if that is known.
    """
    if isinstance(ranks, Mapping):
        return ranks
    flat = {name: pair(one, 1) for name, one in found.items() if np.ptp(one.kernel()) == 0}
    if flat:
        warnings.warn(
            f"the kernels of these layers have one value only, and their rank is 1: {[*flat]}. "
            "Were they trained?",
            stacklevel=4,
        )
    others = {name: one for name, one in found.items() if name not in flat}
    if isinstance(ranks, str):
        return {**flat, **_by_evbmf(others)}
    line = equal_shares(others) if seen is None else equal_losses(others, seen)
    return _within(model, found, lambda step: {**flat, **line(step)}, ranks)


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


def _within(
    model: keras.Model, found: dict[str, Linear], line: Callable[[int], Pairs], budget: int | float
) -> Pairs:
    """The last ranks of a line of growing ones within a budget of kernel weights."""
    shapes = {name: one.shape for name, one in found.items()}
    total = summary(model).total("kernel_weights")
    fixed = total - sum(map(math.prod, shapes.values()))
    most = budget * total if isinstance(budget, float) else budget

    def cost(step: int) -> int:
        pairs = ((shapes[name], one) for name, one in line(step).items())
        return fixed + sum(count_weights(shape, smallest(shape, one)) for shape, one in pairs)

    if cost(0) > most or most > total:
        raise ValueError(
            f"`ranks` must be from {cost(0):,} kernel weights, which are left when all ranks are "
            f"1, to the {total:,} of the model. Received: {budget!r}"
        )
    return line(bisect.bisect_right(range(STEPS + 1), most, key=cost) - 1)


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
        if whole(given) and 1 <= given <= min(s, t):
            return s, int(given)
        rule = f"one whole number from 1 to {min(s, t)}, because its kernel is a matrix"
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
