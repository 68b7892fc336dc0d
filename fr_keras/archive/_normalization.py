"""Biases and statistics: which of them matter, and how precisely an archive must keep them."""

import collections
import math
from collections.abc import Iterator

import keras
import numpy as np

from fr_keras._keras_internals import maker, nodes
from fr_keras.archive._graphs import graphs, opened
from fr_keras.archive._quantization import root_of_squares
from fr_keras.layers import TWINS
from fr_keras.models.vectors import Weight

#: Layers that add their bias to their output. A subclass may do anything with it.
_BIASED = {
    cls
    for pair in TWINS.items()
    for cls in pair
    if not issubclass(cls, (keras.layers.Embedding, keras.layers.MultiHeadAttention))
}


def move_biases(model: keras.Model, weights: list[Weight], values: list[np.ndarray]) -> None:
    """Moves each bias directly before a batch normalization into the mean of that normalization.

    The function stays the same, and after a truncated kernel, the mean without the bias is a
    mixture of few cosines.

    Args:
        model: The model.
        weights: Its weights.
        values: The numbers of each weight; they are changed in place.
    """
    places = {id(weight.variable): place for place, weight in enumerate(weights)}
    for layer, norm in _biased(model):
        bias, mean = places[id(layer.bias)], places[id(norm.moving_mean)]
        values[mean] = values[mean] - values[bias]
        values[bias] = np.zeros_like(values[bias])


def scales(weights: list[Weight], values: list[np.ndarray]) -> list[float]:
    """Returns, for each weight, the scale that its errors are relative to.

    In a batch normalization it is the standard deviation for the mean, the variance for the
    variance, and the size of gamma for gamma and beta, so that equal errors change the output by
    about the same. For any other weight it is the root mean square of its numbers.
    """
    by_layer: dict[int, dict[str, np.ndarray]] = {}
    for weight, numbers in zip(weights, values, strict=True):
        by_layer.setdefault(id(weight.layer), {})[weight.variable.name] = numbers
    return [
        _scale(weight, numbers, by_layer[id(weight.layer)])
        for weight, numbers in zip(weights, values, strict=True)
    ]


def _scale(weight: Weight, values: np.ndarray, others: dict[str, np.ndarray]) -> float:
    name = weight.variable.name
    if isinstance(weight.layer, keras.layers.BatchNormalization):
        spread = np.float64(others["moving_variance"]) + weight.layer.epsilon
        if name == "moving_mean":
            return 1 / _root_mean_square(1 / np.sqrt(spread))
        if name == "moving_variance":
            return 1 / _root_mean_square(1 / spread)
        # Without gamma the output has a standard deviation of 1.
        return _root_mean_square(others.get("gamma", np.ones(1))) or 1.0
    return _root_mean_square(values)


def _root_mean_square(values: np.ndarray) -> float:
    return root_of_squares(values) / math.sqrt(values.size) if values.size else 0.0


def _biased(model: keras.Model) -> Iterator[tuple[keras.layers.Layer, keras.layers.Layer]]:
    """Yields layers whose output goes only into a batch normalization, each with that."""
    inner = [(graph, node) for graph in graphs(model) for node in nodes(graph)]
    # Counted by variable, so that a layer inside another one is seen too.
    calls = collections.Counter(
        id(variable)
        for _, node in inner
        if not isinstance(opened(node.operation), keras.Model)
        for variable in getattr(node.operation, "weights", ())
    )
    readers = collections.Counter(id(one) for _, node in inner for one in node.input_tensors)
    readers.update(id(one) for graph in graphs(model) for one in graph.outputs)
    for _, node in inner:
        norm = node.operation
        if isinstance(norm, keras.layers.BatchNormalization):
            (given, *_) = (*node.arguments.args, node.arguments.kwargs.get("inputs"))
            layer = maker(given)
            if (
                readers[id(given)] == 1
                and _moves(layer, norm, len(given.shape) - 1)
                and calls[id(layer.bias)] == calls[id(norm.moving_mean)] == 1
            ):
                yield layer, norm


def _moves(layer: keras.layers.Layer, norm: keras.layers.BatchNormalization, last: int) -> bool:
    """Whether moving the bias of a layer into the mean of a normalization changes nothing else."""
    return (
        type(layer) in _BIASED
        and layer.bias is not None
        and layer.bias.shape == norm.moving_mean.shape
        and getattr(layer, "activation", None) in (None, keras.activations.linear)
        and getattr(layer, "data_format", None) in (None, "channels_last")
        and norm.axis in (-1, last)
        # These read the output, or the bias, in training.
        and layer.activity_regularizer is None
        and layer.bias_regularizer is None
    )
