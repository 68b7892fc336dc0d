"""What a search for an archive wants: few bytes at an accuracy, or accuracy in some bytes."""

import dataclasses
import math

#: Of the difference of two accuracies; a row more or less is far above that.
ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True)
class Trial:
    """One archive that was tried.

    Attributes:
        number: How many were tried before.
        bytes: Its size.
        accuracy: Of the model that it loads to, on the rows that search; `None` where the size
            alone ruled it out.
    """

    number: int
    bytes: int
    accuracy: float | None


def check(max_drop: float | None, max_bytes: int | None) -> None:
    if (max_drop is None) == (max_bytes is None):
        raise ValueError(
            "One of `max_drop` and `max_bytes` must be given. Received: "
            f"max_drop={max_drop}, max_bytes={max_bytes}"
        )
    if max_drop is not None and not 0 <= max_drop < 1:
        raise ValueError(
            f"`max_drop` must be a fraction of the rows, such as 0.002. Received: {max_drop}"
        )
    if max_bytes is not None and not max_bytes >= 1:
        raise ValueError(f"`max_bytes` must be at least 1. Received: {max_bytes}")


class SmallAt:
    """Few bytes at an accuracy."""

    # Finer is never smaller.
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
            f"`max_drop` must leave an accuracy of at most {best:.4f}{where}, the best of the "
            "archives tried: allow more, or give `calibration` or more rows. Received: one that "
            f"leaves {self._least:.4f}"
        )


class AccurateWithin:
    """A high accuracy within some bytes."""

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
            f"`max_bytes` must be at least {smallest}, the smallest archive that was found: allow "
            f"`search_kept`, or train with fewer coefficients. Received: {self._most}"
        )
