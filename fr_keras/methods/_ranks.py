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
from fr_keras.methods._tucker2 import precise, singular_values
from fr_keras.models.summaries import summary

#: `ranks` as users give them.
Ranks = str | int | float | Mapping[str, int | tuple[int, int]]

#: For each layer a pair of ranks: how many of its input and of its output channels.
Pairs = dict[str, tuple[int, int]]

_FEW = 3  # channels that are not factored, such as colours
_STEPS = 2000  # of a budget
_STEPS_OF_TEN = 250  # of them until the loss that is allowed is a tenth


def chosen_ranks(
    model: keras.Model, found: dict[str, Linear], ranks: Ranks, roots: Mapping[str, list] | None
) -> Pairs:
    """Returns the ranks of each layer that is to be factored, before stages are merged.

    Args:
        model: The model.
        found: Its layers that can become chains.
        ranks: As for `tucker`.
        roots: The roots of the covariances of their inputs, as `input_roots` gives them.
    """
    if isinstance(ranks, Mapping):
        return _by_name(found, ranks)
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
    flat = {name: _pair(one, 1) for name, one in found.items() if np.ptp(one.kernel()) == 0}
    if flat:
        warnings.warn(
            f"the kernels of these layers have one value only, and their rank is 1: {[*flat]}. "
            "Were they trained?",
            stacklevel=4,
        )
    others = {name: one for name, one in found.items() if name not in flat}
    if isinstance(ranks, str):
        return {**flat, **_by_evbmf(others)}
    line = _equal_shares(others) if roots is None else _equal_losses(others, roots)
    return _within(model, found, lambda step: {**flat, **line(step)}, ranks)


def _axes(one: Linear) -> tuple[int, ...]:
    """The axes of `(k, s, t)` that have ranks of their own; those of a matrix are the same."""
    return (2,) if one.shape[1] == 1 else (1, 2)


def _pair(one: Linear, *ranks: int) -> tuple[int, int]:
    """The ranks of both axes from those of `_axes`: at least one, and few channels stay whole."""
    _, k, s, t = one.shape
    r_in, r_out = max(1, int(ranks[0])), max(1, int(ranks[-1]))
    if k == 1:
        return s, t if min(s, t) <= _FEW else r_out
    return s if s <= _FEW else r_in, t if t <= _FEW else r_out


def _by_evbmf(found: dict[str, Linear]) -> Pairs:
    """For each axis the largest rank among the groups."""
    pairs, noise = {}, []
    for name, one in found.items():
        kernel = one.kernel()
        ranks = [max(_rank(group, axis) for group in kernel) for axis in _axes(one)]
        pairs[name] = _pair(one, *ranks)
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


def _equal_shares(found: dict[str, Linear]) -> Callable[[int], Pairs]:
    """All ranks by one factor of the axes, or of the shorter one of a matrix."""

    def ranks(step: int) -> Pairs:
        pairs = {}
        for name, one in found.items():
            _, k, s, t = one.shape
            sides = (min(s, t),) if k == 1 else (s, t)
            pairs[name] = _pair(one, *(round(n * step / _STEPS) for n in sides))
        return pairs

    return ranks


def _equal_losses(found: dict[str, Linear], roots: Mapping[str, list]) -> Callable[[int], Pairs]:
    """The least ranks with which each axis loses at most one share of the outputs' variance."""
    lost = {}
    for name, one in found.items():
        kernel = np.stack([precise(group) for group in one.kernel()])
        if name in roots:
            kernel = np.stack(roots[name])[:, None] @ kernel
        lost[name] = [[_losses(group, axis) for group in kernel] for axis in _axes(one)]

    def ranks(step: int) -> Pairs:
        most = 10 ** (-step / _STEPS_OF_TEN)
        return {
            name: _pair(
                one, *(max(np.count_nonzero(g > most) for g in axis) for axis in lost[name])
            )
            for name, one in found.items()
        }

    return ranks


def _losses(kernel: np.ndarray, axis: int) -> np.ndarray:
    """The share of the squares that is lost with no rank along an axis, with one, and so on."""
    lost = np.cumsum(singular_values(kernel, axis)[::-1] ** 2)[::-1]
    return lost / (lost[0] or 1)


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
    return line(bisect.bisect_right(range(_STEPS + 1), most, key=cost) - 1)


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
