"""The order in which channels are removed, and what a model costs along it."""

import bisect
import math
import numbers
from collections.abc import Callable, Mapping

import keras
import numpy as np

from fr_keras.methods._costs import counted
from fr_keras.models import channels

#: What a budget is counted in: `"weights"`, `"multiply_adds"`, or any number of a model.
Measure = str | Callable[[keras.Model], float]

#: For each removable group, a score for each channel.
Scores = Mapping[str, np.ndarray]

SCOPES = ("global", "layer")


class Line:
    """The channels that may be removed, in the order in which they are.

    Args:
        scores: A score for each channel of each group.
        least: The fewest channels that each group keeps.
        scope: As for `select`.
    """

    def __init__(self, scores: Scores, least: Mapping[str, int], scope: str):
        if scope not in SCOPES:
            raise ValueError(f"`scope` must be one of {SCOPES}. Received: {scope!r}")
        self._sizes = {name: len(one) for name, one in scores.items()}
        rows = []
        for place, (name, one) in enumerate(scores.items()):
            weakest = np.argsort(one, kind="stable")[: len(one) - least[name]]
            share = (np.arange(len(weakest)) + 0.5) / len(one)
            largest = np.abs(one).max()
            size = np.sqrt(np.square(one / (largest or 1.0)).mean()) * largest
            score = one[weakest] / (size or 1.0) if scope == "global" else np.zeros(len(weakest))
            rows.append(np.stack([score, share, np.full(len(weakest), place), weakest]))
        table = np.concatenate(rows, axis=1)
        # Between equal scores, the group that has lost the smaller share gives the next channel.
        self._order = table[2:, np.lexsort((table[2], table[1], table[0]))].astype(np.int64)

    def __len__(self) -> int:
        return self._order.shape[1]

    def kept(self, removed: int) -> dict[str, list[int]]:
        """The channels that stay when the first ones of the line are gone."""
        places, gone = self._order[:, :removed]
        return {
            name: np.setdiff1d(np.arange(size), gone[places == place]).tolist()
            for place, (name, size) in enumerate(self._sizes.items())
        }


class Cost:
    """What a model costs by how many channels of a line are removed, each computed once.

    Args:
        model: The model.
        found: Its groups.
        line: The channels that may be removed.
        measure: As for `select`.
    """

    def __init__(self, model: keras.Model, found: channels.Groups, line: Line, measure: Measure):
        self._model, self._line, self._measure = model, line, measure
        self._known: dict[int, float] = {}
        counting = (None, None) if callable(measure) else counted(model, found, measure)
        self._count, self._fixed = counting

    def __call__(self, removed: int) -> float:
        if removed not in self._known:  # a measured time is another one when measured again
            kept = self._line.kept(removed)
            if self._count is not None:
                cost = self._count({name: len(one) for name, one in kept.items()})
            else:
                cost = _measured(self._measure, channels.remove(self._model, kept))
            self._known[removed] = cost
        return self._known[removed]

    def budget(self, keep: int | float) -> float:
        """Returns the budget in the unit of the measure, or raises a ValueError."""
        budget = keep * self(0) if isinstance(keep, float) else keep
        if budget > self(0):
            raise ValueError(
                f"`keep` must be at most what the model has: {self(0):,}. Received: {keep:,}"
            )
        return budget

    def check(self, budget: float) -> None:
        """Raises a ValueError if the model is above a budget even without the whole line."""
        most = len(self._line)
        if self(most) > budget:
            above = self._fixed is not None and self._fixed > budget
            raise ValueError(
                f"`keep` must be at least {self(most):,} of {self(0):,}, which is left when every "
                "group keeps only its floor of channels"
                + (f"; what cannot be removed alone has {self._fixed:,}" if above else "")
                + f". Received: a budget of {budget:,.10g}. Keep more"
            )

    def largest(self, budget: float) -> dict[str, list[int]]:
        """Returns what is kept when the fewest channels of the line are removed to fit it."""
        self.check(budget)
        most = len(self._line)
        fits = bisect.bisect_left(range(most + 1), True, key=lambda one: self(one) <= budget)
        return self._line.kept(fits)


def _measured(measure: Callable[[keras.Model], float], model: keras.Model) -> float:
    found = measure(model)
    if not isinstance(found, numbers.Real) or not math.isfinite(found) or found <= 0:
        raise ValueError(f"`measure` must return a number above 0 for a model. Received: {found!r}")
    return float(found)


def cost_of(model: keras.Model, measure: Measure) -> float:
    """Returns what a model costs by a measure."""
    if callable(measure):
        return _measured(measure, model)
    count, _ = counted(model, channels.groups(model), measure)
    return count({})


def share_or_number(keep: int | float) -> int | float:
    """Returns `keep` as an int or a float, or raises a ValueError."""
    if isinstance(keep, numbers.Integral) and not isinstance(keep, bool) and keep >= 1:
        return int(keep)
    if isinstance(keep, numbers.Real) and not isinstance(keep, numbers.Integral) and 0 < keep <= 1:
        return float(keep)
    raise ValueError(
        "`keep` must be a number from 1 in the unit of the measure (int), or a fraction above 0 "
        f"and at most 1 (float). Received: {keep!r}"
    )
