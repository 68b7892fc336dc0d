"""Scores of channels from their values on data."""

import collections
import warnings
from collections.abc import Iterable

import keras
import numpy as np

from fr_keras.methods._observing import Layout, Reader, observing


class Counts:
    """How often the values of channels are positive, negative and zero, for each reader.

    The counts are 64-bit numbers: no data set is large enough to make them overflow.
    """

    def __init__(self, layout: Layout):
        shape = len(layout.readers), layout.size
        self._layout = layout
        self._rows = {id(one): i for i, one in enumerate(layout.readers)}
        self.positive = np.zeros(shape, np.int64)
        self.negative = np.zeros(shape, np.int64)
        self.all = np.zeros(shape, np.int64)

    def see(self, reader: Reader, tensor):
        """Counts an input of a reader, and returns it."""
        values, row = reader.in_order(tensor), self._rows[id(reader)]
        length = values.shape[0] * values.shape[1]
        seen = {
            "positive": np.count_nonzero(values > 0, axis=(0, 1)),
            "negative": np.count_nonzero(values < 0, axis=(0, 1)),
            "all": np.full(values.shape[2], length),
        }
        for kind, counted in seen.items():
            getattr(self, kind)[row] += self._layout.sums(reader, counted.astype(np.int64))
        return tensor

    def mean(self, values: np.ndarray) -> dict[str, np.ndarray]:
        """The mean of values `(readers, channels)` over the readers that see a channel."""
        return self._layout.split(values.sum(0) / np.count_nonzero(self.all, axis=0))


def counted(layout: Layout, model: keras.Model, batches: Iterable) -> Counts:
    """Counts the values that the readers of a layout see."""
    counts = Counts(layout)
    with observing(layout, counts.see):
        for inputs, _ in batches:
            model(inputs, training=False)
    return counts


def positives(layout: Layout, model: keras.Model, batches: Iterable) -> dict[str, np.ndarray]:
    """How often a channel is positive."""
    counts = counted(layout, model, batches)
    signed = layout.split(counts.negative.any(0))
    signed = [name for name, some in signed.items() if some.any()]
    if signed:
        warnings.warn(
            "`criterion='active'` counts positive values, but the layers that read these groups "
            f"see negative ones, too: {signed}. There, a channel may matter that is seldom "
            "positive.",
            stacklevel=3,
        )
    return counts.mean(counts.positive)


def nonzeros(layout: Layout, model: keras.Model, batches: Iterable) -> dict[str, np.ndarray]:
    """The share of values of a channel that are not zero: one minus APoZ."""
    counts = counted(layout, model, batches)
    other = counts.positive + counts.negative
    zeros = layout.split((counts.all > other).any(0))
    full = [name for name, some in zeros.items() if not some.any()]
    if len(full) == len(zeros):
        raise ValueError(
            "`data` and `model` must give zeros for criterion='apoz', for it counts them: take "
            "another criterion where channels have no rectifier, and more rows where they have. "
            "Received: no value that is zero"
        )
    if full:
        warnings.warn(
            f"`criterion='apoz'` counts zeros, and there are none in {full}: all their channels "
            "have score 1.",
            stacklevel=3,
        )
    return counts.mean(other / np.maximum(counts.all, 1))


class _Moments:
    """For each class the sums of the response maps of a reader and of their squares."""

    def __init__(self):
        self.maps: dict[int, np.ndarray] = {}
        self.squares: dict[int, np.ndarray] = {}

    def add(self, values: np.ndarray, labels: np.ndarray) -> None:
        """Adds rows `(rows, others, positions)` with their classes."""
        for label in np.unique(labels).tolist():
            rows = values[labels == label].astype(np.float64)
            self.maps[label] = self.maps.get(label, 0) + rows.sum(0)
            self.squares[label] = self.squares.get(label, 0) + np.square(rows).sum((0, 1))

    def residual(self, rows: dict[int, int]) -> np.ndarray:
        """The sum over all anchors of their mean residual, for each position of channels."""
        everything, total = sum(self.maps.values()), sum(self.squares.values())
        count, found = sum(rows.values()), 0
        for label, own in rows.items():
            maps, squares, others = self.maps[label], self.squares[label], count - own
            # Distances from the sums: |a - b|^2 = |a|^2 + |b|^2 - 2ab, summed over all pairs.
            apart = others * squares + own * (total - squares)
            apart = apart - 2 * (maps * (everything - maps)).sum(0)
            alike = 2 * own * squares - 2 * np.square(maps).sum(0)
            found = found + apart / others - alike / (own - 1)
        return found


def residuals(layout: Layout, model: keras.Model, batches: Iterable) -> dict[str, np.ndarray]:
    """The Triplet Response Residual, the mean over all triplets."""
    moments: dict = collections.defaultdict(_Moments)
    rows: collections.Counter[int] = collections.Counter()
    for inputs, labels in batches:
        times: collections.Counter[Reader] = collections.Counter()

        def see(reader, tensor, labels=labels, times=times):
            times[reader] += 1  # a shared layer sees several maps of a row
            moments[reader, times[reader]].add(_maps(reader, tensor, moments, times), labels)
            return tensor

        with observing(layout, see):
            model(inputs, training=False)
        rows.update(labels.tolist())
    _check_classes(rows)
    found = np.zeros(layout.size)
    for (reader, _), one in moments.items():
        found += layout.sums(reader, one.residual(rows))
    return layout.split(found / rows.total())


def _maps(reader: Reader, tensor, moments: dict, times: dict) -> np.ndarray:
    values = reader.in_order(tensor)
    before = next(iter(moments[reader, times[reader]].maps.values()), values[0])
    if before.shape != values.shape[1:]:
        raise ValueError(
            "`data` must have rows of one shape for criterion='triplet'. Received: maps of "
            f"different size for layer '{reader.name}'"
        )
    return values


def _check_classes(rows: dict[int, int]) -> None:
    if len(rows) < 2 or min(rows.values()) < 2:
        raise ValueError(
            "`data` must have two or more classes with two or more rows each for "
            "criterion='triplet': a triplet is two rows of one class and one of another. "
            f"Received: rows by class {dict(sorted(rows.items()))}"
        )
