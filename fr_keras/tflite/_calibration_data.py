"""Representative data: arrays, `tf.data` sets, generators and functions as one array of rows."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

import keras
import numpy as np

from fr_keras.models.walk import ends
from fr_keras.tflite.modes import Mode
from fr_keras.tflite.signature import by_input, input_names

# Representative rows that are used at the most, and which of them only the check sees.
_ROWS = 600
_HELD_OUT = slice(None, None, 5)
# An iterable is looked through for a fair pick, up to so many times the rows that are used: one
# whose end is known, and one that may be endless.
_LOOKED_AT, _LOOKED_AT_ENDLESS = 100, 10


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What representative rows have to be for one input: its name, a row's shape, and its type."""

    name: str
    shape: tuple[int, ...]
    dtype: str


def float32_for(dtype: str) -> str:
    """The type a file takes for a model's: float32 for every float."""
    return "float32" if "float" in dtype else dtype


def split_rows(
    calibration, model: keras.Model, mode: Mode
) -> tuple[list[np.ndarray] | None, list[np.ndarray], str]:
    """Returns rows for calibration, rows for the check, and where these are from.

    Both are lists of an array for each input. Without `calibration` there are none for
    calibration and random ones for the check, an error where the mode needs representative data.
    """
    shapes = [tuple(entry.shape[1:]) for entry in model.inputs]
    types = [entry.dtype for entry in model.inputs]
    if calibration is None:
        integers = [dtype for dtype in types if "float" not in dtype]
        if mode.calibrated or integers:
            raise ValueError(
                f"`calibration` must be given for quantize='{mode.name}' and inputs of type "
                f"{types}: a few hundred typical input rows. Received: None"
            )
        rng = np.random.default_rng(0)
        return None, [rng.random((32, *shape), np.float32) for shape in shapes], "random"
    wanted = list(map(Wanted, input_names(model), shapes, map(float32_for, types)))
    structure = ends(model)[0]
    if isinstance(structure, (list, tuple)) and any(map(_is_nested, structure)):
        names = [one.name for one in wanted]
        calibration = by_input(calibration, names, "calibration", structure)
    rows = representative(calibration, wanted, _ROWS)
    if len(rows[0]) == 1:
        return rows, rows, "calibration"
    held_out = np.zeros(len(rows[0]), bool)
    held_out[_HELD_OUT] = True
    return [part[~held_out] for part in rows], [part[held_out] for part in rows], "held out"


def representative_rows(data, shape: tuple[int, ...], limit: int, dtype="float32") -> np.ndarray:
    """Returns rows of representative data for a network with one input; see `representative`."""
    return representative(data, [Wanted("input", tuple(shape), dtype)], limit)[0]


def representative(data, wanted: Sequence[Wanted], limit: int) -> list[np.ndarray]:
    """Returns rows of representative data for each input of a network: a fair pick.

    Of arrays it is an even pick; of an iterable a random one, with a fixed seed, among the first
    rows, of which only those that are kept stay in memory: an endless one is fine.

    Args:
        data: An array `(rows, *shape)`, or an iterable (list, generator, `tf.data.Dataset`,
            `keras.utils.PyDataset`) or a function that returns one, as TFLite's
            `representative_dataset`. Its elements are rows `shape` or batches `(n, *shape)`; with
            labels, `(inputs, labels)`; or dicts by input name, of which other entries are left.
            For several inputs an iterable of dicts by name or of lists in order, or a dict or list
            with such data for each input, row by row what belongs together.
        wanted: What the inputs take.
        limit: No more than this many rows are taken.

    Returns:
        An array `(rows, *shape)` for each input.

    Raises:
        ValueError: If there is no row, it is not clear which is an input, a shape does not fit, or
            a value is not finite.
    """
    if callable(data) and not isinstance(data, Iterable):
        data = data()
    parts = _parts(data, wanted)
    if parts is None:
        rows = _picked(_batches(data, wanted), limit, _length(data))
    elif all(_is_array(part) for part in parts):
        rows = _even(parts, wanted, limit)
    else:
        rows = _together(parts, wanted, limit)
    return [
        _checked(part, one.shape).astype(one.dtype) for part, one in zip(rows, wanted, strict=True)
    ]


