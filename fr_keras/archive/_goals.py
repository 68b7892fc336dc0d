"""The goals of a search for an archive: fewest bytes at an accuracy, or best accuracy at a size."""

import dataclasses
import math
import time

#: Rounding error of the difference of two accuracies, far below the effect of a single row.
ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True)
class Trial:
    """One archive that was tried.

    Attributes:
        number: How many archives were tried before this one.
        bytes: Size of the archive.
        accuracy: Accuracy of the model that the archive loads to, on the search rows; `None` if
            its size ruled the archive out before it was measured.
    """

    number: int
    bytes: int
    accuracy: float | None


class Clock:
    """The time that a search may take.

    Args:
        minutes: The time; `None` for any.

    Attributes:
        stopped: Whether the search left something out because the time was over.

    Raises:
        ValueError: If `minutes` is not positive.
    """

    def __init__(self, minutes: float | None):
        if minutes is not None and not minutes > 0:
            raise ValueError(f"`minutes` must be positive, or None. Received: {minutes}")
        self._begin, self._minutes = time.monotonic(), minutes
        self.stopped = False

    def is_over(self) -> bool:
        """Whether nothing more may begin."""
        spent = time.monotonic() - self._begin
        self.stopped = self.stopped or (self._minutes is not None and spent > 60 * self._minutes)
        return self.stopped

    def too_short(self, trials: int) -> str:
        seconds = (time.monotonic() - self._begin) / trials
        return (
            "`minutes` must be enough to find a first archive that reaches the goal. In that time "
            f"{trials} were tried, {seconds:.3g} seconds each. Give more minutes, fewer rows of "
            f"`calibration` or of `x`, or an easier goal. Received: {self._minutes:g}"
        )


def check(max_drop: float | None, max_bytes: int | None) -> None:
    if (max_drop is None) == (max_bytes is None):
        raise ValueError(
            "Exactly one of `max_drop` and `max_bytes` must be given. Received: "
            f"max_drop={max_drop}, max_bytes={max_bytes}"
        )
    if max_drop is not None and not 0 <= max_drop < 1:
        raise ValueError(
            "`max_drop` must be a fraction of the rows, 0 or more and below 1, such as 0.002. "
            f"Received: {max_drop}"
        )
    if max_bytes is not None and not max_bytes >= 1:
        raise ValueError(f"`max_bytes` must be at least 1. Received: {max_bytes}")


class SmallAt:
    """The fewest bytes at an accuracy."""

    # Finer steps never make a smaller archive.
    directions = (1,)

    def __init__(self, least: float):
        self._least = least - ROUNDING

    def most_bytes(self, best: Trial | None) -> float:
        return math.inf if best is None else best.bytes - 1

    def rank(self, trial: Trial) -> tuple | None:
        if trial.accuracy is None or trial.accuracy < self._least:
            return None
        return (-trial.bytes, trial.accuracy)

    def impossible(self, trials: list[Trial], where: str = "") -> str:
        best = max(one.accuracy for one in trials if one.accuracy is not None)
        return (
            f"`max_drop` must allow an accuracy of {best:.4f}{where}, the best of all archives "
            "tried: raise it, or give `calibration` or more rows. Received: a `max_drop` that asks "
            f"for {self._least:.4f}"
        )


class AccurateWithin:
    """The best accuracy within a number of bytes."""

    directions = (1, -1)

    def __init__(self, most: int):
        self._most = most

    def most_bytes(self, best: Trial | None) -> float:
        return self._most

    def rank(self, trial: Trial) -> tuple | None:
        return None if trial.accuracy is None else (trial.accuracy, -trial.bytes)

    def impossible(self, trials: list[Trial], where: str = "") -> str:
        smallest = min(one.bytes for one in trials)
        return (
            f"`max_bytes` must be at least {smallest}, the size of the smallest archive found: "
            "raise it, or, with FR layers, set `search_kept=True` or train with fewer "
            "coefficients. "
            f"Received: {self._most}"
        )
