"""Fills a flatbuffer: int8 kernels, int32 biases and their scales, from real numbers.

A kernel is `(out, ...)` and has a scale for each output channel, or one for all. Every operation
is in IEEE double precision; `float32` and `whole` round to nearest, ties to even.

    scale = float32(max(largest / 127, |bias| / (input * 2^30), largest of all / 127 / 2^16))
    kernel = whole(real / scale), from -127 to 127
    bias scale = float32(input * scale),    bias = whole(real / (input * scale))

The second term keeps a bias within 32 bits. The third keeps the scale of a channel of zeros near
the other scales. If everything is 0, the scale is 1/128.
"""

import enum
from dataclasses import dataclass

import numpy as np

from fr_archive._errors import ArchiveError

_MOST = 127
_BIAS_ROOM = 2.0**30
_SMALLEST = 2.0**-16
_NOTHING = 2.0**-7


class Part(enum.IntEnum):
    """Which constant of an op fills a gap; the number is its code in a file."""

    KERNEL = 0
    SCALES = 1
    BIAS = 2
    BIAS_SCALES = 3


@dataclass(frozen=True)
class Filled:
    """The constants of an op.

    Attributes:
        kernel: int8, with the shape of the real kernel.
        scales: float32, one for each output channel, or one for all.
        bias: int32 `(out,)`.
        bias_scales: float32, as many as `scales`.
    """

    kernel: np.ndarray
    scales: np.ndarray
    bias: np.ndarray
    bias_scales: np.ndarray

    def data(self, part: Part) -> bytes:
        """Returns the bytes that fill a gap, little-endian."""
        array = (self.kernel, self.scales, self.bias, self.bias_scales)[part]
        return array.astype(array.dtype.newbyteorder("<")).tobytes()


def fill(kernel: np.ndarray, bias: np.ndarray | None, scale: float, by_channel: bool) -> Filled:
    """Returns the constants of an op.

    Args:
        kernel: Real numbers `(out, ...)`.
        bias: Real numbers `(out,)`, or `None` for zeros.
        scale: The scale of the op's input, as float32.
        by_channel: Whether each output channel has a scale of its own.

    Raises:
        ArchiveError: If the shapes do not fit, the scale is not above 0, or a number overflows.

    Example:

    >>> fill(np.array([[1.0, -0.5]]), np.array([0.25]), 0.5, True).kernel
    array([[127, -64]], dtype=int8)
    """
    if kernel.ndim < 1 or not kernel.size or not 0 < scale < np.inf:
        raise ArchiveError(
            "A kernel must have an output channel, and the scale of its input must be above 0. "
            f"Received: a kernel of shape {kernel.shape}, scale={scale}"
        )
    channels = len(kernel)
    bias = np.zeros(channels) if bias is None else bias
    if bias.shape != (channels,) or not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
        raise ArchiveError(
            f"A bias must have {channels} numbers, and kernel and bias must be finite. "
            f"Received: a bias of shape {bias.shape}"
        )
    scale = float(scale)
    rows = kernel.reshape(channels, -1)
    scales = _scales(np.abs(rows).max(1), np.abs(bias), scale)
    if not by_channel:
        scales = scales.max(keepdims=True)
    with np.errstate(over="ignore", under="ignore"):
        scales = scales.astype(np.float32)
        exact = scales.astype(np.float64)
        bias_scales = (scale * exact).astype(np.float32)
    if not (np.isfinite(exact).all() and exact.all()) or not (
        np.isfinite(bias_scales).all() and bias_scales.all()
    ):
        raise ArchiveError("A scale is outside the range of float32")
    return Filled(
        np.clip(np.rint(rows / exact[:, None]), -_MOST, _MOST)
        .astype(np.int8)
        .reshape(kernel.shape),
        scales,
        np.rint(bias / (scale * exact)).astype(np.int32),
        bias_scales,
    )


def _scales(largest: np.ndarray, bias: np.ndarray, scale: float) -> np.ndarray:
    least = largest.max() / _MOST * _SMALLEST
    scales = np.maximum(np.maximum(largest / _MOST, bias / (scale * _BIAS_ROOM)), least)
    return np.where(scales > 0, scales, _NOTHING)
