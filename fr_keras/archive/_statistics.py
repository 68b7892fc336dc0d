"""Fits the statistics of batch normalizations to rounded kernels."""

from collections.abc import Callable, Iterable

import keras
import numpy as np

from fr_archive import Archive
from fr_keras.archive._weights import fill_kernels
from fr_keras.interop import calibrate_batch_norm
from fr_keras.models.coefficients import keep_series
from fr_keras.models.compaction import to_corner
from fr_keras.models.moments import Moments, set_statistics
from fr_keras.models.vectors import weights
from fr_keras.models.walk import all_layers, frequency_layers, rebuild


def normalizes(model: keras.Model) -> bool:
    """Whether there are statistics to calibrate."""
    return any(isinstance(one, keras.layers.BatchNormalization) for one in all_layers(model))


def calibrated(
    model: keras.Model,
    rounded: Archive,
    calibration: Iterable,
    progress: Callable[[float], None],
) -> keras.Model:
    """Returns a copy with rounded kernels and fitted statistics.

    Args:
        model: A model with batch normalizations.
        rounded: Its coefficients and kernels in space.
        calibration: The data.
        progress: A function that is called with the share that is done.
    """
    copy = rebuild(model, to_corner)
    fitting = None if frequency_layers(copy) else Fitting(copy, calibration, progress)
    for part, tensor in zip(frequency_layers(copy), rounded.tensors, strict=True):
        keep_series(part, tensor.reals())
    fill_kernels(weights(copy), rounded.kernels)
    if fitting is None:
        calibrate_batch_norm(copy, calibration, progress)  # it warns of a large change
    else:
        fitting.fit()
    return copy


class Fitting:
    """Fits the statistics of a model to its kernels, which are rounded after this is made.

    In a model with FR layers the statistics become those of the data. In one without, they stay
    those of the training, but for what rounding changes on the data: the rows are few beside those
    of the training.

    Args:
        model: A model with batch normalizations, with its kernels before rounding.
        calibration: The data.
        progress: A function that is called with the share that is done.
    """

    def __init__(
        self,
        model: keras.Model,
        calibration: Iterable,
        progress: Callable[[float], None] = lambda done: None,
    ):
        self._moments = Moments(model, calibration)
        self._progress = progress
        self._trained = None if frequency_layers(model) else self._now()
        if self._trained is not None:
            self._moments.set(lambda done: progress(done / 2))
            self._before = self._now()

    @property
    def batches(self) -> list:
        """The data, in batches."""
        return self._moments.batches

    def fit(self) -> None:
        """Sets the statistics; may be called again after the kernels have changed."""
        self._moments.set(lambda done: self._progress((1 + done) / 2))
        if self._trained is None:
            return
        found = zip(self._moments.norms, self._trained, self._before, self._now(), strict=True)
        for norm, trained, before, after in found:
            ratio = np.ones_like(before[1])
            np.divide(after[1], before[1], out=ratio, where=before[1] > 0)
            set_statistics(norm, trained[0] + (after[0] - before[0]), trained[1] * ratio)

    def _now(self) -> list[tuple[np.ndarray, np.ndarray]]:
        norms = self._moments.norms
        return [(one.moving_mean.numpy(), one.moving_variance.numpy()) for one in norms]
