"""The order of the coefficients in the corner of a tensor."""

from collections.abc import Sequence

import numpy as np


def order(corner: Sequence[int], weights: Sequence[int]) -> np.ndarray:
    """The flat indices of a corner in zigzag order: weighted sum, then the axes of the tie rule."""
    indices = np.indices(corner).reshape(len(corner), -1)
    total = sum(w * index for w, index in zip(weights, indices, strict=True))
    last = len(corner) - 1
    ties = [axis for axis in (last, last - 1) if axis >= 0] + list(range(last - 1))
    return np.lexsort([*(indices[axis] for axis in reversed(ties)), total])
