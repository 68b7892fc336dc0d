"""The rows of a data set in small batches, with labels where they are needed."""

import math
from collections.abc import Iterable, Iterator, Mapping

import keras
import numpy as np

from fr_keras.models.walk import ends

# The most rows, and the most input numbers, that are computed at once.
_ROWS = 128
NUMBERS = 1 << 20
_WITHOUT_CLASSES = "criterion='information' needs no classes"


def batches(
    model: keras.Model,
    data: Iterable,
    labels_for: str | None = None,
    name: str = "data",
    numbers: int = NUMBERS,
) -> Iterator[tuple[object, object]]:
    """Yields the inputs and the labels of `data` in batches that are small enough to compute.

    Args:
        model: The model that the inputs are for.
        data: Inputs as an array or a dict of arrays, a tuple of inputs and labels, or an iterable
            of batches of either.
        labels_for: What needs classes as labels, for the message if there are none.
        name: The argument that `data` is, for messages.
        numbers: The most input numbers that are computed at once.

    Raises:
        ValueError: If there are no rows, no labels where they are needed, labels that are not
            classes, or parts of different length.
    """
    fixed, some = model.inputs[0].shape[0], False
    for batch in [data] if is_whole(data, name) else data:
        inputs, labels = _parts(model, batch)
        leaves = keras.tree.flatten(inputs)
        if labels_for:
            labels = _classes(labels, labels_for)
        answers = [] if labels is None else keras.tree.flatten(labels)
        lengths = {len(one) for one in (*leaves, *answers)}
        if len(lengths) > 1:
            raise ValueError(
                f"`{name}` must have as many rows in each input and in the labels. "
                f"Received: {sorted(lengths)} rows"
            )
        size = sum(math.prod(one.shape[1:]) for one in leaves)
        step = fixed or max(1, min(_ROWS, numbers // max(1, size)))
        _check_fixed(fixed, len(leaves[0]))
        for start in range(0, len(leaves[0]), step):
            part, some = slice(start, start + step), True
            yield _rows_of(inputs, part), None if labels is None else _rows_of(labels, part)
    if not some:
        raise ValueError(f"`{name}` must hold at least one batch with rows. Received: none")


def is_whole(data, name: str = "data") -> bool:
    """Returns whether `data` is one batch: arrays, or a tuple of inputs and labels."""
    if data is None or isinstance(data, (str, bytes)) or not hasattr(data, "__iter__"):
        raise ValueError(
            f"`{name}` must be an array, a tuple of inputs and labels, or batches of either. "
            f"Received: {type(data).__name__}"
        )
    return isinstance(data, (np.ndarray, Mapping, tuple)) or hasattr(data, "numpy")


def _parts(model: keras.Model, batch) -> tuple[object, object]:
    # As in `fit`: a tuple is inputs and labels, a list may be several inputs.
    several = isinstance(batch, list) and len(model.inputs) > 1
    pair = isinstance(batch, (tuple, list)) and not several
    inputs = keras.tree.map_structure(np.asarray, batch[0] if pair else batch)
    leaves = keras.tree.flatten(inputs)
    if len(leaves) == len(model.inputs) == 1:  # the model may want it in a list
        inputs = keras.tree.pack_sequence_as(ends(model)[0], leaves)
    labels = batch[1] if pair and len(batch) > 1 else None
    if labels is None or len(model.outputs) == 1:
        return inputs, None if labels is None else np.asarray(labels)
    return inputs, keras.tree.map_structure(np.asarray, labels)


def _rows_of(arrays, part: slice):
    return keras.tree.map_structure(lambda one: one[part], arrays)


def _classes(labels, needed_for: str) -> np.ndarray:
    """The labels as whole numbers, one a row."""
    if labels is None:
        raise ValueError(
            f"`data` must have labels for {needed_for}: a tuple `(inputs, labels)`, or batches of "
            f"such tuples; {_WITHOUT_CLASSES}. Received: inputs only"
        )
    if not isinstance(labels, np.ndarray):
        raise ValueError(
            f"the labels in `data` must be one array of classes for {needed_for}; "
            f"{_WITHOUT_CLASSES}. Received: {type(labels).__name__} for several outputs"
        )
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    whole = labels.ndim == 1 and labels.dtype.kind in "iuf" and np.all(labels == labels.round())
    if not whole or np.any(labels < 0):
        raise ValueError(
            "the labels in `data` must be the numbers of the classes, one a row, from 0; take the "
            f"`argmax` of one-hot labels; {_WITHOUT_CLASSES}. "
            f"Received: {labels.dtype} labels of shape {labels.shape}"
        )
    return labels.astype(np.int64)


def _check_fixed(fixed: int | None, rows: int) -> None:
    if fixed and rows % fixed:
        raise ValueError(
            f"`data` must have whole batches of {fixed} rows, the batch size that the model is "
            f"made for. Received: {rows} rows"
        )
