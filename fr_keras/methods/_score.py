"""What the caller's `score` returns."""

import math


def finite(value) -> float:
    """Returns a score as a Python number.

    Raises:
        ValueError: If it is not finite.
    """
    value = float(value)
    if not math.isfinite(value):
        raise ValueError(f"`score` must return finite numbers. Received: {value}")
    return value
