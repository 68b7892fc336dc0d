"""`select` and `prune`: from scores of channels to a model within a budget."""

import bisect
import math
import numbers
from collections.abc import Callable, Mapping, Sequence

import keras
import numpy as np

from fr_keras.methods._costs import counted
from fr_keras.models import channels

#: What a budget is counted in: `"weights"`, `"multiply_adds"`, or any number of a model.
Measure = str | Callable[[keras.Model], float]

#: For each removable group, a score for each channel.
Scores = Mapping[str, np.ndarray]

SCOPES = ("global", "layer")


def select(
    model: keras.Model,
    scores: Scores,
    keep: int | float,
    measure: Measure = "multiply_adds",
    scope: str = "global",
    floor: int | float = 1,
) -> dict[str, list[int]]:
    """Chooses the channels that a model keeps within a budget.

    The channels are put in one order, the least important first, and as few as possible are
    removed from its front: the result is the largest network within the budget along this order.

    Args:
        model: A built functional or sequential model. It is not changed.
        scores: For each removable group of `channels.groups`, a score for each channel. The higher
            the score, the more the channel matters.
        keep: The budget: a fraction of the whole model's measure (float), or a number in the unit
            of the measure (int).
        measure: `"weights"` and `"multiply_adds"` are the kernel weights and the multiply-adds of
            `fr_keras.summary`. A function of a model returns any other number, such as the
            microseconds that its file takes. It is called for about as many models as the number
            of channels has bits, and should grow with the number of channels.
        scope: `"global"` compares the channels of all groups, after the scores of each group are
            divided by their L2 norm: scores of different layers have different scales, and this
            was the best normalization found by Molchanov et al. `"layer"` takes the same share of
            every group, within one channel.
        floor: The fewest channels that a group keeps: a number (int) or a share of the group,
            rounded up (float). A group that is smaller stays whole.

    Returns:
        The numbers of the channels to keep, for each removable group, as `channels.remove` takes
        them.

    Raises:
        ValueError: If no channels can be removed; if the scores have other names or shapes than the
            groups, or are not finite; if an argument is out of range; if the model is above the
            budget even with the floor.

    Example:

    >>> inputs = keras.Input((4,))
    >>> x = keras.layers.Dense(3, "relu", name="hidden")(inputs)
    >>> model = keras.Model(inputs, keras.layers.Dense(2, name="logits")(x))
    >>> select(model, {"hidden": np.array([0.1, 0.5, 0.3])}, keep=12, measure="weights")
    {'hidden': [1, 2]}

    Source: Molchanov et al., "Pruning Convolutional Neural Networks for Resource Efficient
    Inference", ICLR 2017, arXiv 1611.06440.
    """
    found = channels.groups(model)
    sizes = removable(model, found)
    checked = _scores(scores, sizes)
    if scope not in SCOPES:
        raise ValueError(f"`scope` must be one of {SCOPES}. Received: {scope!r}")
    line = Line(checked, floors(sizes, floor), scope)
    return largest(model, found, line, _keep(keep), measure)


def prune(
    model: keras.Model,
    scores: Scores,
    keep: int | float,
    measure: Measure = "multiply_adds",
    scope: str = "global",
    floor: int | float = 1,
) -> keras.Model:
    """Returns a smaller copy of a model, with the channels that `select` chooses.

    The arguments and errors are those of `select`. The copy is a plain model, compiled if the model
    was; see `channels.remove`.

    Example:

    >>> inputs = keras.Input((4,))
    >>> x = keras.layers.Dense(3, "relu", name="hidden")(inputs)
    >>> model = keras.Model(inputs, keras.layers.Dense(2, name="logits")(x))
    >>> small = prune(model, {"hidden": np.array([0.1, 0.5, 0.3])}, keep=0.7)
    >>> small.get_layer("hidden").units
    2
    """
    return channels.remove(model, select(model, scores, keep, measure, scope, floor))


def removable(model: keras.Model, found: channels.Groups) -> dict[str, int]:
    """Returns the number of channels of each removable group, or raises a ValueError."""
    sizes = {name: one.size for name, one in found.items() if one.removable}
    if not sizes:
        reasons = [f"'{name}' because {one.reason}" for name, one in found.items()]
        raise ValueError(
            "`model` must have channels that can be removed. Received: "
            f"'{model.name}', whose channels all stay: {'; '.join(reasons) or 'none are known'}"
        )
    return sizes


