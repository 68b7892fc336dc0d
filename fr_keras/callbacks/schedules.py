"""Schedules of truncation and pruning: functions from an epoch to a fraction.

The fraction says how much of the way from the start to the target is still ahead:
at 1 a layer keeps as much as at the start, at 0 it keeps its target. A layer that starts
with `a` coefficients and ends with `b` keeps `b + (a - b) * schedule(epoch)`. Every schedule
here reaches 0 at its last epoch, so the network trains at its target for at least one epoch.

A schedule of your own can be any callable `epoch -> fraction` that never grows.
"""

import math
from collections.abc import Callable

Schedule = Callable[[int], float]


def geometric(epochs: int, rate: float | None = None) -> Schedule:
    """Decays as in frereg: each epoch removes the fraction `rate` of what is still ahead.

    By itself, `k <- k - rate * (k - target)` never reaches the target; here it is set to the
    target at its last epoch. (Zhao et al., arXiv 2304.07973, and the authors' package frereg.)

    Args:
        epochs: Number of epochs until the target is reached.
        rate: Fraction in (0, 1]; `None` is the rate that leaves a thousandth of the way to the
            last epoch.

    Example:

    >>> [geometric(4, rate=0.5)(epoch) for epoch in range(5)]
    [1.0, 0.5, 0.25, 0.0, 0.0]
    """
    last = _checked_epochs(epochs) - 1
    if rate is None:
        rate = 1 - 0.001 ** (1 / max(last, 1))
    if not 0 < rate <= 1:
        raise ValueError(f"`rate` must be above 0 and at most 1. Received: rate={rate}")
    return lambda epoch: (1.0 - rate) ** epoch if epoch < last else 0.0


def linear(epochs: int) -> Schedule:
    """Removes the same number of coefficients in each epoch.

    Example:

    >>> [linear(3)(epoch) for epoch in range(4)]
    [1.0, 0.5, 0.0, 0.0]
    """
    last = _checked_epochs(epochs) - 1
    return lambda epoch: 1.0 - epoch / last if epoch < last else 0.0


def cosine(epochs: int) -> Schedule:
    """Follows half a cosine wave, slow at the beginning and at the end.

    Example:

    >>> [round(cosine(3)(epoch), 6) for epoch in range(4)]
    [1.0, 0.5, 0.0, 0.0]
    """
    last = _checked_epochs(epochs) - 1
    return lambda epoch: 0.5 + 0.5 * math.cos(math.pi * epoch / last) if epoch < last else 0.0


def cubic(epochs: int) -> Schedule:
    """Removes most at the beginning, when much is superfluous, and ever less later: `(1 - t)^3`.

    With it, the sparsity of a pruned layer is that of Zhu and Gupta, "To prune, or not to prune",
    2017, arXiv 1710.01878.

    Example:

    >>> [cubic(5)(epoch) for epoch in range(6)]
    [1.0, 0.421875, 0.125, 0.015625, 0.0, 0.0]
    """
    last = _checked_epochs(epochs) - 1
    return lambda epoch: (1.0 - epoch / last) ** 3 if epoch < last else 0.0


def step(epochs: int, every: int = 2, factor: float = 0.5) -> Schedule:
    """Multiplies what is still ahead by `factor` every `every` epochs.

    Example:

    >>> [step(5, every=2, factor=0.1)(epoch) for epoch in range(5)]
    [1.0, 1.0, 0.1, 0.1, 0.0]
    """
    last = _checked_epochs(epochs) - 1
    if every < 1:
        raise ValueError(f"`every` must be at least 1 epoch. Received: every={every}")
    if not 0 <= factor < 1:
        raise ValueError(f"`factor` must be at least 0 and below 1. Received: factor={factor}")
    return lambda epoch: float(factor ** (epoch // every)) if epoch < last else 0.0


def constant(epochs: int = 1) -> Schedule:
    """Keeps the target from the first epoch on.

    Example:

    >>> constant()(0)
    0.0
    """
    _checked_epochs(epochs)
    return lambda epoch: 0.0


#: The schedules by the names that the callbacks and the command line take.
BY_NAME: dict[str, Callable[[int], Schedule]] = {
    "geometric": geometric,
    "linear": linear,
    "cosine": cosine,
    "cubic": cubic,
    "step": step,
    "constant": constant,
}


def get(schedule: str | Schedule, epochs: int) -> Schedule:
    """Returns the schedule of a name, or a callable as it is, after checking that it never grows.

    Raises:
        ValueError: If the name is unknown, or the callable grows or leaves [0, 1].
    """
    if isinstance(schedule, str):
        if schedule not in BY_NAME:
            raise ValueError(
                f"`schedule` must be one of {sorted(BY_NAME)} or a callable `epoch -> fraction`. "
                f"Received: schedule={schedule!r}"
            )
        return BY_NAME[schedule](epochs)
    if not callable(schedule):
        raise ValueError(
            "`schedule` must be a name or a callable `epoch -> fraction`. "
            f"Received: schedule={schedule!r}"
        )
    previous = 1.0
    for epoch in range(_checked_epochs(epochs)):
        fraction = schedule(epoch)
        if not 0 <= fraction <= 1:
            raise ValueError(
                "`schedule` must return fractions from 0 (the target) to 1 (the start). "
                f"Received: schedule({epoch})={fraction}"
            )
        if fraction > previous:
            raise ValueError(
                "`schedule` must never grow, because what was cut is lost. "
                f"Received: schedule({epoch - 1})={previous}, schedule({epoch})={fraction}"
            )
        previous = fraction
    return schedule


def _checked_epochs(epochs: int) -> int:
    if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 1:
        raise ValueError(
            f"`epochs` must be a whole number of at least 1. Received: epochs={epochs!r}"
        )
    return epochs
