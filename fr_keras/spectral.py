"""Orthonormal multi-dimensional DCT-II and its inverse, as TensorFlow ops.

For each axis, `contracts` chooses one of two ways: a product with the cosine matrix, which is
fastest on short axes and corners, or the FFT of `tf.signal`, which is fastest on long ones.
`benchmarks/spectral.py` measures both and justifies the limits.

All arithmetic is float32, whatever the type of the input: half precision is too coarse for kernels.
Where TensorFlow lets a GPU round the operands of a product to TF32, with 10 bits of mantissa, the
product is the sum of three products whose operands lose no precision that matters.
"""

import functools
import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

# From `benchmarks/spectral.py`: contraction wins up to 512, both are equal at 768, it loses beyond.
_LONGEST_CONTRACTION = 512
# A cosine matrix never exceeds this many numbers (16 MB), however long its axis.
_LARGEST_MATRIX = 4_194_304
# The FFT runs on so many numbers at once (16 MB).
_LARGEST_PIECE = 4_194_304


@functools.lru_cache(maxsize=256)
def cosine_matrix(n: int, rows: int | None = None) -> np.ndarray:
    """Returns the first `rows` rows of the orthonormal DCT-II matrix of size `n`.

    Row `u` is `sqrt(2 / n) * cos(pi * (x + 1/2) * u / n)` over `x`, row 0 is `1 / sqrt(n)`.

    Args:
        n: Length of the axis.
        rows: Number of frequencies, at most `n`; `None` is all.

    Returns:
        A read-only float32 array of shape `(rows, n)`.
    """
    u = np.arange(n if rows is None else rows)[:, None]
    x = np.arange(n)[None, :]
    # The angle is reduced in integers: exact even where u * x is large.
    turns = ((2 * x + 1) * u) % (4 * n)
    matrix = np.sqrt(2.0 / n) * np.cos(np.pi / (2 * n) * turns)
    matrix[0] /= math.sqrt(2.0)
    matrix = matrix.astype(np.float32)
    matrix.setflags(write=False)
    return matrix


def contracts(n: int, frequencies: int) -> bool:
    """Returns whether an axis of length `n` with `frequencies` frequencies uses a cosine matrix."""
    return frequencies <= _LONGEST_CONTRACTION and n * frequencies <= _LARGEST_MATRIX


def dct_nd(x, axes: Sequence[int] | None = None, corner: Sequence[int] | None = None) -> tf.Tensor:
    """Computes the orthonormal DCT-II over several axes.

    Args:
        x: Tensor of any rank and float dtype.
        axes: Axes to transform; `None` transforms all.
        corner: Lengths of the low-frequency corner to return, one per axis; coefficients outside it
            are never computed. `None` returns the whole spectrum.

    Returns:
        A float32 tensor of shape `corner`, or of the shape of `x`.

    Example:

    >>> (dct_nd(np.ones((2, 2), "float32")).numpy().round(6) + 0.0).tolist()
    [[2.0, 0.0], [0.0, 0.0]]
    """
    x = tf.cast(tf.convert_to_tensor(x), tf.float32)
    axes = _checked_axes(x, axes)
    corner = _checked_corner(x, axes, corner)
    # Axes that shrink most come first.
    for axis in sorted(axes, key=lambda a: corner[a] / x.shape[a]):
        n, frequencies = x.shape[axis], corner[axis]
        if n == 1:
            continue
        if contracts(n, frequencies):
            x = _contract(x, cosine_matrix(n, frequencies), axis)
        else:
            held, x = [x], None
            x = _in_pieces(functools.partial(_fast_dct, frequencies=frequencies), held, axis)
    return x


def idct_nd(x, axes: Sequence[int] | None = None, shape: Sequence[int] | None = None) -> tf.Tensor:
    """Computes the inverse of `dct_nd`, also from a corner of the coefficients.

    Args:
        x: Tensor of coefficients, of any rank and float dtype.
        axes: Axes to transform; `None` transforms all.
        shape: Shape of the result. Where it is longer than `x`, `x` is the low-frequency
            corner and the missing coefficients are zeros. `None` is the shape of `x`.

    Returns:
        A float32 tensor of shape `shape`.

    Example:

    >>> idct_nd([[2.0]], shape=(2, 2)).numpy().round(6).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    x = tf.cast(tf.convert_to_tensor(x), tf.float32)
    axes = _checked_axes(x, axes)
    shape = _checked_target(x, axes, shape)
    # Axes that grow most come last: the tensor stays small for as long as it can.
    for axis in sorted(axes, key=lambda a: shape[a] / x.shape[a]):
        n, frequencies = shape[axis], x.shape[axis]
        if n == 1:
            continue
        if contracts(n, frequencies):
            x = _contract(x, cosine_matrix(n, frequencies).T, axis)
        else:
            held, x = [x], None
            x = _in_pieces(functools.partial(_fast_idct, n=n), held, axis)
    return x


def _contract(x: tf.Tensor, matrix: np.ndarray, axis: int) -> tf.Tensor:
    """Multiplies `matrix` of shape (out, in) onto one axis, in float32 on every device."""
    if not _rounds_to_tf32():
        return _product(x, tf.constant(matrix), axis)

    @tf.custom_gradient  # that of `tf.matmul` would round again
    def exact(x):
        (high, low), (matrix_high, matrix_low) = tf32_split(x), tf32_split(tf.constant(matrix))
        rest = _product(low, matrix_high, axis) + _product(high, matrix_low, axis)
        product = rest + _product(high, matrix_high, axis)
        return product, lambda upstream: _contract(upstream, matrix.T, axis)

    return exact(x)


def _rounds_to_tf32() -> bool:
    """Whether a float32 product may be rounded to TF32 here, as on NVIDIA's GPUs since Ampere."""
    allowed = tf.config.experimental.tensor_float_32_execution_enabled()
    return allowed and bool(tf.config.get_visible_devices("GPU"))


