"""`prune_inactive`: removes units that are never active."""

import math
import warnings
from collections.abc import Callable, Iterable, Iterator

import keras
import numpy as np

from fr_keras.methods._activation_counts import positive_counts
from fr_keras.methods._selection import removable
from fr_keras.models import channels

VARIANTS = ("vanilla", "distorted", "regularized")
DISTORTS = ("kernels", "weights")


def prune_inactive(
    model: keras.Model,
    data: Iterable,
    tune: Callable[[keras.Model], object],
    variant: str = "vanilla",
    threshold: int = 0,
    noise: tuple[float, float] = (-1.0, 1.0),
    distort: str = "kernels",
    l1: float = 1e-4,
) -> Iterator[keras.Model]:
    """Trains and removes inactive units in turn, and yields the model after each cycle.

    In a cycle, `tune` trains the model. Then the positive activations of each unit over `data` are
    counted, in convolutions over images and positions, and units with at most `threshold` are
    removed. The cycles end after one in which none falls.

    In the distorted variant, noise is added to each weight tensor `W` before each cycle:

        W <- W + U(noise) * (1 - Var W)

    so that a unit that other units could replace has another chance to die. The regularized one has
    the noise, and `l1 * sum |w|` in its loss for the weights that read the units and for all
    biases.

    A unit that is never positive does nothing only if the activations cannot be negative, as behind
    a ReLU. Groups with negative activations stay whole.
    If all units of a group are inactive, the most active one stays, with a warning.

    Args:
        model: A built functional or sequential model. It is not changed.
        data: An array `(rows, *input)`, a dict of arrays by input name, or a finite iterable of
            batches of either, which can be gone through again. From `(inputs, labels)` tuples, the
            inputs are used.
        tune: Trains the model that it is given, in place. The model is compiled if the one before
            it was; after `compile` in `tune`, it starts with a new optimizer in each cycle.
        variant: `"vanilla"`, `"distorted"` or `"regularized"`.
        threshold: The most positive activations of a unit that is removed.
        noise: The range of the uniform noise. The draft leaves it open whether its numbers have
            both signs. `keras.utils.set_random_seed` makes them reproducible.
        distort: `"kernels"` adds the noise to the kernels that make or read units; `"weights"` to
            their biases, too. The draft leaves this open.
        l1: The factor of the penalty of the regularized variant, which the draft does not give.

    Yields:
        The smaller model, plain and without the penalty. It is not changed by later cycles.

    Raises:
        ValueError: If an argument is out of range; if no channels can be removed; in a cycle, if
            `data` has no rows, an activation is not finite, or the units of no group can be
            counted.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(9, "relu", name="hidden"),
    ...                           keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x = np.random.default_rng(0).random((64, 2))
    >>> def tune(model):
    ...     model.fit(x, x.sum(1), epochs=1, verbose=0)
    >>> *_, last = prune_inactive(model, x, tune)
    >>> last.get_layer("hidden").units < 9
    True

    Source: E. Çallı, "Optimizing Neural Networks for Mobile Devices", Radboud University, draft of
    2017.
    """  # noqa: RUF002 (the letter is in his name)
    for name, value, choices in (("variant", variant, VARIANTS), ("distort", distort, DISTORTS)):
        if value not in choices:
            raise ValueError(f"`{name}` must be one of {choices}. Received: {value!r}")
    _check_numbers(threshold, noise, l1)
    removable(model, channels.groups(model))
    span = None if variant == "vanilla" else noise
    penalty = l1 if variant == "regularized" else 0.0
    return _cycles(model, data, tune, threshold, span, distort, penalty)


def _check_numbers(threshold: int, noise: tuple[float, float], l1: float) -> None:
    if isinstance(threshold, bool) or not isinstance(threshold, int) or threshold < 0:
        raise ValueError(
            f"`threshold` must be a number of activations, 0 or more (int). Received: {threshold!r}"
        )
    pair = isinstance(noise, (tuple, list)) and len(noise) == 2
    if not (pair and math.isfinite(sum(noise)) and noise[0] < noise[1]):
        raise ValueError(f"`noise` must be a range (low, high). Received: {noise!r}")
    if isinstance(l1, bool) or not isinstance(l1, (int, float)) or not 0 <= l1 < math.inf:
        raise ValueError(f"`l1` must be a factor, 0 or more. Received: {l1!r}")


def _cycles(model, data, tune, threshold, noise, distort, l1) -> Iterator[keras.Model]:
    fell = True
    while fell:
        model = channels.remove(model, {})  # what was yielded stays as it is
        found = channels.groups(model)
        kernels, read, biases = _weights(found)
        for weight in kernels + (biases if distort == "weights" else []):
            if noise is not None:
                _distort(weight, noise)
        for weight in [*read, *biases]:
            if l1:
                weight.regularizer = _penalized(weight.regularizer, l1)
        tune(model)
        kept = _active(model, found, data, threshold)
        fell = any(len(numbers) < found[name].size for name, numbers in kept.items())
        model = channels.remove(model, kept)
        yield model


def _weights(found: channels.Groups) -> tuple[list, list, list]:
    """The kernels that make or read units, those that read them, and the biases of both."""
    kernels, read, biases = {}, {}, {}
    for group in found.values():
        for axis in group.axes if group.removable else ():
            bias = getattr(axis.owner, "bias", None)
            if axis.role == "scales":
                continue
            kernels[id(axis.weight)] = axis.weight
            if axis.role == "reads":
                read[id(axis.weight)] = axis.weight
            if bias is not None:
                biases[id(bias)] = bias
    return [*kernels.values()], [*read.values()], [*biases.values()]


def _distort(weight: keras.Variable, noise: tuple[float, float]) -> None:
    values = keras.ops.convert_to_numpy(keras.ops.cast(weight, "float32"))
    amount = keras.ops.convert_to_numpy(keras.random.uniform(weight.shape, *noise, dtype="float32"))
    weight.assign(values + amount * float(1 - values.var(dtype=np.float64)))


def _penalized(before: Callable | None, l1: float) -> Callable:
    """The penalty, beside a regularizer that the weight has."""
    penalty = keras.regularizers.L1(l1)
    return penalty if before is None else lambda weight: before(weight) + penalty(weight)


def _active(model, found, data, threshold: int) -> dict[str, list[int]]:
    """The units of each group with more positive activations than the threshold."""
    counts = positive_counts(model, found, data)
    if not counts:
        raise ValueError(
            "`model` must have units whose activations are read by layers and never negative, as "
            f"behind a ReLU. Received: '{model.name}' with other units only"
        )
    kept = {}
    for name, count in counts.items():
        (active,) = np.nonzero(count > threshold)
        if not len(active):
            active = [np.argmax(count)]
            warnings.warn(
                f"no unit of group '{name}' has more than {threshold} positive activations, so "
                f"that '{model.name}' may give the same for every input. One of "
                f"{found[name].size} is kept. Train longer, or with a smaller rate or less noise.",
                stacklevel=3,
            )
        kept[name] = [int(one) for one in active]
    return kept
