"""Representative data: reads arrays, `tf.data` sets, generators and functions as arrays of rows."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

import keras
import numpy as np

from fr_keras.models.walk import ends
from fr_keras.tflite.modes import Mode
from fr_keras.tflite.signature import by_input, input_names

# The most representative rows that are used, and which of them are held out for the check.
_ROWS = 600
_HELD_OUT = slice(None, None, 5)
# An iterable is read up to this many times the rows that are used; the second if it may be endless.
_LOOKED_AT, _LOOKED_AT_ENDLESS = 100, 10
_RANDOM = 1_500_000  # of random rows, so many numbers are enough: 8 to 32 rows


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What representative rows of one input must fit: its name, the shape of a row, and a type."""

    name: str
    shape: tuple[int, ...]
    dtype: str


def float32_for(dtype: str) -> str:
    """The type in a file for a type of a model: float32 for every floating-point type."""
    return "float32" if "float" in dtype else dtype


def split_rows(
    calibration, model: keras.Model, mode: Mode
) -> tuple[list[np.ndarray] | None, list[np.ndarray], str]:
    """Returns rows for calibration, rows for the check, and where the latter come from.

    Both are lists with an array for each input. Without `calibration` there are no rows for
    calibration, and random ones for the check; an error if the mode needs calibration.
    """
    shapes = [tuple(entry.shape[1:]) for entry in model.inputs]
    types = [entry.dtype for entry in model.inputs]
    if calibration is None:
        if mode.calibrated or any("float" not in dtype for dtype in types):
            raise ValueError(
                f"`calibration` must be given for quantize='{mode.name}' and inputs of type "
                f"{types}: a few hundred typical input rows. Received: None"
            )
        rng = np.random.default_rng(0)
        count = int(np.clip(_RANDOM // max(1, sum(int(np.prod(shape)) for shape in shapes)), 8, 32))
        return None, [rng.random((count, *shape), np.float32) for shape in shapes], "random"
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
    """Returns a fair pick of rows of representative data for each input of a network.

    From arrays, the rows are evenly spaced. From an iterable, they are a random pick, with a fixed
    seed, among the first rows. Only the picked rows stay in memory, so it may be endless.

    Args:
        data: An array `(rows, *shape)`, or an iterable (list, generator, `tf.data.Dataset`,
            `keras.utils.PyDataset`) or a function that returns one, like TFLite's
            `representative_dataset`. Its elements are rows `shape` or batches `(n, *shape)`; with
            labels, `(inputs, labels)`; or dicts by input name, whose other entries are ignored.
            For several inputs: an iterable of dicts by name or of lists in order, or a dict or list
            with matching data for each input.
        wanted: The shape and type that the rows of each input must fit.
        limit: The most rows to pick.

    Returns:
        An array `(rows, *shape)` for each input.

    Raises:
        ValueError: If there is no row, an input is ambiguous, or a row has a wrong shape or value.
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
        _checked(part, one.shape).astype(one.dtype, copy=False)
        for part, one in zip(rows, wanted, strict=True)
    ]


def _parts(data, wanted: Sequence[Wanted]) -> list | None:
    """The data of each input separately; `None` if each element has all inputs."""
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
    """Rows from all over each array, because data is often sorted by class."""
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
    """A pick of rows from data that is separate for each input."""
    rows = itertools.zip_longest(*map(_rows_of, parts, wanted))
    lengths = {_length(part) for part in parts}

    def batches() -> Iterator[list[np.ndarray]]:
        for row in rows:
            ended = [one.name for one, part in zip(wanted, row, strict=True) if part is None]
            if ended:
                raise ValueError(
                    "`calibration` must have the same number of rows for each input. "
                    f"Received: data that ends first for {ended}"
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
    """The part of an element of an iterable for each input."""
    if isinstance(element, Mapping):
        return _of_dict(element, wanted)
    if isinstance(element, (list, tuple)) and element:
        inputs = element[0]
        # (inputs, labels), perhaps with sample weights.
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
    kind += f" of {len(element)}" if isinstance(element, (list, tuple)) else ""
    raise ValueError(
        "`calibration` must have elements that are a dict, or a list in order, of the inputs "
        f"{[one.name for one in wanted]}, alone or in (inputs, labels). Received: {kind}"
    )


def _of_dict(data: Mapping, wanted: Sequence[Wanted]) -> list:
    """The entries with the names of the inputs; for one input, also the only one that fits."""
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
    """A random pick of rows with a fixed seed, in their order; all rows if there are few."""
    most = limit * (_LOOKED_AT_ENDLESS if length is None else _LOOKED_AT)
    kept: list[tuple[int, list[np.ndarray]]] = []
    rng, number = np.random.default_rng(0), 0
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
    """How many elements the data has; `None` if that is unknown or endless."""
    if hasattr(data, "cardinality"):  # a tf.data.Dataset; negative for unknown and endless
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
        raise ValueError(
            f"`calibration` must have the same number of rows for each input. Received: {counts}"
        )


def _check_shape(rows: np.ndarray, shape: tuple[int, ...]) -> None:
    if rows.shape == shape:
        raise ValueError(
            f"`calibration` must hold rows of shape {shape} along a first axis. Received: an array "
            f"of shape {rows.shape}, which is a single row: `calibration[None]` adds the axis, and "
            "a few hundred typical rows are better than one"
        )
    if rows.shape[1:] != shape:
        raise ValueError(
            f"`calibration` must hold rows of shape {shape}, the input shape of the network. "
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
