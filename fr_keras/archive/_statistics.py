"""Fits the statistics of batch normalizations to rounded kernels."""

from collections.abc import Callable, Iterable

import keras
import numpy as np

from fr_archive import Archive
from fr_keras.archive._weights import fill_kernels
from fr_keras.interop import calibrate_batch_norm
from fr_keras.models.coefficients import keep_series
from fr_keras.models.compaction import to_corner
from fr_keras.models.moments import Moments
from fr_keras.models.vectors import weights
from fr_keras.models.walk import all_layers, frequency_layers, rebuild


def normalizes(model: keras.Model) -> bool:
    """Whether there are statistics to calibrate."""
    return any(isinstance(one, keras.layers.BatchNormalization) for one in all_layers(model))


def calibrated(
    model: keras.Model,
    held: Archive,
    calibration: Iterable,
    progress: Callable[[float], None],
) -> keras.Model:
    """Returns a copy with the rounded kernels and statistics of its own, if it has any.

    Args:
        model: The model.
        held: Its rounded coefficients and kernels.
        calibration: The data.
        progress: A function that is called with the share that is done.
    """
    if not normalizes(model):
        for _ in calibration:
            pass  # a `Sample` keeps some of the rows for the comparison
        return model
    copy = rebuild(model, to_corner)
    if frequency_layers(copy):
        for part, tensor in zip(frequency_layers(copy), held.tensors, strict=True):
            keep_series(part, tensor.reals())
        fill_kernels(weights(copy), held.kernels)
        calibrate_batch_norm(copy, calibration, progress)
    else:
        _correct(copy, held, calibration, progress)
    return copy


def _correct(model: keras.Model, held: Archive, calibration, progress) -> None:
    """Rounds the kernels and changes the statistics by as much as those of the data change.

    The rows are few beside those of the training, whose statistics are better.
    """
    moments = Moments(model, calibration)
    trained = _statistics(moments)
    moments.set(lambda done: progress(done / 2))
    before = _statistics(moments)
    fill_kernels(weights(model), held.kernels)
    moments.set(lambda done: progress((1 + done) / 2))
    after = _statistics(moments)
    for norm, *parts in zip(moments.norms, trained, before, after, strict=True):
        means, variances = zip(*parts, strict=True)
        norm.moving_mean.assign(means[0] + (means[2] - means[1]))
        ratio = np.divide(
            variances[2], variances[1], where=variances[1] > 0, out=np.ones_like(variances[1])
        )
        norm.moving_variance.assign(variances[0] * ratio)


def _statistics(moments: Moments) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(one.moving_mean.numpy(), one.moving_variance.numpy()) for one in moments.norms]
