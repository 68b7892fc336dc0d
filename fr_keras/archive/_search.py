"""`search`: chooses the steps, errors and counts of an archive by measured accuracy."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import NamedTuple

import keras
import numpy as np

import fr_archive
from fr_keras.archive import _goals
from fr_keras.archive._goals import Clock, Trial
from fr_keras.archive._load import loaded
from fr_keras.archive._trials import Levels, Measure, Network, Place
from fr_keras.models.compaction import compact

_FINEST, _COARSEST = -8, 12
_SHORTEST = 48
# At first, every second level is tried for all layers together.
_STRIDE = 2


class _Found(NamedTuple):
    """A trial that was better than all before, with the network and levels of its archive."""

    trial: Trial
    network: Network
    levels: Levels


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """The result of a search: a model, and the arguments for saving it.

    Attributes:
        model: The model that the archive loads to.
        step: The relative step of each FR layer.
        error: The relative error of each layer with other weights.
        kernel_error: The relative error of each layer with kernels in space.
        bytes: The size of the file that `save_archive` writes with these arguments.
        accuracy: Accuracy of `model` on the confirmation rows.
        reference_accuracy: Accuracy of the original model on the same rows.
        trials: How many archives were tried.
        complete: Whether the search ended by itself; false if `minutes` ended it.
    """

    model: keras.Model
    step: dict[str, float]
    error: dict[str, float]
    kernel_error: dict[str, float]
    bytes: int
    accuracy: float
    reference_accuracy: float
    trials: int
    complete: bool = True


def search(
    model: keras.Model,
    x,
    y: np.ndarray,
    *,
    max_drop: float | None = None,
    max_bytes: int | None = None,
    calibration: Iterable | None = None,
    search_kept: bool = False,
    fine_tune: Callable[[keras.Model, dict[str, float]], None] | None = None,
    batch_size: int = 128,
    progress: Callable[[Trial], None] | None = None,
    minutes: float | None = None,
) -> SearchResult:
    """Finds the smallest archive at an accuracy, or the most accurate one at a size.

    First all steps and errors are scaled by one factor. Then they change for one layer after
    another, by half an octave at a time, as long as that helps. Each archive is measured by the
    accuracy of the model that it loads to. The search uses no random numbers.

    For each archive, batch normalizations are measured on all of `calibration`, one after another,
    and then the accuracy on every second row. With dozens of layers there are hundreds of archives.
    `minutes` ends the search with the best one so far.

    Every second row of `x` is a search row; the others are confirmation rows. The best of many
    archives tends to be one that the search rows happen to favour. So `max_drop` must hold on the
    confirmation rows as well: the search goes back to earlier archives until it does. The search
    has stages: one factor for all layers, each layer by itself, counts, and the fine-tuned network.
    On the confirmation rows, the result is never worse than the archive that a stage began with.
    The accuracies in the result are measured on the confirmation rows.

    Args:
        model: A model as for `save_archive`, with one output that has a score for each class. It
            is not changed.
        x: Validation inputs, never test data: rows that choose an archive cannot measure it. An
            array, or what is read by slices like one, such as a memory map.
        y: The class of each row, or of each pixel, `(rows, height, width)`; at least two rows.
        max_drop: The accuracy that may be lost, such as 0.002; the search minimizes the bytes.
        max_bytes: The bytes that may be used; the search maximizes the accuracy.
        calibration: Training inputs as for `save_archive`. Every trial reads all of them.
        search_kept: Whether tensors may also be cut to fewer coefficients.
        fine_tune: A function that is given a copy of `model` and the relative steps found so far,
            by the names of `walk.named_kernels`. It trains the copy, on training data, with
            `ArchiveRounding(steps)`. The search then continues with the copy, and uses it if it is
            better, also on the confirmation rows.
        batch_size: Number of rows that are computed at once.
        progress: A function that is called after each trial.
        minutes: The time after which no further archive is tried; what was found is then still
            confirmed.

    Returns:
        A model, and the arguments with which `save_archive` saves it.

    Raises:
        ValueError: If not exactly one of `max_drop` and `max_bytes` is given, if no archive
            reaches it, also within `minutes`, or if `y` does not fit the outputs; also as in
            `save_archive`.

    Example:

    >>> from fr_keras import regularize, zoo
    >>> model = regularize(zoo.lenet5(), start=200)
    >>> x, y = np.random.default_rng(0).random((8, 28, 28, 1)), np.arange(8)
    >>> found = search(model, x, y, max_bytes=400)
    >>> found.bytes <= 400
    True
    """
    _goals.check(max_drop, max_bytes)
    _check_rows(x, y)
    clock = Clock(minutes)
    network = Network(model, calibration, search_kept)
    measure, confirm = (Measure(x, y, first, batch_size) for first in (0, 1))
    reference = confirm(model)
    if max_drop is None:
        goal = confirming = _goals.AccurateWithin(max_bytes)
    else:
        goal = _goals.SmallAt(measure(model) - max_drop)
        confirming = _goals.SmallAt(reference - max_drop)
    run = _Run(network, measure, goal, progress, clock)
    run.search()
    if fine_tune is not None:
        tuned = compact(model)
        fine_tune(tuned, network.numbers("step", run.best.levels))
        run.go_on(Network(tuned, network.calibration, search_kept))
    best, found, accuracy = _confirmed(run.stages, confirm, confirming)
    return SearchResult(
        model=found,
        step=best.network.numbers("step", best.levels),
        error=best.network.numbers("error", best.levels),
        kernel_error=best.network.numbers("kernel_error", best.levels),
        bytes=best.trial.bytes,
        accuracy=accuracy,
        reference_accuracy=reference,
        trials=len(run.trials),
        complete=not clock.stopped,
    )


def _confirmed(stages: list[list[_Found]], confirm: Measure, goal):
    """The best archive by the confirmation rows, which no search has seen.

    It is chosen among one archive of each stage: the last one that meets the goal.
    """
    best, trials = None, []
    for stage in stages:
        for one in reversed(stage):
            archive = one.network.archive(one.levels)
            accuracy = confirm(one.network.become(archive))
            trial = dataclasses.replace(one.trial, accuracy=accuracy)
            trials.append(trial)
            rank = goal.rank(trial)
            if rank is not None:
                if best is None or rank > best[0]:
                    best = (rank, one, archive, accuracy)
                break
    if best is None:
        raise ValueError(goal.impossible(trials, " on the confirmation rows"))
    _, one, archive, accuracy = best
    return one, loaded(archive), accuracy


def _check_rows(x: np.ndarray, y: np.ndarray) -> None:
    if len(x) != len(y) or len(x) < 2:
        raise ValueError(
            "`y` must hold one class for each row of `x`, for at least two rows. Received: "
            f"{len(y)} for {len(x)} rows"
        )


class _Run:
    """One search."""

    def __init__(self, network: Network, measure: Measure, goal, progress, clock: Clock):
        self._measure, self._goal, self._clock = measure, goal, clock
        self._progress = progress or (lambda trial: None)
        self._trying = network
        self._seen: set[tuple[int, ...]] = set()
        self._accuracies: dict[bytes, float] = {}
        #: The finds of each stage, each better than those before it.
        self.stages: list[list[_Found]] = [[]]
        self.trials: list[Trial] = []

    @property
    def best(self) -> _Found | None:
        return next((stage[-1] for stage in reversed(self.stages) if stage), None)

    def search(self) -> None:
        """Searches with one factor for all layers, then layer by layer."""
        self._all_alike(shorter=0)
        self._next_stage()
        self._one_by_one("step", "error", "kernel_error")
        if any(kind == "kept" for kind, _ in self._trying.places):
            self._next_stage()
            for shorter in range(_STRIDE, _SHORTEST + 1, _STRIDE):
                if not self._all_alike(shorter) and self.best:
                    break
            self._one_by_one("kept", "step", "error", "kernel_error")
        if self.best is None and self._clock.stopped:
            raise ValueError(self._clock.too_short(len(self.trials)))
        if self.best is None:
            raise ValueError(self._goal.impossible(self.trials))

    def go_on(self, network: Network) -> None:
        """Searches among archives of another network, from the levels of the best."""
        self._trying, self._seen = network, set()
        self._next_stage()
        self._is_better(self.best.levels)
        self._one_by_one("kept", "step", "error", "kernel_error")

    def _next_stage(self) -> None:
        self.stages.append([])

    def _all_alike(self, shorter: int) -> int:
        """Tries one factor for all steps and errors; returns how often it was the best so far."""
        found = 0
        for level in range(_FINEST, _COARSEST + 1, _STRIDE):
            if self.trials and self._clock.is_over():
                break
            levels = {
                place: shorter if place[0] == "kept" else level for place in self._trying.places
            }
            found += self._is_better(levels)
        return found

    def _one_by_one(self, *kinds: str) -> None:
        """Moves one number at a time, as long as a round finds anything better."""
        places = [place for place in self._trying.places if place[0] in kinds]
        moves = [(place, way) for way in self._goal.directions for place in places]
        while self.best and sum(
            self._is_better(self._moved(*move)) for move in moves if not self._clock.is_over()
        ):
            pass  # a sum, not `any`: a round tries every move

    def _moved(self, place: Place, way: int) -> Levels:
        lowest, highest = (0, _SHORTEST) if place[0] == "kept" else (_FINEST, _COARSEST)
        level = min(max(self.best.levels[place] + way, lowest), highest)
        return {**self.best.levels, place: level}

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
        if rank is None or (self.best and rank <= self._goal.rank(self.best.trial)):
            return False
        self.stages[-1].append(_Found(trial, self._trying, levels))
        return True

    def _trial(self, levels: Levels) -> Trial:
        archive = self._trying.archive(levels)
        data = fr_archive.encode(archive)
        number = len(self.trials)
        if len(data) > self._goal.most_bytes(self.best and self.best.trial):
            return Trial(number, len(data), None)
        if data not in self._accuracies:
            self._accuracies[data] = self._measure(self._trying.become(archive))
        return Trial(number, len(data), self._accuracies[data])
