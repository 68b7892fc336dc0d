"""The zigzag order of DCT coefficients, for tensors of any rank, in numpy.

Coefficient `u` comes before `v` when `sum(w_i * u_i) < sum(w_i * v_i)`, where `w` are the
weights of the axes (1 each by default). If the sums are equal, the smaller index on the
last axis comes first, then on the second-last, then on the others in order.

Both rules together make one integer key, which is a sum over the axes. So a mask is a
comparison of broadcast ranges, and no table of ranks is ever stored.

Source: Zhao et al., "Frequency Regularization: Reducing Information
Redundancy in Convolutional Neural Networks", IEEE Access 2023, arXiv 2304.07973.
"""

import bisect
import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np

# Weights are whole multiples of one fraction, a thousandth or more.
_FINEST = 1000


def key_strides(shape: Sequence[int], weights: Sequence[float] | None = None) -> tuple[int, ...]:
    """Returns integers `s` so that `key(u) = sum(s_i * u_i)` grows along the zigzag.

    Args:
        shape: Lengths of the axes, each at least 1.
        weights: One number per axis, at least 0.001 and exact to a thousandth; `None` gives every
            axis the weight 1.

    Raises:
        ValueError: If `shape` or `weights` breaks these rules.

    Example:

    >>> key_strides((2, 3))
    (7, 8)
    """
    shape = _checked_shape(shape)
    size = math.prod(shape)
    sums = integer_weights(shape, weights)[0]
    strides = [w * size + tie for w, tie in zip(sums, tie_strides(shape), strict=True)]
    if sum(s * (n - 1) for s, n in zip(strides, shape, strict=True)) > np.iinfo(np.int64).max:
        raise ValueError(
            f"`weights` must let the zigzag keys of shape {shape} fit into 64 bits: round them. "
            f"Received: weights={weights}"
        )
    return tuple(strides)


