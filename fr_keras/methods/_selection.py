"""`select` and `prune`: from scores of channels to a model within a budget."""

import math
import numbers
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from fr_keras.layers import FrequencyTwin, Quantizing
from fr_keras.methods._budget import Cost, Line, Measure, Scores, share_or_number
from fr_keras.models import channels
from fr_keras.models.walk import all_layers


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
            divided by their root mean square, because scores of different layers have different
            scales. The L2 norm of Molchanov et al. would be larger in a group of more channels, so
            that wide layers would lose nearly all of theirs. `"layer"` takes the same share of
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
    checked = checked_scores(scores, sizes)
    line = Line(checked, floors(sizes, floor), scope)
    cost = Cost(model, found, line, measure)
    return cost.largest(cost.budget(share_or_number(keep)))


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
        baking = ", after `fr_keras.bake(model)`, for FR and quantized layers are not known"
        converted = any(isinstance(x, (FrequencyTwin, Quantizing)) for x in all_layers(model))
        raise ValueError(
            "`model` must have channels that can be removed"
            + (baking if converted else "")
            + f". Received: '{model.name}', whose channels all stay: "
            + ("; ".join(reasons) or "none are known")
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


def checked_scores(scores: Scores, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
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