def floors(sizes: Mapping[str, int], floor: int | float) -> dict[str, int]:
    """Returns the fewest channels that each group keeps, or raises a ValueError."""
    whole = isinstance(floor, numbers.Integral)
    if whole and not isinstance(floor, bool) and floor >= 1:
        return {name: min(int(floor), size) for name, size in sizes.items()}
    if isinstance(floor, numbers.Real) and not whole and 0 < floor <= 1:
        return {name: math.ceil(floor * size) for name, size in sizes.items()}
    raise ValueError(
        "`floor` must be a number of channels from 1 (int), or a share above 0 and at most 1 "
        f"(float), because a layer cannot be empty. Received: {floor!r}"
    )


class Line:
    """The channels that may be removed, in the order in which they are.

    Args:
        scores: A score for each channel of each group.
        least: The fewest channels that each group keeps.
        scope: As for `select`.
    """

    def __init__(self, scores: Scores, least: Mapping[str, int], scope: str):
        self._sizes = {name: len(one) for name, one in scores.items()}
        self.least = least
        rows = []
        for place, (name, one) in enumerate(scores.items()):
            weakest = np.argsort(one, kind="stable")[: len(one) - least[name]]
            share = (np.arange(len(weakest)) + 0.5) / len(one)
            norm = np.linalg.norm(one / (np.abs(one).max() or 1.0)) * np.abs(one).max()
            score = one[weakest] / (norm or 1.0) if scope == "global" else np.zeros(len(weakest))
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


def largest(
    model: keras.Model, found: channels.Groups, line: Line, keep: float, measure: Measure
) -> dict[str, list[int]]:
    """Returns what is kept when the fewest channels of the line are removed to fit the budget."""
    costs: dict[int, float] = {}
    count, fixed = (None, None) if callable(measure) else counted(model, found, measure)

    def cost(removed: int) -> float:
        if removed not in costs:  # a measured time is another one when it is measured again
            kept = line.kept(removed)
            if count is not None:
                costs[removed] = count({name: len(one) for name, one in kept.items()})
            else:
                costs[removed] = _measured(measure, channels.remove(model, kept))
        return costs[removed]

    budget = keep * cost(0) if isinstance(keep, float) else keep
    if budget > cost(0):
        raise ValueError(
            f"`keep` must be at most what the model has: {cost(0):,}. Received: {keep:,}"
        )
    if cost(len(line)) > budget:
        above = fixed is not None and fixed > budget
        raise ValueError(
            f"`keep` must be at least {cost(len(line)):,} of {cost(0):,}, which is left when every "
            "group keeps only its floor of channels"
            + (f"; what cannot be removed alone has {fixed:,}" if above else "")
            + f". Received: {keep!r}, a budget of {budget:,.10g}"
        )
    steps = range(len(line) + 1)
    return line.kept(bisect.bisect_left(steps, True, key=lambda removed: cost(removed) <= budget))


def _measured(measure: Callable[[keras.Model], float], model: keras.Model) -> float:
    found = measure(model)
    if not isinstance(found, numbers.Real) or not math.isfinite(found) or found <= 0:
        raise ValueError(f"`measure` must return a number above 0 for a model. Received: {found!r}")
    return float(found)


def _keep(keep: int | float) -> int | float:
    if isinstance(keep, numbers.Integral) and not isinstance(keep, bool) and keep >= 1:
        return int(keep)
    if isinstance(keep, numbers.Real) and not isinstance(keep, numbers.Integral) and 0 < keep <= 1:
        return float(keep)
    raise ValueError(
        "`keep` must be a number from 1 in the unit of the measure (int), or a fraction above 0 "
        f"and at most 1 (float). Received: {keep!r}"
    )


def _scores(scores: Scores, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
    """The scores as float64, in the order of the groups, after the checks."""
    names = list(scores) if isinstance(scores, Mapping) else None
    if names is None or {*names} != {*sizes}:
        raise ValueError(
            "`scores` must be a dict with the names of all removable groups of "
            f"`channels.groups(model)`: {list(sizes)}. Received: "
            f"{type(scores).__name__ if names is None else names}"
        )
    return {name: _score(name, scores[name], size) for name, size in sizes.items()}


def _score(name: str, score: Sequence[float], size: int) -> np.ndarray:
    one = np.asarray(score, np.float64)
    if one.shape != (size,):
        raise ValueError(
            f"`scores['{name}']` must have a number for each of {size} channels. "
            f"Received: an array of the shape {one.shape}"
        )
    if not np.isfinite(one).all():
        raise ValueError(
            f"`scores['{name}']` must be finite. Received: {np.count_nonzero(~np.isfinite(one))} "
            f"NaN or infinite of {size}"
        )
    return one
