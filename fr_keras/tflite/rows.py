"""Representative data: arrays, `tf.data` sets and generators as one array of rows."""

import itertools
from collections.abc import Iterable

import keras
import numpy as np

from fr_keras.rebuild import ends
from fr_keras.tflite.endpoints import by_input, input_names

#: The modes that need representative data.
CALIBRATED = ("int8", "int16x8")
# Representative rows that are used at the most, and which of them only the check sees.
_ROWS = 600
_HELD_OUT = slice(None, None, 5)


def float32_for(dtype: str) -> str:
    """The type a file takes for a model's: float32 for every float."""
    return "float32" if "float" in dtype else dtype


def split_rows(
    calibration, model: keras.Model, quantize: str
) -> tuple[list[np.ndarray] | None, list[np.ndarray], str]:
    """Returns rows for calibration, rows for the check, and where these are from.

    Both are lists of an array for each input. Without `calibration` there are none for
    calibration and random ones for the check, an error where the mode needs representative data.
    """
    shapes = [tuple(entry.shape[1:]) for entry in model.inputs]
    types = [entry.dtype for entry in model.inputs]
    if calibration is None:
        integers = [dtype for dtype in types if "float" not in dtype]
        if quantize in CALIBRATED or integers:
            raise ValueError(
                f"`calibration` must be given for quantize='{quantize}' and inputs of type "
                f"{types}: a few hundred typical input rows. Received: None"
            )
        rng = np.random.default_rng(0)
        return None, [rng.random((32, *shape), np.float32) for shape in shapes], "random"
    parts = by_input(calibration, input_names(model), "calibration", ends(model)[0])
    rows = [
        representative_rows(part, shape, _ROWS, float32_for(dtype))
        for part, shape, dtype in zip(parts, shapes, types, strict=True)
    ]
    counts = {len(part) for part in rows}
    if len(counts) > 1:
        raise ValueError(
            "`calibration` must have as many rows for each input. "
            f"Received: {[len(part) for part in rows]}"
        )
    if counts == {1}:
        return rows, rows, "calibration"
    held_out = np.zeros(*counts, bool)
    held_out[_HELD_OUT] = True
    return [part[~held_out] for part in rows], [part[held_out] for part in rows], "held out"


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
