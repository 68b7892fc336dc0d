"""The distributions that the outputs of a model stand for."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from fr_keras._keras_internals import OPERATORS, innermost_maker

KINDS = ("classes", "labels", "numbers")
# Probabilities below it count as this small; small enough not to hide what sure networks say.
_SMALLEST = 1e-30
_PROBABILITIES = ("softmax", "sigmoid")


class Distribution(NamedTuple):
    """The distribution that one output stands for, which its values say for each row.

    The values are, of classes, the logarithms of their probabilities, of labels their log odds, and
    of numbers the numbers.

    Attributes:
        kind: One of `KINDS`.
        shape: The shape of the output without rows.
    """

    kind: str
    shape: tuple[int, ...]

    def weights(self, values: np.ndarray) -> np.ndarray:
        """The weights of squared differences from values, `(rows, numbers)`, float64.

        Half of their weighted sum is the divergence, to the second order; it is the mean over
        positions, labels or numbers.
        """
        values = values.astype(np.float64)
        if self.kind == "classes":
            return np.exp(values) / math.prod(self.shape[:-1])
        if self.kind == "labels":  # the product of both probabilities
            odds = np.logaddexp(0, values) + np.logaddexp(0, -values)
            return np.exp(-odds) / math.prod(self.shape)
        return np.full(values.shape, 1 / math.prod(self.shape))


def checked_kinds(model: keras.Model, outputs: str | Sequence[str] | None) -> list[str | None]:
    """The kind of each output, as it was given: `None` where it is to be found.

    Raises:
        ValueError: If they are no kinds, or not as many as outputs.
    """
    count = len(model.outputs)
    whole = outputs is None or isinstance(outputs, str)
    kinds = [outputs] * count if whole else list(outputs)
    if len(kinds) != count or not {*kinds} <= ({None} if outputs is None else {*KINDS}):
        raise ValueError(
            f"`outputs` must be one of {KINDS}, or a list with one of them for each of the "
            f"{count} outputs of `model`. Received: {outputs!r}"
        )
    return kinds


def distribution(
    model: keras.Model, number: int, output, kind: str | None
) -> tuple[Distribution, object]:
    """The distribution that the output of this number stands for, and its values, a tensor
    `(rows, numbers)`.

    Args:
        model: The model.
        number: Which of its outputs it is.
        output: Its value on some rows.
        kind: Its kind, or `None` to find it.

    Raises:
        ValueError: If its kind cannot be found, or its last layer is not of this kind.
    """
    output = ops.cast(output, "float32")
    activation = "linear" if kind == "numbers" else _activation(model, number, output)
    several = output.ndim > 1 and output.shape[-1] > 1
    if kind is None:
        kind = _found(activation, several)
    received = (
        f"Received: layer '{innermost_maker(model.outputs[number]).name}' with activation "
        f"{activation} and outputs of shape {tuple(model.outputs[number].shape)}"
    )
    if kind is None:
        raise ValueError(
            "`outputs` must say for criterion='information' what `model` gives where it ends in "
            "no softmax, no sigmoid and no logits of two or more classes: 'labels' for the logits "
            f"of labels, or of two classes by one number, and 'numbers' for numbers. {received}"
        )
    if kind != "numbers" and activation not in (*_PROBABILITIES, "linear"):
        raise ValueError(
            "`model` must end in logits, a softmax or a sigmoid for criterion='information', "
            f"unless `outputs` says that it gives 'numbers'. {received}"
        )
    if kind == "classes" and not several:
        raise ValueError(
            "`model` must give two or more classes along the last axis for criterion='information' "
            f"where `outputs` is not 'labels' or 'numbers'. {received}"
        )
    values = ops.reshape(_values(kind, activation, output), (len(output), -1))
    return Distribution(kind, tuple(output.shape[1:])), values


def _found(activation: str, several: bool) -> str | None:
    if activation == "softmax" or (activation == "linear" and several):
        return "classes"
    return "labels" if activation == "sigmoid" else None


def _values(kind: str, activation: str, output):
    if kind == "labels" and activation in _PROBABILITIES:
        return _log(output) - _log(1 - output)
    if kind != "classes":
        return output
    if activation == "softmax":
        return _log(output)
    # Of a sigmoid for each class, the shares are the probabilities.
    return ops.log_softmax(_log(output) if activation == "sigmoid" else output)


def _log(probabilities):
    return ops.log(ops.maximum(probabilities, _SMALLEST))


def _activation(model: keras.Model, number: int, output) -> str:
    """The name of the function that an output comes from."""
    last = innermost_maker(model.outputs[number])
    activation = getattr(last, "activation", None)
    for name in _PROBABILITIES:
        if isinstance(last, OPERATORS[name]) or activation is getattr(keras.activations, name):
            return name
    if isinstance(last, keras.layers.Softmax):
        return "softmax"
    if activation not in (None, keras.activations.linear):
        return getattr(activation, "__name__", str(activation))
    return "linear" if hasattr(last, "activation") else _by_values(output)


def _by_values(output) -> str:
    """The function before a layer that does not say so, such as a Reshape."""
    if not ops.all((output >= 0) & (output <= 1 + 1e-3)):
        return "linear"
    return "softmax" if ops.all(ops.abs(ops.sum(output, -1) - 1) < 1e-3) else "sigmoid"
