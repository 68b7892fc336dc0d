"""`KBit`: least-squares binary quantization with one or more bits."""

import dataclasses
import math

import keras
from keras import ops

from fr_keras.layers import Quantizer, straight_through

_METHODS = ("greedy", "optimal")
_MOST_BITS = 8


@keras.saving.register_keras_serializable(package="fr_keras")
@dataclasses.dataclass(frozen=True)
class KBit(Quantizer):
    """The levels `+-v1 +-v2 ... +-vk` for each kernel, with few squared errors.

        r_1 = w,    s_i = sign(r_i),    r_{i+1} = r_i - v_i s_i,    q(w) = sum_i v_i s_i

    where the sign of 0 is 1. `"greedy"` takes `v_i = mean |r_i|`, which is the best for one bit and
    the best next one for more. `"optimal"` has the least squared error of all levels for two
    bits: `v1` is half the sum of the means of the `|w|` below and above `v1`, and
    `v2 = mean ||w| - v1|`. Of all such `v1` it takes the best one, and sorts the weights for that.

    The scales are computed from the kernel each time, and take no part in the gradient. That of a
    sign is 1 where its argument is between -1 and 1, and 0 elsewhere, as in the authors' code. So a
    weight of 1 bit gets the gradient `v1 g` of `g`. The authors compute scales for each filter;
    here they belong to the whole kernel, which so has at most `2^bits` different values.

    Args:
        bits: From 1 to 8.
        method: `"greedy"` or `"optimal"`, which has at most two bits.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> w = ops.array([-3.0, -1.0, 0.5, 2.5])
    >>> KBit(bits=1)(w, {}, training=False).numpy()
    array([-1.75, -1.75,  1.75,  1.75], dtype=float32)
    >>> KBit(bits=2, method="optimal")(w, {}, training=False).numpy()
    array([-2.75, -0.75,  0.75,  2.75], dtype=float32)

    Source: Pouransari, Tu and Tuzel, "Least squares binary quantization of neural networks",
    CVPR Workshops 2020, arXiv 2001.02786.
    """

    bits: int
    method: str = "greedy"

    def __post_init__(self):
        if self.method not in _METHODS:
            raise ValueError(f"`method` must be one of {_METHODS}. Received: {self.method!r}")
        whole = isinstance(self.bits, int) and not isinstance(self.bits, bool)
        if not (whole and 1 <= self.bits <= _MOST_BITS):
            raise ValueError(
                f"`bits` must be a whole number from 1 to {_MOST_BITS}. Received: {self.bits!r}"
            )
        if self.method == "optimal" and self.bits > 2:
            raise ValueError(
                "`bits` must be 1 or 2 with method='optimal': nobody knows the best levels for "
                f"more. Use method='greedy'. Received: {self.bits}"
            )

    @property
    def most_levels(self) -> int:
        return 2**self.bits

    def __call__(self, kernel, state, training):
        total = ops.zeros_like(kernel)
        for bit in range(self.bits):
            rest = kernel - total
            sizes = ops.stop_gradient(ops.abs(rest))
            optimal = bit == 0 and self.bits == 2 and self.method == "optimal"
            total = total + (_middle(sizes) if optimal else ops.mean(sizes)) * _sign(rest)
        return total


def _sign(values):
    """The sign, with the gradient 1 where the values are between -1 and 1."""
    signs = ops.where(values < 0, ops.cast(-1.0, values.dtype), 1.0)
    return straight_through(signs, ops.clip(values, -1.0, 1.0))


def _middle(sizes):
    """The middle between the means of two groups of numbers with the least squared deviations."""
    count = math.prod(sizes.shape)
    ordered = ops.sort(ops.reshape(sizes, (count,)))
    # Differences from the mean, or sums of many numbers would lose digits.
    sums = ops.cumsum(ordered - ops.mean(ordered))
    below = ops.cast(ops.arange(1, count + 1), sizes.dtype)
    above = ops.maximum(count - below, 1)
    # The deviations between the groups, which add up to a constant with those inside them.
    between = ops.square(sums) * (1 / below + 1 / above)
    last = ops.take(ordered, ops.argmax(between))
    low = ops.cast(sizes <= last, sizes.dtype)
    return (_mean(sizes, low) + _mean(sizes, 1 - low)) / 2


def _mean(values, of):
    return ops.sum(values * of) / ops.maximum(ops.sum(of), 1)
