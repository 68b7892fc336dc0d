"""Which steps, errors and counts of an archive a measured accuracy allows."""

import dataclasses
import math
from collections.abc import Callable, Iterable

import keras
import numpy as np

import fr_archive
from fr_keras.archive.candidates import Levels, Measure, Network, Place
from fr_keras.archive.load import loaded
from fr_keras.compact import compact

_FINEST, _COARSEST = -8, 12
_SHORTEST = 48
# To begin with, all layers alike are tried at every second level.
_STRIDE = 2


@dataclasses.dataclass(frozen=True)
class Trial:
    """One archive that was tried.

    Attributes:
        number: How many were tried before.
        bytes: Its size.
        accuracy: Of the model that it loads to; `None` where the size alone ruled it out.
    """

    number: int
    bytes: int
    accuracy: float | None


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """What was found: the arguments of `save_archive`.

    Attributes:
        model: The model that the archive loads to.
        step: The relative step of each FR layer.
        error: The relative error of each layer with other weights.
        bytes: The size of `save_archive(model, path, step=step, error=error)`.
        accuracy: Of `model`.
        reference_accuracy: Of the model that was given.
        trials: How many archives were tried.
    """

    model: keras.Model
    step: dict[str, float]
    error: dict[str, float]
    bytes: int
    accuracy: float
    reference_accuracy: float
    trials: int


def search(
    model: keras.Model,
    x: np.ndarray,
    y: np.ndarray,
    *,
    max_drop: float | None = None,
    max_bytes: int | None = None,
    calibration: Iterable | None = None,
    search_kept: bool = False,
    fine_tune: Callable[[keras.Model, float], None] | None = None,
    batch_size: int = 128,
    progress: Callable[[Trial], None] | None = None,
) -> SearchResult:
    """Finds the smallest archive at an accuracy, or the most accurate one at a size.

    First all steps and errors change by one factor, then those of one layer after the other, by
    half an octave at a time, as long as that helps. Each archive is measured as the model that it
    loads to. The search draws nothing at random.

    Args:
        model: A model as for `save_archive`, with one output of a score for each class. It stays
            as it is.
        x: Validation inputs. What they choose they cannot measure: never give test data.
        y: The class of each row, or of each pixel, `(rows, height, width)`.
        max_drop: The accuracy that may be lost, such as 0.002; bytes are made few.
        max_bytes: The bytes that may be used; accuracy is made high.
        calibration: Training inputs as for `save_archive`. Each trial reads them all.
        search_kept: Whether tensors may also be cut to fewer coefficients.
        fine_tune: Given a copy of `model` and the middle one of the relative steps that were found,
            trains the copy, on training data, with `ArchiveRounding(step)`. The search then goes on
            with it from where it was, and takes it if it is better.
        batch_size: Rows at a time.
        progress: Called after each trial.

    Returns:
        The arguments of `save_archive`.

    Raises:
        ValueError: If not just one of `max_drop` and `max_bytes` is given or it cannot be had, if
            `y` does not fit the outputs, or as `save_archive`.

    Example:

    >>> from fr_keras import regularize, zoo
    >>> model = regularize(zoo.lenet5(), start=200)
    >>> x, y = np.random.default_rng(0).random((8, 28, 28, 1)), np.arange(8)
    >>> found = search(model, x, y, max_bytes=400)
    >>> found.bytes <= 400
    True
    """
    _check_goal(max_drop, max_bytes)
    network = Network(model, calibration, search_kept)
    measure = Measure(x, y, batch_size)
    reference = measure(model)
    goal = _SmallAt(reference - max_drop) if max_bytes is None else _AccurateWithin(max_bytes)
    run = _Run(network, measure, goal, progress)
    run.search()
    if fine_tune is not None:
        tuned = compact(model)
        fine_tune(tuned, float(np.median([*network.numbers("step", run.levels).values()])))
        run.go_on(Network(tuned, network.calibration, search_kept))
    network, levels = run.network, run.levels
    found = loaded(network.archive(levels))
    return SearchResult(
        model=found,
        step=network.numbers("step", levels),
        error=network.numbers("error", levels),
        bytes=run.best.bytes,
        accuracy=measure(found),
        reference_accuracy=reference,
        trials=len(run.trials),
    )


def _check_goal(max_drop: float | None, max_bytes: int | None) -> None:
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


