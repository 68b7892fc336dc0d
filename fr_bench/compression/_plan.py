"""Which trials are run, for how long, and which of them go on.

Successive halving (Jamieson and Talwalkar 2016, arXiv 1502.07943): all trials train on a quarter of
the rows, the better half of them again on half of the rows, and half of these on all rows.
"""

import dataclasses
import itertools
import math

from fr_bench._fronts import on_front
from fr_bench.compression._trial import Cell, Trial

#: Each round takes every so many-th row.
STEPS = (4, 2, 1)
_MOST_EPOCHS, _FEWEST_EPOCHS = 40, 3
_LARGEST_BATCH, _SMALLEST_BATCH = 32, 8
_BATCHES = 50  # so many or more in an epoch of all rows, if the smallest batch allows
_TRAINING_SHARE = 0.6  # of the time; the rest is for converting, packing and scoring
# A file that is larger by no more than this is taken if it scores better.
_AS_SMALL = 1.02
# FR layers and a teacher make a step longer than one of the plain network.
_SLOWER = 2.5


@dataclasses.dataclass(frozen=True)
class Goal:
    """What the chosen file must hold.

    Attributes:
        least: The least score on the validation rows; `None` if bytes are given.
        budget: The most bytes of the download; `None` if a score is given.
    """

    least: float | None
    budget: int | None

    def holds(self, trial: Trial) -> bool:
        """Whether the files of a trial may be chosen."""
        if self.budget is not None:
            return trial.download_bytes <= self.budget
        return trial.score.value >= self.least

    def best(self, trials: list[Trial]) -> Trial:
        """The trial to choose: of those that hold the goal, the smallest or the best one.

        Of files about as small as the smallest, it is the one with the best score. If no trial
        holds the goal, it is the one that comes nearest.
        """
        held = [one for one in trials if self.holds(one)]
        if self.budget is not None:
            if not held:
                return min(trials, key=lambda one: one.download_bytes)
            return max(held, key=lambda one: one.score.value)
        if not held:
            return max(trials, key=lambda one: one.score.value)
        return _smallest(held)


def _smallest(trials: list[Trial]) -> Trial:
    """The best of the trials whose files are about as small as the smallest."""
    most = _AS_SMALL * min(one.download_bytes for one in trials)
    return max(
        (one for one in trials if one.download_bytes <= most), key=lambda one: one.score.value
    )


def cells(methods: tuple[str, ...], keeps: tuple[int | float, ...]) -> list[Cell]:
    """The trials of the first round, the largest budgets first."""
    largest = sorted(keeps, reverse=True)
    return [Cell(method, keep) for keep in largest for method in methods]


def batch_size(rows: int) -> int:
    """Rows of a training step: fewer where the rows are few, for a training is a few epochs."""
    return min(max(rows // _BATCHES, _SMALLEST_BATCH), _LARGEST_BATCH)


def epochs(minutes: float, seconds_per_row: float, rows: int, trials: int) -> int:
    """Epochs of each training, so that all rounds together take about so many minutes."""
    rounds = sum(math.ceil(trials / 2**number) * rows / step for number, step in enumerate(STEPS))
    fitting = minutes * 60 * _TRAINING_SHARE / (seconds_per_row * _SLOWER * rounds)
    return int(min(max(fitting, _FEWEST_EPOCHS), _MOST_EPOCHS))


def hopeless(cell: Cell, done: list[Trial], goal: Goal, chance: float) -> str | None:
    """Why a trial need not run, if a larger budget of its method has failed clearly.

    Clearly is: more than half of the way from the goal down to chance is lost.
    """
    if goal.least is None:
        return None
    larger = [one for one in done if one.method == cell.method and one.keep > cell.keep]
    worst = min(larger, key=lambda one: one.score.value, default=None)
    if worst is None or worst.score.value >= (goal.least + chance) / 2:
        return None
    return f"not trained: {worst.name} had only {worst.score.value:.4f} already"


def awaited(cell: Cell, cells: list[Cell], rung: int) -> list[Cell]:
    """The trials of a round whose outcome decides whether a trial is run: see `hopeless`.

    All others of its round can run at the same time.
    """
    return [] if rung else [o for o in cells if o.method == cell.method and o.keep > cell.keep]


def survivors(trials: list[Trial], goal: Goal) -> list[Trial]:
    """The trials of a round that train on in the next one, at most half of them.

    These are the smallest that holds the goal, and of the smaller ones those that come nearest to
    it, because longer training helps them. Of a goal in bytes: the best that hold it. A trial only
    drops out for one that is as small and clearly better: after so short a training, on few rows,
    the next round may turn their order.
    """
    limit = math.ceil(len(trials) / 2)
    best = [one for one in trials if not any(_clearly_better(other, one) for other in trials)]
    held = [one for one in best if goal.holds(one)]
    by_score = lambda one: -one.score.value  # noqa: E731
    if goal.budget is not None:
        chosen = sorted(held, key=by_score) or [goal.best(trials)]
        return chosen[:limit]
    first = _smallest(held) if held else None
    most = math.inf if first is None else first.download_bytes
    nearest = sorted((one for one in best if one.download_bytes < most), key=by_score)
    return [one for one in itertools.chain([first], nearest) if one is not None][:limit]


def _clearly_better(one: Trial, other: Trial) -> bool:
    """Whether a trial is no larger than another, and its confidence interval above the other's."""
    return one.download_bytes <= other.download_bytes and one.score.low > other.score.high


def best_narrow(trials: list[Trial]) -> Trial | None:
    """The narrow network with the highest score."""
    narrow = [one for one in trials if one.method == "narrow"]
    return max(narrow, key=lambda one: one.score.value, default=None)


def front(trials: list[Trial]) -> list[Trial]:
    """The trials that no other beats in both bytes of the download and validation score."""
    held = on_front([(one.download_bytes, one.score.value) for one in trials])
    return [one for one, best in zip(trials, held, strict=True) if best]