def tf32_split(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns a float32 tensor without the last 13 of its 23 bits of mantissa, and the rest.

    Example:

    >>> high, low = tf32_split(tf.constant([1.0, 1 / 3]))
    >>> high.numpy().tolist(), (high + low).numpy().tolist()
    ([1.0, 0.333251953125], [1.0, 0.3333333432674408])
    """
    bits = tf.bitwise.bitwise_and(tf.bitcast(x, tf.uint32), tf.constant(0xFFFFE000, tf.uint32))
    high = tf.bitcast(bits, tf.float32)
    return high, x - high


def _product(x: tf.Tensor, matrix: tf.Tensor, axis: int) -> tf.Tensor:
    """`matrix` times one axis, as one batched matrix product."""
    shape = x.shape.as_list()
    before, after = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    if after == 1:
        product = tf.matmul(tf.reshape(x, (before, shape[axis])), matrix, transpose_b=True)
    else:
        product = tf.matmul(matrix, tf.reshape(x, (before, shape[axis], after)))
    return tf.reshape(product, [*shape[:axis], matrix.shape[0], *shape[axis + 1 :]])


def _fast_dct(x: tf.Tensor, frequencies: int) -> tf.Tensor:
    return tf.signal.dct(x, norm="ortho")[..., :frequencies]


def _fast_idct(x: tf.Tensor, n: int) -> tf.Tensor:
    longer = [[0, 0]] * (x.shape.rank - 1) + [[0, n - x.shape[-1]]]
    return tf.signal.idct(tf.pad(x, longer), norm="ortho")


def _in_pieces(transform, held: list[tf.Tensor], axis: int) -> tf.Tensor:
    """Transforms one axis of a tensor, a large one piece by piece: it takes eight times its memory.

    `held` has the tensor and is emptied, so that the tensor is gone before the result is made.
    """
    x = held.pop()
    shape = x.shape.as_list()
    others = [a for a in range(len(shape)) if a != axis]
    if not tf.executing_eagerly() or not others or math.prod(shape) <= _LARGEST_PIECE:
        return _on_last_axis(transform, x, axis)
    cut = max(others, key=shape.__getitem__)
    length = max(1, shape[cut] * _LARGEST_PIECE // math.prod(shape))
    whole, rest = divmod(shape[cut], length)
    pieces = tf.split(x, [length] * whole + ([rest] if rest else []), cut)
    del x
    for place, _ in enumerate(pieces):
        pieces[place] = _on_last_axis(transform, pieces[place], axis)
    return tf.concat(pieces, cut)


def _on_last_axis(transform, x: tf.Tensor, axis: int) -> tf.Tensor:
    """`tf.signal` transforms the last axis only."""
    last = x.shape.rank - 1
    if axis == last:
        return transform(x)
    swap = list(range(last + 1))
    swap[axis], swap[last] = last, axis
    return tf.transpose(transform(tf.transpose(x, swap)), swap)


def _checked_axes(x: tf.Tensor, axes: Sequence[int] | None) -> list[int]:
    rank = x.shape.rank
    if axes is None:
        return list(range(rank))
    normal = [a + rank if a < 0 else a for a in axes]
    if len(set(normal)) != len(normal) or any(not 0 <= a < rank for a in normal):
        raise ValueError(
            f"`axes` must be distinct axes of a tensor of rank {rank}. Received: axes={axes}"
        )
    return normal


def _checked_corner(x: tf.Tensor, axes: list[int], corner: Sequence[int] | None) -> list[int]:
    have = x.shape.as_list()
    if corner is None:
        return have
    want = list(corner)
    fits = len(want) == len(have) and all(
        1 <= w <= h if a in axes else w == h
        for a, (w, h) in enumerate(zip(want, have, strict=True))
    )
    if not fits:
        raise ValueError(
            "`corner` must have the rank of `x`: lengths from 1 to those of `x` on the transformed "
            "axes, and equal lengths on the others. "
            f"Received: corner={tuple(want)}, x of shape {tuple(have)}"
        )
    return want


def _checked_target(x: tf.Tensor, axes: list[int], shape: Sequence[int] | None) -> list[int]:
    have = x.shape.as_list()
    if shape is None:
        return have
    want = list(shape)
    fits = len(want) == len(have) and all(
        w >= h if a in axes else w == h for a, (w, h) in enumerate(zip(want, have, strict=True))
    )
    if not fits:
        raise ValueError(
            "`shape` must have the rank of `x`: lengths not below those of `x` on the transformed "
            "axes, and equal lengths on the others. "
            f"Received: shape={tuple(want)}, x of shape {tuple(have)}"
        )
    return want
