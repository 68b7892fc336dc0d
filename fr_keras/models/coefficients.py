"""The kept coefficients of a layer as a series in zigzag order."""

import numpy as np

from fr_keras import zigzag
from fr_keras.layers import FrequencyKernel


def kept_series(part: FrequencyKernel) -> np.ndarray:
    """Returns the kept coefficients in zigzag order, in float32."""
    corner = part.corner
    order = zigzag.order_within(part.spectrum_shape, corner, part.axis_weights)
    values = part.kept_coefficients()[tuple(slice(n) for n in corner)]
    return values.ravel()[order[: part.kept]]


def keep_series(part: FrequencyKernel, series: np.ndarray) -> None:
    """Truncates a layer to the length of a series, and sets its coefficients to the series."""
    box = tuple(part.coefficients.shape)
    order = zigzag.order_within(part.spectrum_shape, box, part.axis_weights)
    values = np.zeros(box, np.float32)
    values.flat[order[: len(series)]] = series
    part.truncate(len(series))
    part.set_coefficients(values)