def _parts(data, wanted: Sequence[Wanted]) -> list | None:
    """The data of each input by itself; `None` where each element has all of them."""
    if isinstance(data, Mapping):
        return _of_dict(data, wanted)
    several = isinstance(data, (list, tuple)) and len(data) == len(wanted) > 1
    if several and not any(isinstance(one, Mapping) for one in data):
        return list(data)
    if len(wanted) == 1:
        return [data] if _is_array(data) else None
    listed = isinstance(data, (list, tuple)) and any(_is_nested(one) for one in data)
    if listed or not (isinstance(data, (list, tuple)) or _is_array(data)):
        return None
    return by_input(data, [one.name for one in wanted], "calibration")


def _even(parts: list, wanted: Sequence[Wanted], limit: int) -> list[np.ndarray]:
    """Rows from the whole of each array: files are often sorted by class."""
    arrays = [np.asarray(part) for part in parts]
    for part, one in zip(arrays, wanted, strict=True):
        _check_shape(part, one.shape)
    counts = [len(part) for part in arrays]
    _check_counts(counts)
    if counts[0] <= limit:
        return arrays
    chosen = np.linspace(0, counts[0] - 1, limit).astype(int)
    return [part[chosen] for part in arrays]


def _together(parts: list, wanted: Sequence[Wanted], limit: int) -> list[np.ndarray]:
    """Rows of data that each input has by itself, one behind another."""
    rows = itertools.zip_longest(*map(_rows_of, parts, wanted))
    lengths = {_length(part) for part in parts}

    def batches() -> Iterator[list[np.ndarray]]:
        for row in rows:
            ended = [one.name for one, part in zip(wanted, row, strict=True) if part is None]
            if ended:
                raise ValueError(
                    "`calibration` must have as many rows for each input. Received: data that ends "
                    f"first for {ended}"
                )
            yield [part[None] for part in row]

    return _picked(batches(), limit, None if None in lengths else max(lengths))


def _rows_of(data, wanted: Wanted) -> Iterator[np.ndarray]:
    """The rows of one input."""
    if _is_array(data):
        yield from _checked(np.asarray(data), wanted.shape)
        return
    for (batch,) in _batches(data, [wanted]):
        yield from batch


def _batches(data, wanted: Sequence[Wanted]) -> Iterator[list[np.ndarray]]:
    """A batch of rows for each input, of every element."""
    for element in _elements(data):
        batch = []
        for part, one in zip(_of_element(element, wanted), wanted, strict=True):
            array = np.asarray(part)
            array = array[None] if array.shape == one.shape else array
            batch.append(_checked(array, one.shape))
        _check_counts([len(part) for part in batch])
        yield batch


def _elements(data) -> Iterable:
    if isinstance(data, Iterable):
        return data
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):  # keras.utils.PyDataset
        return (data[number] for number in range(len(data)))
    raise ValueError(
        "`calibration` must be an array, a tf.data.Dataset or an iterable of rows, or a function "
        f"that returns one of these. Received: {type(data).__name__}"
    )


def _of_element(element, wanted: Sequence[Wanted]) -> list:
    """What an element of an iterable has for each input."""
    if isinstance(element, Mapping):
        return _of_dict(element, wanted)
    if isinstance(element, (list, tuple)) and element:
        inputs = element[0]
        # (inputs, labels), and weights of them perhaps.
        if _is_nested(inputs) and (isinstance(inputs, Mapping) or len(inputs) == len(wanted) > 1):
            return _of_element(inputs, wanted)
        if len(wanted) == 1:
            fits = _fits(inputs, wanted[0].shape) or not _fits(element, wanted[0].shape)
            return [inputs if fits else element]
        if len(element) == len(wanted):
            return list(element)
    elif len(wanted) == 1:
        return [element]
    kind = type(element).__name__
    length = f" of {len(element)}" if isinstance(element, (list, tuple)) else ""
    raise ValueError(
        "`calibration` must have elements that are a dict, or a list in this order, of the inputs "
        f"{[one.name for one in wanted]}, or (inputs, labels) of these. Received: {kind}{length}"
    )


