"""How many coefficients each layer keeps, when a number is given for the whole model."""

import math
from collections.abc import Mapping

from fr_keras.layers import FRDense, FrequencyKernel

#: `keep` as users give it: a count, a fraction, or one of these per layer name.
Keep = int | float | Mapping[str, int | float]

#: The least number of coefficients per kind of layer that the authors' package frereg keeps.
FREREG_FLOORS = {"conv": 128, "dense": 256, "transpose": 32}


def targets(layers: list[FrequencyKernel], keep: Keep, floors: int | str = 1) -> dict[str, int]:
    """Returns layer name -> coefficients to keep.

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
            a layer that is not there.
    """
    sizes = {layer.name: math.prod(layer.coefficients.shape) for layer in layers}
    if len(sizes) < len(layers):
        names = sorted(layer.name for layer in layers)
        raise ValueError(f"FR layers must have different names. Received: {names}")
    if isinstance(keep, Mapping):
        unknown = sorted(set(keep) - set(sizes))
        if unknown or not keep:
            raise ValueError(
                f"`keep` must name FR layers of the model: {sorted(sizes)}. "
                f"Received: {unknown or 'an empty dict'}"
            )
        return {name: _count(one, sizes[name], f"keep[{name!r}]") for name, one in keep.items()}
    total = _count(keep, sum(sizes.values()), "keep")
    return _share(sizes, total, {layer.name: _floor(layer, floors) for layer in layers})


def _share(sizes: dict[str, int], total: int, floors: dict[str, int]) -> dict[str, int]:
    """Floors first, the rest in proportion, by largest remainder; exact and never above a size."""
    least = {name: min(floors[name], size) for name, size in sizes.items()}
    spare = total - sum(least.values())
    if spare < 0:
        raise ValueError(
            f"`keep` must be at least {sum(least.values())}, the sum of the layers' floors "
            f"({least}). Received: {total}. Lower `floors` or give `keep` as a dict."
        )
    room = {name: sizes[name] - least[name] for name in sizes}
    whole = max(sum(room.values()), 1)
    shares = {name: least[name] + spare * room[name] // whole for name in sizes}
    by_remainder = sorted(sizes, key=lambda name: -(spare * room[name] % whole))
    for name in by_remainder[: total - sum(shares.values())]:
        shares[name] += 1
    return shares


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
