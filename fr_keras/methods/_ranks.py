"""The ranks of the layers of a model: by EVBMF, within a budget, or as they are given."""

import bisect
import math
import numbers
import warnings
from collections.abc import Mapping

import keras
import numpy as np

from fr_keras.methods._evbmf import evbmf
from fr_keras.methods._layer_ranks import count_weights, smallest
from fr_keras.methods._linear import Linear
from fr_keras.methods._tucker2 import LONGEST, is_randomized, singular_values
from fr_keras.models.summaries import summary

#: `ranks` as users give them.
Ranks = str | int | float | Mapping[str, int | tuple[int, int]]

_FEW = 3  # channels that are not factored, such as colours
_STEPS = 1000  # of the common factor between no rank and whole axes


def chosen_ranks(model: keras.Model, found: dict[str, Linear], ranks: Ranks) -> dict:
    """Returns the pair of ranks of each layer that is to be factored, before merging."""
    if isinstance(ranks, Mapping):
        return _by_name(model, found, ranks)
    whole = isinstance(ranks, numbers.Integral)
    if not (
        (isinstance(ranks, str) and ranks == "evbmf")
        or (whole and not isinstance(ranks, bool) and ranks >= 1)
        or (isinstance(ranks, numbers.Real) and not whole and 0 < ranks <= 1)
    ):
        raise ValueError(
            "`ranks` must be 'evbmf', a number of kernel weights from 1 (int), a fraction of them "
            "above 0 and at most 1 (float), or a dict from layer names to ranks. "
            f"Received: {ranks!r}"
        )
    own = {name: _own_ranks(name, one) for name, one in found.items()}
    return own if isinstance(ranks, str) else _within(model, found, own, ranks)


def _own_ranks(name: str, one: Linear) -> tuple[int, int]:
    """The ranks by EVBMF: for each axis the largest among the groups."""
    kernel, (_, k, s, t) = one.kernel(), one.shape
    if np.ptp(kernel) == 0:
        warnings.warn(
            f"layer '{name}' has a kernel of one value, {kernel.flat[0]:g}, so that its rank is "
            "1. Was it trained?",
            stacklevel=4,
        )
    if is_randomized((k, s, t)):
        warnings.warn(
            f"layer '{name}' has a kernel with both sides longer than {LONGEST}: its ranks and "
            "factors are approximated by a randomized decomposition.",
            stacklevel=4,
        )
    if k == 1 and min(s, t) <= _FEW:
        return s, t
    if k == 1:
        return s, max(evbmf(singular_values(group, 1), (s, t))[0] for group in kernel)
    r_in = max(evbmf(singular_values(group, 1), (s, k * t))[0] for group in kernel)
    r_out = max(evbmf(singular_values(group, 2), (t, k * s))[0] for group in kernel)
    return s if s <= _FEW else r_in, t if t <= _FEW else r_out


def _within(
    model: keras.Model, found: dict[str, Linear], own: dict[str, tuple[int, int]], budget
) -> dict[str, tuple[int, int]]:
    """All ranks times the largest common factor within a budget of kernel weights."""
    shapes = {name: one.shape for name, one in found.items()}
    total = summary(model).total("kernel_weights")
    fixed = total - sum(map(math.prod, shapes.values()))
    most = budget * total if isinstance(budget, float) else budget
    # Behind this factor, every axis is whole.
    last = _STEPS * max(max(shape[2:]) for shape in shapes.values())

    def scaled(step: int) -> dict[str, tuple[int, int]]:
        return {name: _scaled(shapes[name], own[name], step / _STEPS) for name in shapes}

    def cost(step: int) -> int:
        pairs = ((shapes[name], one) for name, one in scaled(step).items())
        return fixed + sum(count_weights(shape, smallest(shape, one)) for shape, one in pairs)

    if cost(0) > most or most > total:
        raise ValueError(
            f"`ranks` must be from {cost(0):,} kernel weights, which are left when all ranks are "
            f"1, to the {total:,} of the model. Received: {budget!r}"
        )
    return scaled(bisect.bisect_right(range(last + 1), most, key=cost) - 1)


def _scaled(shape: tuple, own: tuple[int, int], factor: float) -> tuple[int, int]:
    _, k, *whole = shape
    if k == 1 and min(whole) <= _FEW:
        return own
    if k == 1:
        return whole[0], min(max(round(factor * own[1]), 1), whole[1])
    return tuple(
        n if n <= _FEW else min(max(round(factor * r), 1), n)
        for r, n in zip(own, whole, strict=True)
    )


def _by_name(model: keras.Model, found: dict[str, Linear], ranks: Mapping) -> dict:
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
            pair = [n if n <= _FEW else given for n in (s, t)]
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
