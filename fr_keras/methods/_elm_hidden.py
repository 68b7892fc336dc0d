"""The random hidden layer of an extreme learning machine, and what it gives for rows."""

import itertools
import math
import warnings
from collections.abc import Callable, Iterable, Iterator

import keras
import numpy as np

from fr_keras.layers import SeededSigns
from fr_keras.methods._ridge import MOST_FEATURES
from fr_keras.methods._rows import batches, is_whole


def hidden(
    data: Iterable, neurons: int, seed: int, activation: str | Callable
) -> tuple[keras.Model, Iterable]:
    """Returns the model from the inputs to the hidden layer, and the data from their beginning.

    Raises:
        ValueError: If an argument is out of range, or the inputs are not one array.
    """
    if (
        isinstance(neurons, bool)
        or not isinstance(neurons, int)
        or not 0 < neurons <= MOST_FEATURES
    ):
        raise ValueError(
            f"`neurons` must be an int from 1 to {MOST_FEATURES:,}. Received: {neurons!r}"
        )
    shape, data = _shape(data)
    x = inputs = keras.Input(shape, name="input")
    if len(shape) > 1:
        x = keras.layers.Flatten(name="flatten")(inputs)
    # A power of two is a whole step of an archive.
    signs = SeededSigns(seed, 2.0 ** round(-0.5 * math.log2(math.prod(shape))))
    layer = keras.layers.Dense(
        neurons, activation, kernel_initializer=signs, trainable=False, name="hidden"
    )
    network = keras.Model(inputs, layer(x), name="hidden_part")
    layer.bias.assign(_spread(neurons) * signs.scale)
    _warn_of_repeats(math.prod(shape), neurons)
    return network, data


def answers(
    network: keras.Model, data: Iterable, name: str
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    """Yields inputs, what the hidden layer gives for them, and labels, a few rows at a time.

    Raises:
        ValueError: If there are no rows, or numbers that are not finite.
    """
    for x, labels in batches(network, data, name=name):
        h = keras.ops.convert_to_numpy(network(x, training=False))
        if not (np.isfinite(x).all() and np.isfinite(h).all()):
            raise ValueError(
                f"the inputs in `{name}` must be finite numbers, and small enough that the hidden "
                "layer gives finite ones. Received: NaN or infinity"
            )
        yield x, h, labels


def _shape(data: Iterable) -> tuple[tuple[int, ...], Iterable]:
    """The shape of a row, and the data from their beginning."""
    first = data
    if not is_whole(data):
        data = iter(data)
        first = next(data, None)
        if first is None:
            raise ValueError("`data` must hold at least one batch with rows. Received: none")
        data = itertools.chain([first], data)
    if isinstance(first, (tuple, list)) and len(first) > 2:
        raise ValueError(
            "`data` must be inputs and labels; weights of rows are not taken. "
            f"Received: {len(first)} parts"
        )
    x = first[0] if isinstance(first, (tuple, list)) and first else first
    shape = tuple(getattr(x, "shape", ()))
    if len(shape) < 2 or 0 in shape[1:]:
        raise ValueError(
            "`data` must be a tuple of one array of inputs, `(rows, ...)`, and labels, or batches "
            f"of such tuples. Received: inputs of type {type(x).__name__} and shape {shape}"
        )
    return shape[1:], data


def _spread(count: int) -> np.ndarray:
    """Numbers evenly spaced from -1 to 1, in the middles of as many equal parts.

    Their order does not matter, because the signs are random; and an ascending line is a handful of
    DCT coefficients, which is how an archive stores it.
    """
    return (2 * np.arange(count) + 1) / count - 1


def _warn_of_repeats(inputs: int, neurons: int) -> None:
    if inputs < 16 and neurons > 2**inputs:
        warnings.warn(
            f"rows of {inputs} numbers allow only {2**inputs:,} different neurons, but for their "
            f"biases: most of {neurons:,} are nearly alike. Give fewer `neurons`, or more inputs, "
            "such as products of these.",
            stacklevel=4,
        )
