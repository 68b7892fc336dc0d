"""The calls of batch normalizations, seen while a model computes, with the names of
`_calls_in_graph`.

A backend without a graph computes the whole model for each normalization.
"""

import collections
import dataclasses
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np
from keras import ops

from fr_keras._backends import backend
from fr_keras.models.observing import replaced


@dataclasses.dataclass(frozen=True, eq=False)
class _Call:
    """One call of a normalization.

    Attributes:
        norm: The layer.
        number: The number of the call among all.
    """

    norm: keras.layers.BatchNormalization
    number: int


class Calls:
    """The calls of some normalizations while a model computes at inference."""

    def __init__(self, model: keras.Model, batches: Sequence, norms: list):
        self._model, self._norms, self._like = model, norms, batches[0]
        self._first = keras.tree.flatten(batches[0])
        _, seen = self._run(self._first, lambda norm, inputs, mask: norm)
        self._calls = [_Call(norm, number) for number, norm in enumerate(seen)]
        several = len(self._calls) > len(set(seen))
        self._behind = self._changed_behind() if several else None

    def __iter__(self) -> Iterator[_Call]:
        return iter(self._calls)

    def sums(self, calls: Sequence[_Call]) -> Callable[[list[np.ndarray]], list[np.ndarray]]:
        wanted = {call.norm for call in calls}

        def see(norm, inputs, mask):
            return _sums(norm, inputs, mask) if norm in wanted else None

        def run(arrays):
            _, seen = self._run(arrays, see)
            return [seen[call.number] for call in calls]

        return run

    def outputs(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        return [ops.convert_to_numpy(one) for one in self._run(arrays, lambda *_: None)[0]]

    def origins(self, call: _Call) -> set:
        if self._behind is None:  # of normalizations that are called once, all before will do
            return {before.norm for before in self._calls[: call.number]}
        return {norm for norm, numbers in self._behind.items() if call.number in numbers}

    def _changed_behind(self) -> dict:
        """For each normalization, the calls whose inputs change if its outputs do."""

        def see(norm, inputs, mask):
            return ops.convert_to_numpy(ops.cast(inputs, "float32"))

        _, before = self._run(self._first, see)
        found = collections.defaultdict(set)
        for norm in self._norms:
            _, after = self._run(self._first, see, changed=norm)
            for number, (one, two) in enumerate(zip(before, after, strict=True)):
                if not np.allclose(one, two, rtol=1e-4, atol=1e-6):
                    found[norm].add(number)
        return found

    def _run(self, arrays: list[np.ndarray], see: Callable, changed=None) -> tuple[list, list]:
        """The outputs of the model, and what `see(norm, inputs, mask)` returns for each call."""
        seen = []

        def observed(norm, call):
            def noting(inputs, *args, **kwargs):
                _check_values(norm, inputs)
                seen.append(see(norm, inputs, kwargs.get("mask")))
                outputs = call(inputs, *args, **kwargs)
                return outputs * 1.5 + 0.5 if norm is changed else outputs

            return noting

        with replaced(self._norms, observed):
            inputs = keras.tree.pack_sequence_as(self._like, arrays)
            outputs = self._model(inputs, training=False)
        return keras.tree.flatten(outputs), seen


def _check_values(norm: keras.layers.BatchNormalization, inputs) -> None:
    if not backend.is_eager(inputs):
        raise ValueError(
            "`model` must not call a batch normalization in a loop over steps under this backend "
            "of Keras: take TensorFlow. "
            f"Received: layer '{norm.name}' in such a loop"
        )


def _sums(norm: keras.layers.BatchNormalization, inputs, mask) -> np.ndarray:
    x = ops.convert_to_numpy(ops.cast(inputs, "float32")).astype(np.float64)
    axes = tuple(axis for axis in range(x.ndim) if axis != norm.axis % x.ndim)
    counted = np.ones(x.shape, bool)
    if mask is not None:
        counted &= ops.convert_to_numpy(mask).astype(bool)[..., None]
    sums = (np.where(counted, one, 0).sum(axes) for one in (x, np.square(x)))
    return np.stack([counted.sum(axes), *sums])
