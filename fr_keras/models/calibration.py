"""The moving statistics of batch normalizations, measured on data."""

import dataclasses
import warnings
from collections.abc import Iterable

import keras
import numpy as np

from fr_keras.models.moments import Moments

# Rows on which the network is compared with what it was.
_COMPARED = 100
# What a change may be that needs no warning: of the mean, as a fraction of the outputs' range, and
# of the arg-max.
_MEAN_BOUND = 0.05
_ARGMAX_BOUND = 0.95


@dataclasses.dataclass(frozen=True)
class Calibration:
    """How far a calibration changed a network: its outputs before and after, on the same rows.

    Of a network with several outputs it is the one that changed most.

    Attributes:
        rows: Rows that the statistics were measured on.
        compared: Rows that the outputs were compared on.
        mean: Mean absolute difference.
        range: Largest minus smallest output before.
        argmax: Fraction of last-axis arg-maxes that agree; `None` for one output number.
        argmax_bound: What `argmax` must be: 95 %, or all of a few but one.
    """

    rows: int
    compared: int
    mean: float
    range: float
    argmax: float | None
    argmax_bound: float

    @property
    def holds(self) -> bool:
        """Whether the network is still about the same: mean difference below 5 % of the range."""
        agrees = self.argmax is None or self.argmax >= self.argmax_bound
        return self.mean <= _MEAN_BOUND * self.range and agrees

    def __str__(self) -> str:
        argmax = "" if self.argmax is None else f", arg-max agrees on {self.argmax:.1%}"
        return (
            f"on {self.compared} rows the mean difference is {self.mean:.3g} on a range of "
            f"{self.range:.3g}{argmax}"
        )


def calibrate_batch_norm(model: keras.Model, data: Iterable) -> Calibration:
    """Sets the moving statistics of every batch normalization to those of its inputs over `data`.

    They are the mean and the variance over all rows and positions, masked ones left out, of what
    the network gives each normalization at inference, when those before it have their new
    statistics already. So neither the order of the rows nor their batches matter, and nothing
    random acts. Calls of a shared normalization count together. No other weight changes. Use it
    after loading a network that was trained without statistics, or where they lag behind the
    weights.

    The normalizations are measured one after the other, each on all rows, as far as one depends on
    another: of `d` in a row, the network is computed about `d / 2` times. A few hundred rows are
    enough. They are held in memory, and computed in small batches.

    A normalization that comes before itself, as in a block that is applied twice, begins with the
    statistics of the first call and ends with those of all calls.

    Args:
        model: A built functional or sequential model.
        data: An array `(rows, *input)`, a dict of these by the name of the input, or a finite
            iterable of batches of either, such as a `tf.data.Dataset`; of an `(inputs, labels)`
            tuple, the inputs. Take rows from everywhere: the first rows of a sorted data set are
            one class.

    Returns:
        How far the outputs changed. Where that is much, though the network had statistics before,
        there is a warning too.

    Raises:
        ValueError: If the model has no batch normalization, or one within a loop; if `data` has no
            row, or one that leads to values that are not finite. The statistics then stay.

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
    moments.set()
    done = _compared(before, moments.outputs(_COMPARED), moments.rows)
    if known and not done.holds:
        warnings.warn(
            f"calibration changed what '{model.name}' computes: {done}. Either its statistics "
            "lagged behind its weights, or `data` is not like the data it was trained on. Measure "
            "the network anew before you use it.",
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
