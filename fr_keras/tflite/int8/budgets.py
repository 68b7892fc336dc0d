"""The bytes that segments may cost: no more than the chains of a file save in int8."""

import numpy as np

from fr_keras.layers.forms import WHOLE, whole
from fr_keras.models.origins import Baked
from fr_keras.tflite.modes import INT8

# A kernel and its bias share their zero points, one vector for each number of channels.
_ZERO_POINT_BYTES = 8


def saved_by_chains(plain: Baked) -> int:
    """Returns by how many bytes all chains together are smaller than whole kernels, by estimate.

    It is one sum for the file, because segments pay most where kernels are small: at the highest
    resolution, whose layers save little by themselves. A plain model saves nothing.
    """
    roles = {id(one.layer): (one.layer, one.chain) for one in plain.origins.values()}
    saved = 0
    for layer, chain in roles.values():
        if chain != WHOLE:
            (now,) = (one for one in layer.chains(layer.corner) if one.roles == chain)
            saved += INT8.bytes_of(whole(layer)) - INT8.bytes_of(now)
    return saved


def of_rows(kernel: np.ndarray, count: int) -> int:
    """Returns the bytes that an op grows by if its kernel gets this many rows."""
    row = INT8.weight_bytes * kernel[0].size + INT8.channel_bytes
    return (count - len(kernel)) * row + _ZERO_POINT_BYTES * count


def of_columns(kernel: np.ndarray, count: int) -> int:
    """Returns the bytes that an op grows by if its kernel gets this many columns."""
    return (count - kernel.shape[-1]) * INT8.weight_bytes * kernel[..., 0].size
