"""Ranks that grow along a line: one share of all axes, or one loss of outputs."""

from collections.abc import Callable, Mapping

import numpy as np

from fr_keras.methods._linear import Linear
from fr_keras.methods._outputs import Statistics
from fr_keras.methods._tucker2 import precise, singular_values

#: For each layer a pair of ranks: how many of its input and of its output channels.
Pairs = dict[str, tuple[int, int]]

#: The last step of a line; at the first all ranks are one.
STEPS = 2000
#: Channels that are not factored, such as colours.
FEW = 3
_STEPS_OF_TEN = 250  # until the loss that is allowed is a tenth


def axes(one: Linear) -> tuple[int, ...]:
    """The axes of `(k, s, t)` that have ranks of their own; those of a matrix are the same."""
    return (2,) if one.shape[1] == 1 else (1, 2)


def pair(one: Linear, *ranks: int) -> tuple[int, int]:
    """The ranks of both axes from those of `axes`: at least one, and few channels stay whole."""
    _, k, s, t = one.shape
    r_in, r_out = max(1, int(ranks[0])), max(1, int(ranks[-1]))
    if k == 1:
        return s, t if min(s, t) <= FEW else r_out
    return s if s <= FEW else r_in, t if t <= FEW else r_out


def equal_shares(found: dict[str, Linear]) -> Callable[[int], Pairs]:
    """All ranks by one factor of the axes, or of the shorter one of a matrix."""

    def ranks(step: int) -> Pairs:
        pairs = {}
        for name, one in found.items():
            _, k, s, t = one.shape
            sides = (min(s, t),) if k == 1 else (s, t)
            pairs[name] = pair(one, *(round(n * step / STEPS) for n in sides))
        return pairs

    return ranks


def equal_losses(
    found: dict[str, Linear], seen: Mapping[str, Statistics]
) -> Callable[[int], Pairs]:
    """The least ranks with which each axis loses at most one share of the outputs' variance."""
    lost = {name: _losses(one, seen.get(name)) for name, one in found.items()}

    def ranks(step: int) -> Pairs:
        most = 10 ** (-step / _STEPS_OF_TEN)
        return {
            name: pair(one, *(max(np.count_nonzero(g > most) for g in axis) for axis in lost[name]))
            for name, one in found.items()
        }

    return ranks


def squares(one: Linear, seen: Statistics | None) -> list[np.ndarray]:
    """Returns for each of `axes` the variance along each direction, `(groups, directions)`.

    The directions are those of the outputs or of what the inputs give, the first ones those that
    vary most. Without `seen`, they are the squared singular values of the kernel.
    """
    kernel = np.stack([precise(group) for group in one.kernel()])
    outputs = None if seen is None else seen.outputs
    if seen is not None and seen.roots is not None:
        kernel = seen.roots[:, None] @ kernel
    found = []
    for axis in axes(one):
        if axis == 2 and outputs is not None:
            found.append(np.maximum(np.linalg.eigvalsh(outputs)[:, ::-1], 0))
        else:
            found.append(np.stack([singular_values(group, axis) ** 2 for group in kernel]))
    return found


def _losses(one: Linear, seen: Statistics | None) -> list[list[np.ndarray]]:
    """For each of `axes` and each group, the share that is lost with no rank, with one, ..."""
    sums = (np.cumsum(found[:, ::-1], axis=1)[:, ::-1] for found in squares(one, seen))
    return [[group / (group[0] or 1) for group in axis] for axis in sums]
