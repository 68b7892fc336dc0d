"""The moving statistics of batch normalizations, measured on data."""

import dataclasses
import warnings
from collections.abc import Callable, Iterable

import keras
import numpy as np

from fr_keras.models.moments import Moments

# Rows on which the outputs before and after are compared.
_COMPARED = 100
# The bounds beyond which there is a warning: the mean difference, as a fraction of the outputs'
# range, and the part of equal arg-maxes.
_MEAN_BOUND = 0.05
_ARGMAX_BOUND = 0.95


@dataclasses.dataclass(frozen=True)
class Calibration:
    """How far a calibration changed the outputs of a network, compared on the same rows.

    If the network has several outputs, the numbers are those of the output that changed most.

    Attributes:
        rows: Number of rows that the statistics were measured on.
        compared: Number of rows that the outputs were compared on.
        mean: Mean absolute difference.
        range: Largest minus smallest output before the calibration.
        argmax: Fraction of arg-maxes over the last axis that agree; `None` if that axis has one
            number.
        argmax_bound: The least that `argmax` may be: 95 %, or all but one if there are few.
    """

    rows: int
    compared: int
    mean: float
    range: float
    argmax: float | None
    argmax_bound: float

    @property
    def holds(self) -> bool:
        """Whether the outputs are still about the same: the mean difference is at most 5 % of the
        range, and `argmax` reaches its bound."""
        agrees = self.argmax is None or self.argmax >= self.argmax_bound
        return self.mean <= _MEAN_BOUND * self.range and agrees

    def __str__(self) -> str:
        argmax = "" if self.argmax is None else f", arg-max agrees on {self.argmax:.1%}"
        return (
            f"on {self.compared} rows the mean difference is {self.mean:.3g} on a range of "
            f"{self.range:.3g}{argmax}"
        )


def calibrate_batch_norm(
    model: keras.Model, data: Iterable, progress: Callable[[float], None] | None = None
) -> Calibration:
    """Sets the moving statistics of every batch normalization to those of its inputs over `data`.

    The statistics are the mean and the variance over all rows and positions that are not masked.
    They are measured at inference, when the normalizations before already have their new
    statistics. So the order of the rows and the size of the batches do not matter, and nothing is
    random. The calls of a shared normalization count together. No other weight changes. Use this
    function after loading a network that was trained without moving statistics, or when the
    statistics lag behind the weights.

    Normalizations that depend on one another are measured one after another, each on all rows: for
    `d` of them in a row, the network is computed about `d / 2` times. A few hundred rows are
    enough. They are held in memory, and computed in small batches.

    A normalization that depends on its own output, as in a block that is applied twice, first gets
    the statistics of its first call, and in the end those of all its calls.

    Args:
        model: A built functional or sequential model.
        data: An array `(rows, *input)`, a dict of arrays by input name, or a finite iterable of
            batches of either, such as a `tf.data.Dataset`. From `(inputs, labels)` tuples, the
            inputs are used. Take rows from all over the data set: in a sorted one, the first rows
            are all of one class.
        progress: A function that is called with the share of the work that is done.

    Returns:
        How far the outputs changed. There is also a warning if they changed much although the
        network had statistics before.

    Raises:
        ValueError: If the model has no batch normalization, or has one inside a loop; if `data` has
            no rows, or leads to values that are not finite. The statistics are unchanged then.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.BatchNormalization()])
    >>> done = calibrate_batch_norm(model, np.array([[1.0, 2.0], [3.0, 2.0]]))
    >>> model.layers[0].moving_mean.numpy().tolist()
    [2.0, 2.0]
    """
    moments = Moments(model, data)
    known = any(
        np.any(norm.moving_mean.numpy()) or np.any(norm.moving_variance.numpy() != 1)
        for norm in moments.norms
    )
    before = moments.outputs(_COMPARED)
    moments.set(progress or (lambda share: None))
    done = _compared(before, moments.outputs(_COMPARED), moments.rows)
    if known and not done.holds:
        warnings.warn(
            f"calibration changed the outputs of '{model.name}': {done}. Either its statistics "
            "lagged behind its weights, or `data` is not like the data it was trained on. Measure "
            "its accuracy again before you use it.",
            stacklevel=2,
        )
    return done


def _compared(before: list[np.ndarray], after: list[np.ndarray], rows: int) -> Calibration:
    found = []
    for old, new in zip(before, after, strict=True):
        argmax, bound = None, 0.0
        if old.ndim > 1 and old.shape[-1] > 1:
            equal = old.argmax(-1) == new.argmax(-1)
            argmax, bound = float(equal.mean()), min(_ARGMAX_BOUND, 1 - 1 / equal.size)
        mean = float(np.abs(new - old).mean(dtype=np.float64))
        found.append(Calibration(rows, len(old), mean, float(np.ptp(old)), argmax, bound))
    return min(found, key=lambda one: (one.holds, one.argmax if one.argmax is not None else 1.0))
