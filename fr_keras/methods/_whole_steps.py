"""`WholeSteps`: kernels in whole steps that are trained, and the bits that these take."""

import dataclasses
import math

import keras
import numpy as np
from keras import ops

import fr_archive
from fr_keras.layers import Alike, Quantizer, State

# The steps of an archive, by their numbers from `_FINEST`.
_FINEST, _COARSEST = -512, 511
_STEPS = np.array([fr_archive.step_value(n) for n in range(_FINEST, _COARSEST + 1)])
# Of the largest number: below 2 by more than half a step of the scale, so that it never becomes 0.
_LARGEST_STEP = 1.9
# What every group has beside its numbers: half a zero, and half a one.
_PRIOR = 0.5
# The noise is a whole step wide. Its mean is taken at the middles of four equal parts.
_NOISE = (-0.375, -0.125, 0.125, 0.375)


@keras.saving.register_keras_serializable(package="fr_keras")
@dataclasses.dataclass(frozen=True)
class WholeSteps(Quantizer):
    """Whole multiples of one step, which is trained like the kernel.

        y(w) = s round(w / s),    dy/dw = 1,    dy/ds = round(w / s) - w / s

    The step `s` is the step of an archive that is nearest to the trained one, so that an archive
    holds `y` exactly. It is at most 1.9 times the largest number, so that at least one number of a
    kernel is not 0.

    The penalty is the price of a bit, 0 at first, times the expected number of bits

        B(w) = mean over u of sum_i -log2 P(w_i / s + u),    P(q) = F(q + 1/2) - F(q - 1/2)

    with noise `u` from -1/2 to 1/2 in place of the rounding. `F` is the Laplace distribution that
    is the most likely for the rounded numbers of each group of a kernel: its columns in space, and
    bands of neighbouring coefficients in an FR layer.

    Args:
        step: The first step, in units of the root mean square of the kernel, from 0.001 to 1.

    Raises:
        ValueError: If `step` is out of range.

    Example:

    >>> whole = WholeSteps(step=1.0)
    >>> w = np.array([[-2.0, 0.4], [0.1, 1.1]], "float32")
    >>> whole(ops.array(w), {"log2_step": 0.0}, training=False).numpy() + 0.0
    array([[-2.,  0.],
           [ 0.,  1.]], dtype=float32)
    >>> from fr_keras.layers import Columns
    >>> bits = whole.bits(ops.array(w), Columns(), {"log2_step": 0.0})
    >>> 6 < float(bits) < 9
    True

    Source: Oktay et al., "Scalable Model Compression by Entropy Penalized Reparameterization",
    ICLR 2020, arXiv 1906.06624, for the noise; Esser et al., "Learned Step Size Quantization",
    ICLR 2020, arXiv 1902.08153, for the gradient of the step.
    """

    step: float = 0.25

    state = (State("log2_step"), State("price", trainable=False))
    has_penalty = True
    most_levels = 2**32 - 3

    def __post_init__(self):
        number = isinstance(self.step, (int, float)) and not isinstance(self.step, bool)
        if not number or not 1e-3 <= self.step <= 1:
            raise ValueError(f"`step` must be a number from 0.001 to 1. Received: {self.step!r}")

    def first(self, kernel):
        size = math.sqrt(np.mean(np.square(kernel, dtype=np.float64))) if kernel.size else 0.0
        step = math.log2(max(self.step * size, fr_archive.step_value(_FINEST)))
        return {"log2_step": kernel.dtype.type(step), "price": kernel.dtype.type(0)}

    def __call__(self, kernel, state, training):
        step = self.step_of(kernel, state)
        parts = kernel / step
        # The second term has the gradients; its value is exactly 0.
        rest = ops.stop_gradient(ops.round(parts) - parts)
        change = kernel + step * rest
        exact = ops.round(parts) * step
        return ops.stop_gradient(exact) + (change - ops.stop_gradient(change))

    def step_of(self, kernel, state):
        """Returns the step of an archive with which a kernel computes.

        Its gradient is that of the trained step, or 0 where the step is at its limit.
        """
        largest = ops.maximum(_LARGEST_STEP * ops.max(ops.abs(kernel)), float(_STEPS[0]))
        limit = ops.stop_gradient(ops.log2(largest))
        wanted = ops.minimum(ops.cast(state["log2_step"], kernel.dtype), limit)
        number = ops.round(ops.stop_gradient(wanted) * fr_archive.STEPS_AN_OCTAVE) - _FINEST
        number = ops.cast(ops.clip(number, 0, len(_STEPS) - 1), "int32")
        step = ops.take(ops.convert_to_tensor(_STEPS, kernel.dtype), number)
        return step * ops.power(2.0, wanted - ops.stop_gradient(wanted))

    def penalty(self, kernel, alike, state):
        parts = kernel / self.step_of(kernel, state)
        decay = self._decay(parts, alike)
        noise = ops.reshape(ops.cast(_NOISE, parts.dtype), (-1, *(1 for _ in parts.shape)))
        bits = ops.mean(_bits(ops.abs(parts + noise), decay), axis=0)
        return ops.cast(state["price"], kernel.dtype) * ops.sum(alike.counted(bits))

    def bits(self, kernel, alike: Alike, state: dict):
        """Returns the bits of the rounded kernel, an estimate of those in an archive.

        Args:
            kernel: A tensor of any shape.
            alike: Which of its numbers are alike.
            state: The numbers of `state` by name.
        """
        parts = ops.round(kernel / self.step_of(kernel, state))
        bits = _bits(ops.abs(parts), self._decay(parts, alike))
        return ops.sum(alike.counted(bits))

    def _decay(self, parts, alike: Alike):
        """The `a` of each number's group, of which `exp(-2 a)` is the ratio of P(q + 1) to P(q).

        For `t = exp(-a)` and n numbers, of which z are 0, with the sum S of magnitudes, the
        derivative of the likelihood is 0 where

            (n + 2 S) t^2 + z t = 2 S - n + z
        """
        sizes = ops.stop_gradient(ops.abs(ops.round(parts)))
        none = alike.totals(ops.cast(sizes == 0, sizes.dtype)) + _PRIOR
        some = alike.totals(ops.cast(sizes > 0, sizes.dtype)) + _PRIOR
        total = alike.totals(sizes) + _PRIOR
        square, rest = none + some + 2 * total, 2 * total - some
        t = 2 * rest / (none + ops.sqrt(none * none + 4 * square * rest))
        return alike.spread(-ops.log(t))


def _bits(sizes, decay):
    """The bits of numbers of these magnitudes, in a Laplace distribution with that decay."""
    # Both forms of P are the same at 1/2, where the interval leaves the peak.
    near = ops.minimum(sizes, 0.5)
    inside = ops.expm1(-decay * (1 - 2 * near)) + ops.expm1(-decay * (1 + 2 * near))
    beyond = 2 * decay * ops.maximum(sizes - 0.5, 0)
    return (beyond - ops.log(-inside / 2)) / math.log(2)