def _of_dict(data: Mapping, wanted: Sequence[Wanted]) -> list:
    """The entries with the names of the inputs; for one input the only one that fits it."""
    names = [one.name for one in wanted]
    if {*names} <= {*data}:
        return [data[name] for name in names]
    fitting = [part for part in data.values() if _fits(part, wanted[0].shape)]
    if len(wanted) == len(fitting) == 1:
        return fitting
    return by_input(data, names, "calibration")


def _picked(
    batches: Iterator[list[np.ndarray]], limit: int, length: int | None
) -> list[np.ndarray]:
    """A random pick of rows with a fixed seed, in their order; all of a few."""
    rng = np.random.default_rng(0)
    most = limit * (_LOOKED_AT_ENDLESS if length is None else _LOOKED_AT)
    kept: list[tuple[int, list[np.ndarray]]] = []
    number = 0
    for batch in batches:
        for position in range(len(batch[0])):
            place = number if number < limit else int(rng.integers(0, number + 1))
            number += 1
            if place < limit:
                # A view would keep the whole batch.
                row = number, [np.array(part[position]) for part in batch]
                kept[place : place + 1] = [row]
        if number >= most:
            break
    if not kept:
        raise ValueError("`calibration` must hold at least one row. Received: none")
    kept.sort(key=lambda row: row[0])
    return [np.stack(parts) for parts in zip(*(row for _, row in kept), strict=True)]


def _length(data) -> int | None:
    """How many elements data have; `None` where that is not known or endless."""
    if hasattr(data, "cardinality"):  # of a tf.data.Dataset; negative for unknown and endless
        count = int(data.cardinality())
        return None if count < 0 else count
    return len(data) if hasattr(data, "__len__") else None


def _is_array(data) -> bool:
    return hasattr(data, "__array__")


def _is_nested(data) -> bool:
    return isinstance(data, (Mapping, list, tuple))


def _fits(data, shape: tuple[int, ...]) -> bool:
    """Whether it is a row or rows of that shape."""
    try:
        found = np.shape(data)
    except ValueError:  # a list of unlike things
        return False
    return found == shape or (len(found) > 0 and found[1:] == shape)


def _check_counts(counts: list[int]) -> None:
    if len({*counts}) > 1:
        raise ValueError(f"`calibration` must have as many rows for each input. Received: {counts}")


def _check_shape(rows: np.ndarray, shape: tuple[int, ...]) -> None:
    if rows.shape == shape:
        raise ValueError(
            f"`calibration` must hold rows of shape {shape}, and an axis of rows before them. "
            f"Received: an array of shape {rows.shape}, which is one row: `calibration[None]` has "
            "the axis, and a few hundred typical rows are better than one"
        )
    if rows.shape[1:] != shape:
        raise ValueError(
            f"`calibration` must hold rows of shape {shape}, the input of the network. "
            f"Received: an array of shape {rows.shape}"
        )


def _checked(rows: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    _check_shape(rows, shape)
    if len(rows) == 0:
        raise ValueError("`calibration` must hold at least one row. Received: none")
    if not (np.issubdtype(rows.dtype, np.number) or rows.dtype == bool):
        raise ValueError(f"`calibration` must hold numbers. Received: type {rows.dtype}")
    if not np.isfinite(rows).all():
        raise ValueError("`calibration` must be finite. Received: NaN or infinite values")
    return rows
