"""Orthonormal multi-dimensional DCT-II and its inverse, as operations of the backend.

For each axis, `contracts` chooses one of two ways: a product with the cosine matrix, which is
fastest on short axes and corners, or the FFT, which is fastest on long ones.
`benchmarks/spectral.py` measures both and justifies the limits.

All arithmetic is float32, whatever the type of the input: half precision is too coarse for kernels.
That holds also where the backend lets a GPU round the operands of a product to TF32, which has 10
bits of mantissa.
"""

import functools
import math
from collections.abc import Sequence

import numpy as np
from keras import ops

from fr_keras._backends import backend

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


def dct_nd(x, axes: Sequence[int] | None = None, corner: Sequence[int] | None = None):
    """Computes the orthonormal DCT-II over several axes.

    Args:
        x: Tensor of any rank and float dtype.
        axes: Axes to transform; `None` transforms all.
        corner: Lengths of the low-frequency corner to return, one per axis; coefficients outside it
            are never computed. `None` returns the whole spectrum.

    Returns:
        A float32 tensor of shape `corner`, or of the shape of `x`.

    Example:

    >>> (ops.convert_to_numpy(dct_nd(np.ones((2, 2)))).round(6) + 0.0).tolist()
    [[2.0, 0.0], [0.0, 0.0]]
    """
    x = ops.cast(x, "float32")
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


def idct_nd(x, axes: Sequence[int] | None = None, shape: Sequence[int] | None = None):
    """Computes the inverse of `dct_nd`, also from a corner of the coefficients.

    Args:
        x: Tensor of coefficients, of any rank and float dtype.
        axes: Axes to transform; `None` transforms all.
        shape: Shape of the result. Where it is longer than `x`, `x` is the low-frequency
            corner and the missing coefficients are zeros. `None` is the shape of `x`.

    Returns:
        A float32 tensor of shape `shape`.

    Example:

    >>> ops.convert_to_numpy(idct_nd([[2.0]], shape=(2, 2))).round(6).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    x = ops.cast(x, "float32")
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


def _contract(x, matrix: np.ndarray, axis: int):
    """Multiplies `matrix` of shape (out, in) onto one axis, in float32 on every device."""
    return backend.exactly(
        functools.partial(_product, axis=axis),
        x,
        matrix,
        adjoint=lambda above: _contract(above, matrix.T, axis),
    )


def _product(x, matrix, axis: int):
    """`matrix` times one axis, as one batched matrix product."""
    shape = tuple(x.shape)
    before, after = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    if after == 1:
        product = ops.matmul(ops.reshape(x, (before, shape[axis])), ops.transpose(matrix))
    else:
        product = ops.matmul(matrix, ops.reshape(x, (before, shape[axis], after)))
    return ops.reshape(product, (*shape[:axis], matrix.shape[0], *shape[axis + 1 :]))


def _fast_dct(x, frequencies: int):
    return backend.dct(x)[..., :frequencies]


def _fast_idct(x, n: int):
    longer = [[0, 0]] * (len(x.shape) - 1) + [[0, n - x.shape[-1]]]
    return backend.idct(ops.pad(x, longer))


def _in_pieces(transform, held: list, axis: int):
    """Transforms one axis of a tensor, a large one piece by piece: it takes eight times its memory.

    `held` has the tensor and is emptied, so that the tensor is gone before the result is made.
    """
    x = held.pop()
    shape = tuple(x.shape)
    others = [a for a in range(len(shape)) if a != axis]
    if not backend.is_eager(x) or not others or math.prod(shape) <= _LARGEST_PIECE:
        return _on_last_axis(transform, x, axis)
    cut = max(others, key=shape.__getitem__)
    length = max(1, shape[cut] * _LARGEST_PIECE // math.prod(shape))
    pieces = ops.split(x, list(range(length, shape[cut], length)), cut)
    del x
    for place, _ in enumerate(pieces):
        pieces[place] = _on_last_axis(transform, pieces[place], axis)
    return ops.concatenate(pieces, cut)


def _on_last_axis(transform, x, axis: int):
    """The FFT transforms the last axis only."""
    last = len(x.shape) - 1
    if axis == last:
        return transform(x)
    swap = list(range(last + 1))
    swap[axis], swap[last] = last, axis
    return ops.transpose(transform(ops.transpose(x, swap)), swap)


def _checked_axes(x, axes: Sequence[int] | None) -> list[int]:
    rank = len(x.shape)
    if axes is None:
        return list(range(rank))
    normal = [a + rank if a < 0 else a for a in axes]
    if len(set(normal)) != len(normal) or any(not 0 <= a < rank for a in normal):
        raise ValueError(
            f"`axes` must be distinct axes of a tensor of rank {rank}. Received: axes={axes}"
        )
    return normal


def _checked_corner(x, axes: list[int], corner: Sequence[int] | None) -> list[int]:
    have = list(x.shape)
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


def _checked_target(x, axes: list[int], shape: Sequence[int] | None) -> list[int]:
    have = list(x.shape)
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
