"""The statistics of the inputs of batch normalizations, measured on data at inference."""

import importlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping

import keras
import numpy as np

from fr_keras._keras_internals import inner_layers
from fr_keras.models.walk import check_graph

# TensorFlow can compute the part of a graph that a tensor needs; the others compute call by call.
_CALLS = "_calls_in_graph" if keras.backend.backend() == "tensorflow" else "_calls_by_run"
# The most rows, and the most input numbers, that are computed at once.
_ROWS = 128
_NUMBERS = 1 << 20


class Moments:
    """The calls of a model's batch normalizations at inference, and their statistics on data.

    The calls are found only once, and `set` may be called again after weights have changed.

    Args:
        model: A built functional or sequential model.
        data: As for `calibrate_batch_norm`.

    Raises:
        ValueError: As in `calibrate_batch_norm`.
    """

    def __init__(self, model: keras.Model, data: Iterable):
        check_graph(model)
        # Public walks do not open layers that hold layers.
        layers = inner_layers(model)
        self.norms = [one for one in layers if isinstance(one, keras.layers.BatchNormalization)]
        if not self.norms:
            raise ValueError(
                "`model` must have a BatchNormalization layer. "
                f"Received: '{model.name}' without one"
            )
        #: The inputs, in batches that are small enough to be computed at once.
        self.batches = _batches(model, data)
        self._inputs = [keras.tree.flatten(batch) for batch in self.batches]
        self._fixed = model.inputs[0].shape[0] is not None
        calls = importlib.import_module(f"fr_keras.models.{_CALLS}")
        self._calls = calls.Calls(model, self.batches, self.norms)
        self._before = {call: self._calls.origins(call) for call in self._calls}
        self._steps = [(calls, self._calls.sums(calls)) for calls in self._order()]

    @property
    def rows(self) -> int:
        """How many rows the data has."""
        return sum(len(arrays[0]) for arrays in self._inputs)

    def set(self, progress: Callable[[float], None] = lambda share: None) -> None:
        """Sets the statistics of every normalization, or of none if it fails.

        Args:
            progress: A function that is called with the share that is done.
        """
        before = [
            (weight, keras.ops.convert_to_numpy(weight))
            for norm in self.norms
            for weight in norm.weights
        ]
        try:
            for number, (calls, run) in enumerate(self._steps):
                self._measure(
                    calls, run, lambda part, n=number: progress((n + part) / len(self._steps))
                )
        except BaseException:
            for weight, value in before:
                weight.assign(value)
            raise

    def outputs(self, rows: int) -> list[np.ndarray]:
        """Returns the model's outputs for about that many rows, some from every batch."""
        few = None if self._fixed else -(-rows // len(self._inputs))
        found = [self._calls.outputs([one[:few] for one in arrays]) for arrays in self._inputs]
        return [np.concatenate(parts) for parts in zip(*found, strict=True)]

    def _order(self) -> Iterator[list]:
        """Yields calls that are measured together: each depends only on normalizations whose
        statistics are known."""
        waiting: dict = {}
        for call in self._calls:
            waiting.setdefault(call.norm, []).append(call)
        known, repeated = set(), []
        while waiting:
            free = [c for calls in waiting.values() for c in calls if self._before[c] <= known]
            ready = [n for n, calls in waiting.items() if all(c in free for c in calls)]
            if not ready:  # one depends on itself
                ready = [free[0].norm]
                repeated.append(waiting[free[0].norm])
            yield [call for call in free if call.norm in ready]
            known.update(ready)
            waiting = {norm: calls for norm, calls in waiting.items() if norm not in known}
        yield from repeated

    def _measure(self, calls: list, run, progress: Callable[[float], None]) -> None:
        """Gives the normalizations of some calls the statistics of these calls."""
        totals = [0.0] * len(calls)
        for number, arrays in enumerate(self._inputs, 1):
            totals = [total + one for total, one in zip(totals, run(arrays), strict=True)]
            progress(number / len(self._inputs))
        by_norm: dict = {}
        for call, total in zip(calls, totals, strict=True):
            by_norm[call.norm] = by_norm.get(call.norm, 0.0) + total
        for norm, total in by_norm.items():
            _assign(norm, *total)


def _batches(model: keras.Model, data) -> list:
    """The inputs of `data`, in small batches."""
    whole = isinstance(data, Mapping) or hasattr(data, "__array__")
    fixed = model.inputs[0].shape[0]
    batches = []
    for batch in [data] if whole else data:
        # As in `fit`: a tuple is inputs and labels, a list may be several inputs.
        several = isinstance(batch, list) and len(model.inputs) > 1
        labelled = isinstance(batch, (tuple, list)) and not several
        inputs = keras.tree.map_structure(np.asarray, batch[0] if labelled else batch)
        leaves = keras.tree.flatten(inputs)
        numbers = sum(math.prod(one.shape[1:]) for one in leaves)
        step = fixed or max(1, min(_ROWS, _NUMBERS // max(1, numbers)))
        for start in range(0, len(leaves[0]), step):
            part = slice(start, start + step)
            batches.append(keras.tree.map_structure(lambda one, part=part: one[part], inputs))
    if not batches:
        raise ValueError("`data` must hold at least one batch with rows. Received: none")
    return batches


def _assign(norm: keras.layers.BatchNormalization, n, first, second) -> None:
    mean = first / np.maximum(n, 1)
    variance = np.maximum(second / np.maximum(n, 1) - np.square(mean), 0)
    if not (n.all() and np.isfinite(mean).all() and np.isfinite(variance).all()):
        raise ValueError(
            "`data` must give every batch normalization inputs that are finite and not all masked. "
            f"Received: other inputs for layer '{norm.name}'"
        )
    set_statistics(norm, mean, variance)


def set_statistics(
    norm: keras.layers.BatchNormalization, mean: np.ndarray, variance: np.ndarray
) -> None:
    """Sets the moving mean and variance of a normalization, and what follows from them."""
    norm.moving_mean.assign(mean)
    norm.moving_variance.assign(variance)
    if norm.renorm:
        deviation = np.sqrt(variance + norm.epsilon)
        norm.moving_stddev.assign(deviation)
        norm.renorm_mean.assign(mean)
        norm.renorm_stddev.assign(deviation)
