"""How many coefficients each layer keeps, when a number is given for the whole model."""

import math
from collections.abc import Mapping

from fr_keras.layers import FRDense, FrequencyKernel

#: `keep` as users give it: a count, a fraction, or one of these per layer name.
Keep = int | float | Mapping[str, int | float]

#: The least number of coefficients per kind of layer that the authors' package frereg keeps.
FREREG_FLOORS = {"conv": 128, "dense": 256, "transpose": 32}


def targets(
    layers: list[FrequencyKernel], keep: Keep, floors: int | str = 1
) -> list[tuple[FrequencyKernel, int]]:
    """Returns the layers that are to be cut, each with the coefficients it keeps.

    A total is shared in two steps: every layer gets its floor, and what is left is shared in
    proportion to what the layers have above it. The shares add up to the total exactly.

    Args:
        layers: The FR layers of a model.
        keep: A total (int), a fraction of all coefficients (float), or a dict from layer name to
            either. Dict entries are never floored; layers not in the dict are not in the result.
        floors: The least a layer gets from a total, or `"frereg"` for that package's floors. A
            layer smaller than its floor is kept whole.

    Raises:
        ValueError: If a number is out of range, a total cannot feed the floors, or a dict names
            a layer that is not there or is there twice.
    """
    sizes = [math.prod(layer.coefficients.shape) for layer in layers]
    if isinstance(keep, Mapping):
        return _named(layers, sizes, keep)
    total = _count(keep, sum(sizes), "keep")
    least = [min(_floor(layer, floors), n) for layer, n in zip(layers, sizes, strict=True)]
    return list(zip(layers, share(sizes, total, least), strict=True))


def share(sizes: list[int], total: int, floors: list[int]) -> list[int]:
    """Shares `total`: floors first, the rest in proportion to `sizes - floors`, exactly.

    Args:
        sizes: The most each may get.
        total: What is shared, at most the sum of `sizes`.
        floors: The least each gets, none above its size.

    Raises:
        ValueError: If the floors add up to more than `total`.

    Example:

    >>> share([10, 90], 12, [2, 2])
    [3, 9]
    """
    spare = total - sum(floors)
    if spare < 0:
        raise ValueError(
            f"`keep` must be at least {sum(floors)}, the sum of the layers' floors {floors}. "
            f"Received: {total}. Lower `floors` or give `keep` as a dict."
        )
    room = [size - floor for size, floor in zip(sizes, floors, strict=True)]
    whole = max(sum(room), 1)
    shares = [floor + spare * r // whole for floor, r in zip(floors, room, strict=True)]
    by_remainder = sorted(range(len(sizes)), key=lambda i: -(spare * room[i] % whole))
    for i in by_remainder[: total - sum(shares)]:
        shares[i] += 1
    return shares


def _named(layers, sizes, keep) -> list[tuple[FrequencyKernel, int]]:
    names = [layer.name for layer in layers]
    wrong = sorted(name for name in keep if names.count(name) != 1)
    if wrong or not keep:
        raise ValueError(
            f"`keep` must name FR layers of the model, each name once: {sorted(names)}. "
            f"Received: {wrong or 'an empty dict'}"
        )
    return [
        (layer, _count(keep[layer.name], size, f"keep[{layer.name!r}]"))
        for layer, size in zip(layers, sizes, strict=True)
        if layer.name in keep
    ]


def _count(keep: int | float, size: int, argument: str) -> int:
    is_number = isinstance(keep, (int, float)) and not isinstance(keep, bool)
    if isinstance(keep, float) and 0 < keep <= 1:
        return max(1, round(keep * size))
    if not is_number or isinstance(keep, float) or not 1 <= keep <= size:
        raise ValueError(
            f"`{argument}` must be a whole number from 1 to {size}, or a fraction above 0 and at "
            f"most 1.0. Received: {keep!r}"
        )
    return keep


def _floor(layer: FrequencyKernel, floors: int | str) -> int:
    if floors == "frereg":
        if isinstance(layer, FRDense):
            return FREREG_FLOORS["dense"]
        return FREREG_FLOORS["transpose" if "Transpose" in type(layer).__name__ else "conv"]
    if isinstance(floors, bool) or not isinstance(floors, int) or floors < 1:
        raise ValueError(
            f"`floors` must be a whole number of at least 1, or 'frereg'. Received: {floors!r}"
        )
    return floors
