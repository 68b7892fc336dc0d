"""What a user asks of the splits of all kernels, as splits."""

import math
import numbers
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from fr_keras.methods._split_choice import by_budget, by_criterion
from fr_keras.methods._splits import Split, go_dec, low_rank, pursue
from fr_keras.models.budget import share

#: A way to choose, or a number of numbers for all kernels or by layer, or ranks and entries.
KeepSplit = str | int | float | Mapping[str, int | float | tuple[int, int]]

_Make = Callable[[np.ndarray, bool], Split]


def splits(
    matrices: Mapping[str, np.ndarray], keep: KeepSplit, sparse: bool
) -> Iterator[tuple[str, Split]]:
    """Returns the splits of matrices by name, each made when it is asked for.

    Args:
        matrices: Matrices of float64 that are not zero.
        keep: As for `sparse_low_rank`.
        sparse: Whether there may be sparse parts.

    Raises:
        ValueError: If `keep` is out of range, before any split is made.
    """
    makers = _makers(matrices, keep, sparse)
    return ((name, make(matrices[name], sparse)) for name, make in makers.items())


def _makers(matrices: Mapping[str, np.ndarray], keep: KeepSplit, sparse: bool) -> dict[str, _Make]:
    if isinstance(keep, str) and keep in _NAMED:
        return dict.fromkeys(matrices, _NAMED[keep])
    if isinstance(keep, Mapping):
        wrong = sorted(str(name) for name in keep if name not in matrices)
        if wrong or not keep:
            raise ValueError(
                "`keep` must name layers of the model that can be split, with paths where layers "
                f"of nested models share a name: {sorted(matrices)}. Received: "
                f"{wrong or 'an empty dict'}"
            )
        return {
            name: _one(f"keep[{name!r}]", one, matrices[name].shape, sparse)
            for name, one in keep.items()
        }
    sizes = [one.size for one in matrices.values()]
    total = _count("keep", keep, sum(sizes))
    least = [min(sum(one.shape), one.size) for one in matrices.values()]
    if total < sum(least):
        raise ValueError(
            f"`keep` must be at least {sum(least):,} of {sum(sizes):,} numbers, those of rank 1 in "
            f"each kernel that can be split. Received: {keep!r}, which is {total:,}. Keep more, or "
            "give a dict of some layers"
        )
    return dict(zip(matrices, map(_budgeted, share(sizes, total, least)), strict=True))


def _one(argument: str, given, shape: tuple[int, int], sparse: bool) -> _Make:
    """What makes the split of one matrix as a value of a dict asks for it."""
    if isinstance(given, tuple | list):
        rank, entries = _parts(argument, given, shape, sparse)
        return lambda matrix, _: go_dec(matrix, rank, entries)
    count = _count(argument, given, math.prod(shape))
    if count < min(sum(shape), math.prod(shape)):
        raise ValueError(
            f"`{argument}` must be at least {sum(shape):,} of {math.prod(shape):,} numbers, those "
            f"of rank 1. Received: {given!r}, which is {count:,}"
        )
    return _budgeted(count)


def _parts(argument: str, given, shape: tuple[int, int], sparse: bool) -> tuple[int, int]:
    whole = all(isinstance(one, numbers.Integral) and not isinstance(one, bool) for one in given)
    most = math.prod(shape) if sparse else 0
    if whole and len(given) == 2 and 1 <= given[0] <= min(shape) and 0 <= given[1] <= most:
        return int(given[0]), int(given[1])
    raise ValueError(
        f"`{argument}` must have a rank from 1 to {min(shape)}, the shorter axis of its matrix of "
        f"{shape[0]}x{shape[1]}, and a number of entries from 0 to {most}"
        + ("" if sparse else ", for `sparse=False` leaves none")
        + f". Received: {given!r}"
    )


def _budgeted(count: int) -> _Make:
    def make(matrix: np.ndarray, sparse: bool) -> Split:
        if not sum(matrix.shape) <= count < matrix.size:  # the whole matrix, without an error
            return low_rank(matrix, min(matrix.shape))
        return by_budget(matrix, count, sparse)

    return make


def _pursued(matrix: np.ndarray, sparse: bool) -> Split:
    split, _ = pursue(matrix)
    return split if sparse or not split.rank else low_rank(matrix, split.rank)


_NAMED: dict[str, _Make] = {"criterion": by_criterion, "pursuit": _pursued}


def _count(argument: str, given, size: int) -> int:
    """A fraction or a count as a count."""
    if isinstance(given, numbers.Real) and not isinstance(given, bool):
        if isinstance(given, numbers.Integral) and 1 <= given <= size:
            return int(given)
        if not isinstance(given, numbers.Integral) and 0 < given <= 1:
            return round(float(given) * size)
    names = f", {sorted(_NAMED)}, or a dict" if argument == "keep" else ", or (rank, entries)"
    raise ValueError(
        f"`{argument}` must be a whole number from 1 to {size:,}, a fraction above 0 and at most "
        f"1.0{names}. Received: {given!r}"
    )
