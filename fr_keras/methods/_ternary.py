"""`Ternary`: trained ternary quantization."""

import dataclasses

import keras
import numpy as np
from keras import ops

from fr_keras.layers import Quantizer, State, straight_through


@keras.saving.register_keras_serializable(package="fr_keras")
@dataclasses.dataclass(frozen=True)
class Ternary(Quantizer):
    """The levels `-Wn`, 0 and `Wp` for each kernel, where both scales are trained.

        d = threshold * max |w|
        q(w) = Wp if w > d,    0 if |w| <= d,    -Wn if w < -d

    With `g` the gradient with respect to q, that of `Wp` is the sum of `g` over the weights above
    `d`, that of `Wn` is minus its sum over those below `-d`, and that of a weight is `Wp g`, `g` or
    `Wn g` in these three cases. The paper prints the gradient of `Wn` without the minus.

    The scales begin as the means of the weights that they stand for, which is closest to the
    trained kernel; the paper does not say.

    Args:
        threshold: Above 0 and below 1. A higher one makes more zeros.

    Raises:
        ValueError: If `threshold` is out of range.

    Example:

    >>> ternary = Ternary(threshold=0.1)
    >>> w = np.array([-0.4, -0.2, 0.01, 0.5], "float32")
    >>> ternary.first(w)["negative"].round(3)
    np.float32(0.3)
    >>> ternary(ops.array(w), ternary.first(w), training=False).numpy()
    array([-0.3, -0.3,  0. ,  0.5], dtype=float32)

    Source: Zhu, Han, Mao and Dally, "Trained Ternary Quantization", ICLR 2017, arXiv 1612.01064.
    """

    threshold: float = 0.05

    state = (State("positive"), State("negative"))
    most_levels = 3

    def __post_init__(self):
        if not 0 < self.threshold < 1:
            raise ValueError(
                "`threshold` must be above 0 and below 1: it is a share of the largest weight. "
                f"Received: {self.threshold}"
            )

    def first(self, kernel):
        border = self.threshold * np.abs(kernel).max()
        return {
            "positive": _mean(kernel[kernel > border]),
            "negative": -_mean(kernel[kernel < -border]),
        }

    def __call__(self, kernel, state, training):
        border = self.threshold * ops.max(ops.abs(kernel))
        above, below = kernel > border, kernel < -border
        positive, negative = state["positive"], state["negative"]
        values = ops.where(above, positive, ops.where(below, -negative, 0.0))
        slope = ops.where(above, positive, ops.where(below, negative, 1.0))
        # The first term has the gradients of the scales, the second adds nothing but a gradient.
        return values + straight_through(0.0 * kernel, kernel, slope)


def _mean(weights: np.ndarray) -> np.ndarray:
    return weights.mean() if weights.size else weights.dtype.type(0)