def tie_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Returns the part of `key_strides` that decides between equal index sums.

    Example:

    >>> tie_strides((2, 3))
    (1, 2)
    """
    found, tie = [0] * len(shape), math.prod(shape)
    for axis in _tie_axes(len(shape)):
        tie //= shape[axis]
        found[axis] = tie
    return tuple(found)


def keys(shape: Sequence[int], weights: Sequence[float] | None = None) -> np.ndarray:
    """Returns the int64 zigzag keys of all coefficients, in shape `shape`; no two are equal."""
    return _keys_within(shape, key_strides(shape, weights))


def order(shape: Sequence[int], weights: Sequence[float] | None = None) -> np.ndarray:
    """Returns the flat (C order) indices of all coefficients, in zigzag order.

    Example:

    >>> order((2, 3)).tolist()
    [0, 3, 1, 4, 2, 5]
    """
    return np.argsort(keys(shape, weights), axis=None)


def order_within(
    shape: Sequence[int], box: Sequence[int], weights: Sequence[float] | None = None
) -> np.ndarray:
    """Returns the flat (C order) indices into `box` of the coefficients in it, in zigzag order.

    The first `count_within(shape, box, weights)` of them are also the first of all coefficients.

    Example:

    >>> order_within((4, 4), (2, 3)).tolist()
    [0, 3, 1, 4, 2, 5]
    """
    return np.argsort(_keys_within(box, key_strides(shape, weights)), axis=None)


def boundary(shape: Sequence[int], kept: int, weights: Sequence[float] | None = None) -> int:
    """Returns the key of the last kept coefficient: `keys(shape) <= boundary` is the mask.

    It is found by counting, without a tensor of the kernel's size.

    Raises:
        ValueError: If `kept` is not between 1 and the number of coefficients.
    """
    shape = _checked_shape(shape)
    size = math.prod(shape)
    if isinstance(kept, bool) or not isinstance(kept, (int, np.integer)) or not 1 <= kept <= size:
        raise ValueError(
            f"`kept` must be a whole number from 1 to {size}, the number of coefficients of shape "
            f"{tuple(shape)}. Received: kept={kept!r}"
        )
    strides = key_strides(shape, weights)
    largest = sum(s * (n - 1) for s, n in zip(strides, shape, strict=True))
    return bisect.bisect_left(range(largest), kept, key=_reach(shape, strides))


def _reach(shape: tuple[int, ...], strides: tuple[int, ...]) -> Callable[[int], int]:
    """Counts the coefficients up to a key: along the longest axis by division, all at once."""
    longest = shape.index(max(shape))
    others = [axis for axis in range(len(shape)) if axis != longest]
    before = _keys_within([shape[a] for a in others], [strides[a] for a in others]).ravel()
    length, stride = shape[longest], strides[longest]

    largest = int(before[-1]) + stride * (length - 1)

    def count(key: int) -> int:
        reached = (min(key, largest) - before) // stride + 1
        return int(np.clip(reached, 0, length).sum())

    return count


def mask(shape: Sequence[int], kept: int, weights: Sequence[float] | None = None) -> np.ndarray:
    """Returns the boolean array that is true for the first `kept` coefficients.

    Example:

    >>> mask((2, 3), 3).astype(int).tolist()
    [[1, 1, 0], [1, 0, 0]]
    """
    return keys(shape, weights) <= boundary(shape, kept, weights)


def corner(
    shape: Sequence[int], kept: int, weights: Sequence[float] | None = None
) -> tuple[int, ...]:
    """Returns the bounding box of the first `kept` coefficients, one length per axis.

    Example:

    >>> corner((3, 3, 64, 64), 33)
    (3, 3, 4, 4)
    """
    last = boundary(shape, kept, weights)
    strides = key_strides(shape, weights)
    # Along one axis, the keys are smallest where all other indices are 0, so each axis counts
    # separately.
    return tuple(min(n, last // s + 1) for n, s in zip(shape, strides, strict=True))


def count_within(
    shape: Sequence[int], box: Sequence[int], weights: Sequence[float] | None = None
) -> int:
    """Returns the largest number of kept coefficients whose corner lies within `box`.

    Example:

    >>> count_within((3, 3, 64, 64), (3, 3, 4, 4))
    41
    """
    strides = key_strides(shape, weights)
    # The first coefficient beyond an axis of the box has the index 0 on every other.
    beyond = [s * r for s, r, n in zip(strides, box, shape, strict=True) if r < n]
    size = math.prod(shape)
    if not beyond:
        return size
    return count_before(shape, min(beyond), weights)


def count_before(shape: Sequence[int], key: int, weights: Sequence[float] | None = None) -> int:
    """Returns how many coefficients have a key below `key`, the key of a coefficient.

    Example:

    >>> count_before((2, 3), int(keys((2, 3))[1, 1]))
    3
    """
    return _reach(_checked_shape(shape), key_strides(shape, weights))(key - 1)


def count_up_to(
    shape: Sequence[int], limit: float | Fraction, weights: Sequence[float] | None = None
) -> int:
    """Returns how many coefficients have a weighted index sum of at most `limit`.

    Example:

    >>> [count_up_to((2, 3), limit) for limit in (-1, 0, 1, 2.5, 9)]
    [0, 1, 3, 5, 6]
    """
    shape = _checked_shape(shape)
    whole_sums = math.floor(Fraction(limit) / integer_weights(shape, weights)[1])
    # The tie rule's part of a key is less than the number of coefficients.
    key = (whole_sums + 1) * math.prod(shape) - 1
    return _reach(shape, key_strides(shape, weights))(key)


def _keys_within(box: Sequence[int], strides: Sequence[int]) -> np.ndarray:
    total = np.zeros((), np.int64)
    for axis, (n, stride) in enumerate(zip(box, strides, strict=True)):
        line = np.arange(n, dtype=np.int64) * stride
        total = total + line.reshape((-1,) + (1,) * (len(box) - axis - 1))
    return total


def _tie_axes(rank: int) -> list[int]:
    """The axes from the most to the least significant in a tie."""
    last_two = [axis for axis in (rank - 1, rank - 2) if axis >= 0]
    return last_two + list(range(rank - 2))


def integer_weights(
    shape: tuple[int, ...], weights: Sequence[float] | None
) -> tuple[list[int], Fraction]:
    """Returns the weights as the smallest whole numbers in the same proportion, and their unit.

    Thirds and the like stay exact if the weights have a common denominator of at most 1000;
    otherwise all weights are rounded to thousandths.
    """
    weights = _checked_weights(shape, weights)
    fractions = [Fraction(w).limit_denominator(_FINEST) for w in weights]
    scale = math.lcm(*(f.denominator for f in fractions))
    if scale > _FINEST:
        fractions, scale = [Fraction(round(w * _FINEST), _FINEST) for w in weights], _FINEST
    integers = [int(f * scale) for f in fractions]
    common = math.gcd(*integers)
    return [w // common for w in integers], Fraction(common, scale)


def _checked_shape(shape: Sequence[int]) -> tuple[int, ...]:
    shape = tuple(shape)
    if not shape or any(n < 1 for n in shape):
        raise ValueError(
            "`shape` must have at least one axis, and each must have a length of at least 1. "
            f"Received: shape={shape}"
        )
    return shape


def _checked_weights(shape: tuple[int, ...], weights: Sequence[float] | None) -> list[float]:
    if weights is None:
        return [1] * len(shape)
    weights = list(weights)
    if len(weights) != len(shape) or not all(math.isfinite(w) and w >= 0.001 for w in weights):
        raise ValueError(
            f"`weights` must hold {len(shape)} finite numbers of at least 0.001, one per axis of "
            f"shape {shape}. Received: weights={weights}"
        )
    return weights
