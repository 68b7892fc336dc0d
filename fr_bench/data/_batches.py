"""Splits from what `fit` takes: arrays, `tf.data` sets, generators and `PyDataset`s."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping

import keras
import numpy as np
from rich.console import Console
from rich.progress import track

from fr_bench.data._split import Arrays, Dataset, Split, each, parts
from fr_bench.data._splits import complete
from fr_bench.data._spool import Spool, chunks

_ENDLESS = -1  # as `tf.data.INFINITE_CARDINALITY`
_RULE = (
    "must be a tuple (x, y) or (x, y, sample_weight) of arrays, or a tf.data.Dataset, "
    "keras.utils.PyDataset, generator or other iterable of batches of such tuples, or a function "
    "that returns one; x and y may be tuples of arrays for several inputs and outputs"
)

Source = tuple | Iterable | keras.utils.PyDataset | Callable[[], Iterable]


def from_batches(
    train: Source,
    validation: Source | None = None,
    test: Source | None = None,
    labels: Iterable[str] | None = None,
    name: str = "data",
) -> Dataset:
    """Returns a data set of what `fit` takes.

    Batches are read once, in their order, into temporary files that are mapped into memory, so the
    data may be larger than memory. Arrays stay where they are. Nothing is scaled: a network gets
    the numbers that it gets from the source, as float32.

    Args:
        train: Rows to train on: a tuple `(x, y)` or `(x, y, sample_weight)` of arrays; or a
            finite `tf.data.Dataset`, `keras.utils.PyDataset`, generator or other iterable of
            batches of such tuples, or a function that returns one. `x` and `y` may be tuples of
            arrays, for several inputs and outputs.
        validation: Rows for validation; a tenth of those of `train` if it is `None`.
        test: Rows for the final score; a fifth of those of `train` if it is `None`. What is drawn
            from `train` is drawn with a fixed seed, and named in `Dataset.drawn`.
        labels: The names of the classes; their numbers if it is `None`.
        name: The name of the data set in messages and results.

    Raises:
        ValueError: If a source is of another kind, has no end or no rows, or rows do not fit
            together.
        OSError: If the disk is full.

    Example:

    >>> x, y = np.zeros((40, 8, 8, 1), np.float32), np.arange(40) % 2
    >>> found = from_batches(((x[i : i + 10], y[i : i + 10]) for i in range(0, 40, 10)))
    >>> len(found.train), len(found.validation), len(found.test), found.labels, found.drawn
    (29, 3, 8, ('0', '1'), ('validation', 'test'))
    """
    given = {"train": train, "validation": validation, "test": test}
    splits = {one: _split(source, one) for one, source in given.items() if source is not None}
    return complete(name, splits, None if labels is None else tuple(labels))


def _split(source: Source, name: str) -> Split:
    if isinstance(source, tuple):
        return Split(*_checked(source, name))
    with contextlib.ExitStack() as stack:
        return _spooled(source, name, stack)


def _spooled(source: Source, name: str, stack: contextlib.ExitStack) -> Split:
    """The rows of all batches, in temporary files that the stack closes."""
    spools = None
    batches, count = _batches(source, name)
    progress = {"total": count, "console": Console(stderr=True), "transient": True}
    for batch in track(batches, f"reading {name}", **progress):
        columns = _checked(batch, name)
        layout = [len(parts(one)) if isinstance(one, tuple) else 0 for one in columns]
        if spools is None:
            first = layout
            spools = [
                each(one, lambda _: stack.enter_context(Spool(f"`{name}`"))) for one in columns
            ]
        if layout != first:
            raise ValueError(
                f"`{name}` must have the same parts in each batch: inputs, labels and weights. "
                f"Received: {layout} after {first}"
            )
        for spool, column in zip(spools, columns, strict=True):
            for one, part in zip(parts(spool), parts(column), strict=True):
                one.write(part)
    if spools is None:
        raise ValueError(f"`{name}` must have at least one batch. Received: none")
    return Split(*(each(spool, lambda one: one.rows()) for spool in spools))


def _batches(source: Source, name: str) -> tuple[Iterator, int | None]:
    """The batches, and how many there are if that is known."""
    if isinstance(source, keras.utils.PyDataset):
        count = source.num_batches
        if count is None:
            raise _endless(name)
        return (source[number] for number in range(count)), count
    if callable(source) and not isinstance(source, Iterable):
        source = source()
    if isinstance(source, (str, bytes, np.ndarray, Mapping)) or not isinstance(source, Iterable):
        raise ValueError(f"`{name}` {_RULE}. Received: {type(source).__name__}")
    # A tf.data.Dataset; what has a cardinality below 0 is endless or of unknown length.
    count = int(source.cardinality()) if hasattr(source, "cardinality") else None
    if count == _ENDLESS:
        raise _endless(name)
    return iter(source), count if count is None or count >= 0 else None


def _endless(name: str) -> ValueError:
    return ValueError(
        f"`{name}` must come to an end, because all batches are read: leave `repeat()` out, or "
        "take some with `take(n)`. Received: endless batches"
    )


def _checked(batch, name: str) -> tuple[Arrays, ...]:
    """The columns of a batch, checked: inputs, labels, and perhaps weights."""
    if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
        length = f" of {len(batch)}" if isinstance(batch, (tuple, list)) else ""
        raise ValueError(f"`{name}` {_RULE}. Received: {type(batch).__name__}{length}")
    columns = tuple(_column(one, name) for one in batch)
    counts = [len(one) for column in columns for one in parts(column)]
    if len({*counts}) > 1:
        raise ValueError(
            f"`{name}` must have as many rows in inputs, labels and weights. Received: {counts}"
        )
    if len(columns) == 3 and (isinstance(columns[2], tuple) or columns[2].ndim != 1):
        raise ValueError(f"`{name}` must have sample weights of shape (rows,), one for each row.")
    return columns


def _column(column, name: str) -> Arrays:
    if isinstance(column, Mapping):
        raise ValueError(
            f"`{name}` must have tuples of arrays, in the order of the inputs and outputs of the "
            f"network, not dicts: `data.map(lambda x, y: ((x['a'], x['b']), y))`. Received: a dict "
            f"with {list(column)}"
        )
    if isinstance(column, (tuple, list)):
        found = tuple(_array(one, name) for one in column)
        return found if len(found) > 1 else found[0]
    return _array(column, name)


def _array(part, name: str) -> np.ndarray:
    # A memory map stays one.
    array = part if isinstance(part, np.ndarray) else np.asarray(part)
    if array.dtype == bool:
        array = array.astype(np.uint8)
    if array.dtype.kind not in "iuf":
        raise ValueError(f"`{name}` must hold numbers. Received: type {array.dtype}")
    if array.ndim == 0:
        raise ValueError(
            f"`{name}` must have batches of rows: add `.batch(32)`. Received: single rows"
        )
    if array.dtype.kind == "f" and not all(np.isfinite(some).all() for some in chunks(array)):
        raise ValueError(f"`{name}` must be finite. Received: NaN or infinite values")
    return array