class _SmallAt:
    """Few bytes at an accuracy."""

    # Finer is never smaller.
    directions = (1,)

    def __init__(self, least: float):
        self._least = least - 1e-9  # a row more or less is far above that

    def most_bytes(self, best: Trial | None) -> float:
        return math.inf if best is None else best.bytes - 1

    def rank(self, trial: Trial) -> tuple | None:
        if trial.accuracy is None or trial.accuracy < self._least:
            return None
        return (-trial.bytes, trial.accuracy)

    def impossible(self, trials: list[Trial]) -> str:
        best = max(one.accuracy for one in trials)
        return (
            f"`max_drop` must leave an accuracy of at most {best:.4f}, the best of the archives "
            f"tried: allow more, or give `calibration`. Received: one that leaves "
            f"{self._least:.4f}"
        )


class _AccurateWithin:
    """A high accuracy within some bytes."""

    directions = (1, -1)

    def __init__(self, most: int):
        self._most = most

    def most_bytes(self, best: Trial | None) -> float:
        return self._most

    def rank(self, trial: Trial) -> tuple | None:
        return None if trial.accuracy is None else (trial.accuracy, -trial.bytes)

    def impossible(self, trials: list[Trial]) -> str:
        smallest = min(one.bytes for one in trials)
        return (
            f"`max_bytes` must be at least {smallest}, the smallest archive that was found: allow "
            f"`search_kept`, or train with fewer coefficients. Received: {self._most}"
        )


class _Run:
    """One search."""

    def __init__(self, network: Network, measure: Measure, goal, progress):
        self._measure, self._goal = measure, goal
        self._progress = progress or (lambda trial: None)
        self._trying = network
        self._seen: set[tuple[int, ...]] = set()
        self._accuracies: dict[bytes, float] = {}
        #: The best archive, and the network and the levels that give it.
        self.best: Trial | None = None
        self.network, self.levels = network, {}
        self.trials: list[Trial] = []

    def search(self) -> None:
        """Searches from all layers alike to each by itself."""
        self._all_alike(shorter=0)
        self._one_by_one("step", "error")
        if any(kind == "kept" for kind, _ in self._trying.places):
            for shorter in range(_STRIDE, _SHORTEST + 1, _STRIDE):
                if not self._all_alike(shorter) and self.best:
                    break
            self._one_by_one("kept", "step", "error")
        if self.best is None:
            raise ValueError(self._goal.impossible(self.trials))

    def go_on(self, network: Network) -> None:
        """Searches among archives of another network, from the levels of the best."""
        self._trying, self._seen = network, set()
        self._is_better(self.levels)
        self._one_by_one("kept", "step", "error")

    def _all_alike(self, shorter: int) -> int:
        """Tries one factor for all steps and errors; returns how often that was the best."""
        found = 0
        for level in range(_FINEST, _COARSEST + 1, _STRIDE):
            levels = {
                place: shorter if place[0] == "kept" else level for place in self._trying.places
            }
            found += self._is_better(levels)
        return found

    def _one_by_one(self, *kinds: str) -> None:
        """Moves one number at a time, as long as a round finds anything better."""
        places = [place for place in self._trying.places if place[0] in kinds]
        moves = [(place, way) for way in self._goal.directions for place in places]
        while self.best and sum(self._is_better(self._moved(*move)) for move in moves):
            pass  # a sum, not `any`: a round tries every move

    def _moved(self, place: Place, way: int) -> Levels:
        lowest, highest = (0, _SHORTEST) if place[0] == "kept" else (_FINEST, _COARSEST)
        level = min(max(self.levels[place] + way, lowest), highest)
        return {**self.levels, place: level}

    def _is_better(self, levels: Levels) -> bool:
        """Tries an archive, and remembers it if it is the best."""
        key = tuple(levels[place] for place in self._trying.places)
        if key in self._seen:
            return False
        self._seen.add(key)
        trial = self._trial(levels)
        self.trials.append(trial)
        self._progress(trial)
        rank = self._goal.rank(trial)
        if rank is None or (self.best and rank <= self._goal.rank(self.best)):
            return False
        self.network, self.levels, self.best = self._trying, levels, trial
        return True

    def _trial(self, levels: Levels) -> Trial:
        archive = self._trying.archive(levels)
        data = fr_archive.encode(archive)
        number = len(self.trials)
        if len(data) > self._goal.most_bytes(self.best):
            return Trial(number, len(data), None)
        if data not in self._accuracies:
            self._accuracies[data] = self._measure(self._trying.become(archive))
        return Trial(number, len(data), self._accuracies[data])
