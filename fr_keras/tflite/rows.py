"""Representative data: arrays, `tf.data` sets and generators as one array of rows."""

import itertools
from collections.abc import Iterable

import numpy as np


def representative_rows(data, shape: tuple[int, ...], limit: int, dtype="float32") -> np.ndarray:
    """Returns rows of representative data: the first of an iterable, an even pick of an array.

    Args:
        data: An array `(rows, *shape)`, or an iterable (list, generator, `tf.data.Dataset`) of
            rows `shape` or batches `(n, *shape)`. Of an `(inputs, labels)` tuple, the inputs.
        shape: Shape of one input row of the network.
        limit: No more than this many rows are taken: an endless iterable is fine.
        dtype: Type of the network's input.

    Returns:
        An array `(rows, *shape)` of that type.

    Raises:
        ValueError: If there is no row, a shape does not fit, or a value is not finite.
    """
    if hasattr(data, "shape") and not isinstance(data, Iterable):
        data = np.asarray(data)
    if isinstance(data, np.ndarray) or hasattr(data, "numpy"):
        rows = np.asarray(data)
        if len(rows) > limit:  # files are often sorted by class
            rows = rows[np.linspace(0, len(rows) - 1, limit).astype(int)]
        return _checked(rows, shape).astype(dtype)
    if not isinstance(data, Iterable):
        raise ValueError(
            "`calibration` must be an array, a tf.data.Dataset or an iterable of rows. "
            f"Received: {type(data).__name__}"
        )
    rows: list[np.ndarray] = []
    for element in data:
        batch = np.asarray(element[0] if isinstance(element, (tuple, list)) else element)
        batch = batch[None] if batch.shape == tuple(shape) else batch
        rows.extend(itertools.islice(_checked(batch, shape), limit - len(rows)))
        if len(rows) >= limit:
            break
    return _checked(np.array(rows).reshape((-1, *shape)), shape).astype(dtype)


def _checked(rows: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if rows.shape[1:] != tuple(shape):
        raise ValueError(
            f"`calibration` must hold rows of shape {tuple(shape)}, the input of the network. "
            f"Received: an array of shape {rows.shape}"
        )
    if len(rows) == 0:
        raise ValueError("`calibration` must hold at least one row. Received: none")
    if not (np.issubdtype(rows.dtype, np.number) or rows.dtype == bool):
        raise ValueError(f"`calibration` must hold numbers. Received: type {rows.dtype}")
    if not np.isfinite(rows).all():
        raise ValueError("`calibration` must be finite. Received: NaN or infinite values")
    return rows
