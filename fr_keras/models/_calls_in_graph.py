"""The calls of batch normalizations in a graph of TensorFlow."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from fr_keras.models.observing import replaced


@dataclasses.dataclass(frozen=True, eq=False)
class _Call:
    """One call of a normalization in the graph.

    Attributes:
        norm: The layer.
        sums: For each channel, the sums of n, n * mean and n * (variance + mean^2),
            `(3, channels)`.
        outputs: The output of the call.
    """

    norm: keras.layers.BatchNormalization
    sums: tf.Tensor
    outputs: tf.Tensor


class Calls:
    """The calls of some normalizations while a model computes at inference.

    Args:
        model: A built functional or sequential model.
        batches: Inputs of the model.
        norms: The normalizations.
    """

    def __init__(self, model: keras.Model, batches: Sequence, norms: list):
        self._calls: list[_Call] = []

        def infer(*inputs):
            return model(keras.tree.pack_sequence_as(batches[0], inputs), training=False)

        signature = _signature(batches, model.inputs[0].shape[0] is not None)
        self._count = len(signature)
        with replaced(norms, self._observed):
            # Unlike those of `tf.function`, this function can be computed in part.
            self._function = tf.compat.v1.wrap_function(infer, signature)

    def __iter__(self) -> Iterator[_Call]:
        return iter(self._calls)

    def sums(self, calls: Sequence[_Call]) -> Callable[[list[np.ndarray]], list[np.ndarray]]:
        """Returns the function that computes the sums of some calls from a batch of inputs."""
        return self._part([call.sums for call in calls])

    def outputs(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        """Returns the model's outputs."""
        # The whole function: to take out a part of it costs more than it would save here.
        found = self._function(*map(tf.constant, arrays))
        return [one.numpy() for one in keras.tree.flatten(found)]

    def origins(self, call: _Call) -> set:
        """Returns the normalizations that the inputs of a call come from.

        Raises:
            ValueError: If the call is in a loop over an unknown number of steps.
        """
        ends = {other.outputs.ref(): other.norm for other in self._calls}
        graph, found, seen, stack = self._function.graph, set(), set(), [call.sums]
        while stack:
            tensor = stack.pop()
            if tensor.ref() in seen:
                continue
            seen.add(tensor.ref())
            # The number of the step, where Keras maps over steps; 0 when it is asked for.
            if tensor.op.type == "PlaceholderWithDefault" or tensor.graph is not graph:
                raise ValueError(
                    "`model` must not call a batch normalization in a loop over an unknown number "
                    "of steps: give rows of one length. "
                    f"Received: layer '{call.norm.name}' in such a loop"
                )
            if tensor.ref() in ends:
                found.add(ends[tensor.ref()])
            stack.extend(tensor.op.inputs)
        return found

    def _part(self, fetches: list[tf.Tensor]):
        """The function that computes these tensors, and only what they need."""
        run = self._function.prune(self._function.inputs[: self._count], fetches)
        return lambda arrays: [one.numpy() for one in run(*map(tf.constant, arrays))]

    def _observed(self, norm: keras.layers.BatchNormalization, call: Callable) -> Callable:
        def noting(inputs, *args, **kwargs):
            outputs = call(inputs, *args, **kwargs)
            self._calls.append(_Call(norm, _sums(norm, inputs, kwargs.get("mask")), outputs))
            return outputs

        return noting


def _signature(batches: Sequence, fixed: bool) -> list[tf.TensorSpec]:
    """The input shapes; lengths that are the same in every batch are fixed."""
    signature = []
    for arrays in zip(*map(keras.tree.flatten, batches), strict=True):
        lengths = zip(*(one.shape for one in arrays), strict=True)
        shape = [ns[0] if len(set(ns)) == 1 else None for ns in lengths]
        if not fixed:
            shape[0] = None
        signature.append(tf.TensorSpec(shape, tf.as_dtype(arrays[0].dtype)))
    return signature


def _sums(norm: keras.layers.BatchNormalization, inputs, mask) -> tf.Tensor:
    # In float32 the sums over a million positions would be off in the fifth digit.
    x = tf.cast(inputs, tf.float64)
    axes = [axis for axis in range(len(x.shape)) if axis != norm.axis % len(x.shape)]
    counted = tf.ones_like(x, tf.bool)
    if mask is not None:
        counted &= tf.cast(mask, tf.bool)[..., None]
    n = tf.reduce_sum(tf.cast(counted, tf.float64), axes)
    return tf.stack(
        [n, *(tf.reduce_sum(tf.where(counted, one, 0), axes) for one in (x, tf.square(x)))]
    )
