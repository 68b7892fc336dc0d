"""How far a share that was measured on some rows may be from that on all rows."""

import math

# The 97.5 % quantile of the normal distribution.
_Z = 1.959963984540054


def wilson(share: float, rows: int) -> tuple[float, float]:
    """Returns the 95 % confidence interval of a share, by Wilson's score.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal
    of the American Statistical Association 22 (1927), 209-212. For a mean of shares, such as the
    right pixels of each row, it is at least as wide as it should be, because a mean of numbers from
    0 to 1 has no larger variance than that of zeros and ones.

    Args:
        share: The part of the rows that are right, from 0 to 1.
        rows: The number of rows, at least 1.

    Example:

    >>> low, high = wilson(0.9, 100)
    >>> round(low, 4), round(high, 4)
    (0.8256, 0.9448)
    """
    square = _Z * _Z / rows
    middle = (share + square / 2) / (1 + square)
    half = _Z * math.sqrt(share * (1 - share) / rows + square / (4 * rows)) / (1 + square)
    # It holds the share itself; in floats the ends at 0 and 1 may be a last digit off.
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))
