"""The order of the coefficients in the corner of a tensor."""

from collections.abc import Sequence

import numpy as np


def order(corner: Sequence[int], weights: Sequence[int]) -> np.ndarray:
    """Returns the flat indices of a corner in zigzag order.

    The order is by the weighted sum of the indices; ties go by the last axis, then the
    second-last, then the others.
    """
    indices = np.indices(corner).reshape(len(corner), -1)
    total = sum(w * index for w, index in zip(weights, indices, strict=True))
    last = len(corner) - 1
    ties = [axis for axis in (last, last - 1) if axis >= 0] + list(range(last - 1))
    return np.lexsort([*(indices[axis] for axis in reversed(ties)), total])
