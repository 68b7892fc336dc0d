"""Divides a number of coefficients, or of weights, for the whole model among its layers."""

import bisect
import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Protocol

import keras

from fr_keras import zigzag
from fr_keras.layers import FRDense, FrequencyKernel

#: `keep` as users give it: a count, a fraction, or one of these per layer name.
Keep = int | float | Mapping[str, int | float]

#: The ways to divide a total.
SHARINGS = ("bandwidth", "proportional", "erdos_renyi")

# Steps of the common factor of "erdos_renyi" between one kept coefficient per unit and the next.
_FACTOR_STEPS = 1000

#: The least number of coefficients per kind of layer that the authors' package frereg keeps.
FREREG_FLOORS = {"conv": 128, "dense": 256, "transpose": 32}


class Spectrum(Protocol):
    """What a total is divided among: an FR layer, or the axes of a kernel that is pruned."""

    spectrum_shape: tuple[int, ...]
    axis_weights: tuple[float, ...] | None


_TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)


def targets(
    named: Mapping[str, Spectrum],
    keep: Keep,
    floors: int | str = 1,
    sharing: str = "bandwidth",
) -> dict[str, int]:
    """Returns, by name, how many coefficients each layer that is to be cut keeps.

    A total is divided in two steps: every layer gets its floor, and then the rest is divided. The
    shares add up to exactly the total.

    Args:
        named: The FR layers of a model by name, as `walk.named_kernels` returns them, or the axes
            of plain kernels.
        keep: A total (int), a fraction of all coefficients (float), or a dict from these names to
            either. Floors do not apply to a dict, and layers not in it are not in the result.
        floors: The fewest coefficients that a layer gets from a total, or `"frereg"` for the
            floors of that package. A layer smaller than its floor is kept whole.
        sharing: How the rest is divided: `"proportional"` to the coefficients that the layers have
            above their floors; `"bandwidth"`, so that every layer keeps the coefficients up to one
            common weighted index sum, and a large kernel has no wider bottleneck than a small one;
            or `"erdos_renyi"`, in proportion to the sum of a kernel's axis lengths, the rule for
            pruned networks (Evci et al., ICML 2020, arXiv 1911.11134).

    Raises:
        ValueError: If a number is out of range, a total is smaller than the sum of the floors, a
            dict names a layer that is not there, or `sharing` is unknown.
    """
    layers = list(named.values())
    sizes = [math.prod(layer.spectrum_shape) for layer in layers]
    if isinstance(keep, Mapping):
        return _by_name(dict(zip(named, sizes, strict=True)), keep)
    total = _count(keep, sum(sizes), "keep")
    least = [min(_floor(layer, floors), n) for layer, n in zip(layers, sizes, strict=True)]
    if sharing not in SHARINGS:
        raise ValueError(f"`sharing` must be one of {SHARINGS}. Received: {sharing!r}")
    if sharing == "bandwidth":
        least, sizes = _bandwidth(layers, total, least)
    if sharing == "erdos_renyi":
        least, sizes = _erdos_renyi(layers, total, least)
    return dict(zip(named, share(sizes, total, least), strict=True))


def usable(layer: FrequencyKernel) -> int:
    """Returns how many coefficients have an index sum of at most 2: with fewer, a layer can hardly
    tell its inputs, or its outputs, apart."""
    return zigzag.count_up_to(layer.spectrum_shape, 2, layer.axis_weights)


def _bandwidth(
    layers: list[Spectrum], total: int, floors: list[int]
) -> tuple[list[int], list[int]]:
    """What each layer keeps at the largest common index sum within the total, and at the next
    one, which is beyond it."""
    spectra = [(layer.spectrum_shape, layer.axis_weights) for layer in layers]
    # Every index sum is a whole number of these units.
    unit = Fraction(1, math.lcm(*(zigzag.integer_weights(*one)[1].denominator for one in spectra)))

    def kept(sums: int) -> list[int]:
        return [
            max(floor, zigzag.count_up_to(shape, sums * unit, weights))
            for (shape, weights), floor in zip(spectra, floors, strict=True)
        ]

    last = max(math.floor(_largest_sum(*one) / unit) for one in spectra)
    affordable = bisect.bisect_right(range(last + 1), total, key=lambda sums: sum(kept(sums)))
    return (kept(affordable - 1) if affordable else floors), kept(min(affordable, last))


def _largest_sum(shape: tuple[int, ...], weights: tuple[float, ...] | None) -> Fraction:
    steps, unit = zigzag.integer_weights(shape, weights)
    return unit * sum(step * (n - 1) for step, n in zip(steps, shape, strict=True))


def _erdos_renyi(
    layers: list[Spectrum], total: int, floors: list[int]
) -> tuple[list[int], list[int]]:
    """Like `_bandwidth`, for the largest common factor of the axis sums within the total."""
    shapes = [layer.spectrum_shape for layer in layers]

    def kept(factor: int) -> list[int]:
        return [
            min(math.prod(shape), max(floor, factor * sum(shape) // _FACTOR_STEPS))
            for shape, floor in zip(shapes, floors, strict=True)
        ]

    # At the last factor every layer is whole.
    last = _FACTOR_STEPS * max(math.prod(shape) for shape in shapes)
    affordable = bisect.bisect_right(range(last + 1), total, key=lambda factor: sum(kept(factor)))
    return (kept(affordable - 1) if affordable else floors), kept(min(affordable, last))


def share(sizes: list[int], total: int, floors: list[int]) -> list[int]:
    """Divides exactly `total`: floors first, and the rest in proportion to `sizes - floors`.

    Args:
        sizes: The most that each may get.
        total: The number to divide, at most the sum of `sizes`.
        floors: The least that each gets, at most its size.

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
            f"Received: {total}. {'Lower `floors`' if max(floors) > 1 else 'Keep more'} or give "
            "`keep` as a dict."
        )
    room = [size - floor for size, floor in zip(sizes, floors, strict=True)]
    whole = max(sum(room), 1)
    shares = [floor + spare * r // whole for floor, r in zip(floors, room, strict=True)]
    by_remainder = sorted(range(len(sizes)), key=lambda i: -(spare * room[i] % whole))
    for i in by_remainder[: total - sum(shares)]:
        shares[i] += 1
    return shares


def _by_name(sizes: dict[str, int], keep: Mapping[str, int | float]) -> dict[str, int]:
    wrong = sorted(keep.keys() - sizes.keys())
    if wrong or not keep:
        raise ValueError(
            "`keep` must name layers of the model that can be cut, with paths where layers of "
            f"nested models share a name: {sorted(sizes)}. Received: {wrong or 'an empty dict'}"
        )
    return {
        name: _count(keep[name], size, f"keep[{name!r}]")
        for name, size in sizes.items()
        if name in keep
    }


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


def _floor(layer: Spectrum, floors: int | str) -> int:
    if floors == "frereg":
        if isinstance(layer, FRDense):
            return FREREG_FLOORS["dense"]
        return FREREG_FLOORS["transpose" if isinstance(layer, _TRANSPOSED) else "conv"]
    if isinstance(floors, bool) or not isinstance(floors, int) or floors < 1:
        raise ValueError(
            f"`floors` must be a whole number of at least 1, or 'frereg'. Received: {floors!r}"
        )
    return floors
