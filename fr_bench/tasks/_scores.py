"""Scores of outputs against labels: one number, the higher the better, with an interval.

Each score is a function of numbers that are summed over rows, so that a bootstrap over rows is a
matrix product.
"""

import abc
import dataclasses
from collections.abc import Callable

import numpy as np

from fr_bench._intervals import wilson

_RESAMPLES, _SEED = 1_000, 0
_CONFIDENCE = (2.5, 97.5)


@dataclasses.dataclass(frozen=True)
class Scored:
    """A score, with the interval that holds the score of all such rows in 95 of 100 samples.

    Attributes:
        value: The score of the rows; 1 is best.
        low: The lower end of the interval.
        high: The upper end of the interval.
        n: The number of rows.
    """

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.4f} ({self.low:.4f} to {self.high:.4f}, n = {self.n:,})"


class Score(abc.ABC):
    """A score that is computed from numbers that are summed over rows."""

    #: The name in tables and in the history of a training.
    name: str

    @abc.abstractmethod
    def sums(self, y: np.ndarray, decided: np.ndarray) -> np.ndarray:
        """The numbers of each row, float64 `(rows, numbers)`."""

    @abc.abstractmethod
    def value(self, total: np.ndarray) -> np.ndarray:
        """The score of each total, `(..., numbers)` to `(...)`."""


class Accuracy(Score):
    """The share of the decisions that are right: of rows, of pixels, or of labels."""

    name = "accuracy"

    def sums(self, y, decided):
        right = (y == decided).reshape(len(y), -1)
        return np.stack([right.sum(1), np.full(len(y), right.shape[1])], 1).astype(float)

    def value(self, total):
        return total[..., 0] / total[..., 1]


class Overlap(Score):
    """`2 * both / (true + predicted)` of each class over all rows, the mean of the classes.

    It is called Dice for masks and F1 for labels. A class that is neither true nor predicted
    anywhere does not count.
    """

    def __init__(self, name: str, classes: int, background: bool):
        """
        Args:
            name: `"dice"` or `"f1"`.
            classes: The number of classes, or of labels, of which a row may have several.
            background: Whether class 0 is the background, which does not count.
        """
        self.name = name
        self._classes = range(1 if background else 0, classes)

    def sums(self, y, decided):
        y, decided = (one.reshape(len(y), -1) for one in (y, decided))
        columns = []
        for number in self._classes:
            true, predicted = y == number, decided == number
            columns += [2 * (true & predicted).sum(1), true.sum(1) + predicted.sum(1)]
        return np.stack(columns, 1).astype(float)

    def value(self, total):
        return _mean_of_present(total[..., 0::2], total[..., 1::2])


class LabelOverlap(Score):
    """F1 of each label that a row may have beside others, the mean of the labels."""

    name = "f1"

    def sums(self, y, decided):
        both = 2 * (y * decided)
        return np.stack([both, y + decided], -1).reshape(len(y), -1).astype(float)

    def value(self, total):
        return _mean_of_present(total[..., 0::2], total[..., 1::2])


def _mean_of_present(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    present = whole > 0
    shares = np.divide(part, whole, out=np.zeros_like(part), where=present)
    return shares.sum(-1) / np.maximum(present.sum(-1), 1)


class Explained(Score):
    """R2, the share of the variance of the labels that the outputs explain; the mean of outputs.

    It is 0 for a network that always answers the mean of the labels, and may be negative.
    """

    name = "r2"

    def sums(self, y, decided):
        y, decided = (one.reshape(len(y), -1).astype(float) for one in (y, decided))
        y0 = y - y.mean(0)  # the value is the same, and squares stay small
        numbers = [np.square(y - decided), np.square(y0), y0, np.ones_like(y)]
        return np.stack(numbers, -1).reshape(len(y), -1)

    def value(self, total):
        residual, squares, sums, count = (total[..., part::4] for part in range(4))
        variance = squares - np.square(sums) / count
        shares = 1 - residual / np.where(variance > 0, variance, np.nan)
        return np.nan_to_num(shares, nan=0.0).mean(-1)


def scored(scores: list[Score], sums: list[np.ndarray], weighted: bool) -> Scored:
    """The mean of the scores of one or more outputs, with its interval.

    Args:
        scores: The score of each output.
        sums: For each output, the numbers of each row.
        weighted: Whether the rows have weights, by which their numbers are multiplied.
    """
    rows, value = len(sums[0]), mean_score(scores, sums)
    if not weighted and len(scores) == 1 and _is_of_rows(scores[0], sums[0]):
        return Scored(value, *wilson(value, rows), rows)
    rng = np.random.default_rng(_SEED)
    found = []
    for _ in range(_RESAMPLES):
        times = np.bincount(rng.integers(rows, size=rows), minlength=rows).astype(float)
        found.append(_mean(scores, [times @ one for one in sums]))
    return Scored(value, *map(float, np.percentile(found, _CONFIDENCE)), rows)


def mean_score(scores: list[Score], sums: list[np.ndarray]) -> float:
    """The mean of the scores of one or more outputs; as in `scored`."""
    return _mean(scores, [one.sum(0) for one in sums])


def _is_of_rows(score: Score, sums: np.ndarray) -> bool:
    """Whether each row is right or wrong as a whole."""
    return isinstance(score, Accuracy) and bool((sums[:, 1] == 1).all())


def _mean(scores: list[Score], totals: list[np.ndarray]) -> float:
    return float(np.mean([score.value(total) for score, total in zip(scores, totals, strict=True)]))


def scored_by(
    function: Callable[[np.ndarray, np.ndarray], float], y, outputs, resamples: int = 100
) -> Scored:
    """The score by a function of the user's own, which sees labels and outputs of many rows."""
    rows = len(y[0] if isinstance(y, tuple) else y)

    def taken(values, chosen):
        if isinstance(values, tuple):
            return tuple(one[chosen] for one in values)
        return values[chosen]

    rng = np.random.default_rng(_SEED)
    draws = [rng.integers(rows, size=rows) for _ in range(resamples)]
    found = [float(function(taken(y, one), taken(outputs, one))) for one in draws]
    value = float(function(y, outputs))
    return Scored(value, *map(float, np.percentile(found, _CONFIDENCE)), rows)
