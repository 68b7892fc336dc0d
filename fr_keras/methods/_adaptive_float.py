"""`AdaptiveFloat`: small floating-point numbers whose range fits the kernel."""

import dataclasses

import keras
import numpy as np
from keras import ops

from fr_keras.layers import Quantizer, straight_through

#: From a sign with one bit of exponent to a byte.
FEWEST_BITS, MOST_BITS = 2, 8
# Powers of two that float32 holds exactly.
_POWERS = np.exp2(np.arange(-126, 128))


@keras.saving.register_keras_serializable(package="fr_keras")
@dataclasses.dataclass(frozen=True)
class AdaptiveFloat(Quantizer):
    """Floating-point numbers of few bits, with one range for each kernel.

    Of the bits, one is the sign, `E = exponent_bits` are the exponent and `M = bits - 1 - E` the
    mantissa. With the smallest whole `u` for which `max |w| <= 2^u (2 - 2^-M)`, the levels are

        +-2^e (1 + m / 2^M)           e = u + 2 - 2^E, ..., u,    m = 0, ..., 2^M - 1
        +-2^(u + 2 - 2^E) m / 2^M     subnormal

    and each weight gets the nearest one. The range follows the kernel while it trains. The gradient
    ignores the rounding; the paper does not train.

    Args:
        bits: From 2 to 8.
        exponent_bits: At least 1, and at most `bits - 1`.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> AdaptiveFloat(bits=4, exponent_bits=2).values
    array([0.   , 0.125, 0.25 , 0.375, 0.5  , 0.75 , 1.   , 1.5  ])
    >>> AdaptiveFloat(4, 2)(ops.array([-0.7, 0.11, 0.03]), {}, training=False).numpy()
    array([-0.75 ,  0.125,  0.   ], dtype=float32)

    Source: Liu et al., "Improving Neural Network Efficiency via Post-training Quantization with
    Adaptive Floating-Point", ICCV 2021.
    """

    bits: int
    exponent_bits: int

    def __post_init__(self):
        if self.bits not in range(FEWEST_BITS, MOST_BITS + 1):
            raise ValueError(
                f"`bits` must be a whole number from {FEWEST_BITS} to {MOST_BITS}. "
                f"Received: {self.bits!r}"
            )
        if self.exponent_bits not in range(1, self.bits):
            raise ValueError(
                "`exponent_bits` must be a whole number from 1 to bits - 1, because one bit is the "
                f"sign. Received: {self.exponent_bits!r} with bits={self.bits}"
            )

    @property
    def values(self) -> np.ndarray:
        """The levels from 0 upwards for `u = 0`."""
        steps = 2 ** (self.bits - 1 - self.exponent_bits)
        low = 2 - 2**self.exponent_bits
        mantissas = np.arange(steps) / steps
        normal = np.exp2(np.arange(low, 1))[:, None] * (1 + mantissas)
        return np.concatenate([np.exp2(low) * mantissas, normal.ravel()])

    @property
    def most_levels(self) -> int:
        return 2**self.bits - 1

    def __call__(self, kernel, state, training):
        positive = self.values
        levels = np.concatenate([-positive[:0:-1], positive])
        # The scale is taken from a table, for a computed power of two may not be exact.
        highest = ops.cast(_POWERS * positive[-1], kernel.dtype)
        place = ops.searchsorted(highest, ops.reshape(ops.max(ops.abs(kernel)), (1,)))
        scale = ops.take(ops.cast(_POWERS, kernel.dtype), place)
        middles = ops.cast((levels[1:] + levels[:-1]) / 2, kernel.dtype) * scale
        nearest = ops.searchsorted(middles, ops.reshape(kernel, (-1,)))
        values = ops.take(ops.cast(levels, kernel.dtype) * scale, nearest)
        return straight_through(ops.reshape(values, kernel.shape), kernel)
