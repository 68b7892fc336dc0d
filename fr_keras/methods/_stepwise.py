"""`prune_stepwise`: ranks, removes a few channels and fine-tunes, in turn."""

from collections.abc import Callable, Iterator, Mapping

import keras

from fr_keras.methods._budget import Cost, Line, Measure, Scores, share_or_number
from fr_keras.methods._selection import checked_scores, floors, removable
from fr_keras.models import channels


def prune_stepwise(
    model: keras.Model,
    rank: Callable[[keras.Model], Scores],
    tune: Callable[[keras.Model], object],
    keep: int | float,
    steps: int,
    measure: Measure = "multiply_adds",
    scope: str = "global",
    floor: int | float = 1,
) -> Iterator[keras.Model]:
    """Goes to a budget in steps, and yields the fine-tuned model after each one.

    Each step removes the same fraction of what is left: after step `i` the model is within
    `whole * (budget / whole) ** (i / steps)`. Take the last model, or save each one to go on from
    it later with fewer steps.

    Args:
        model: A built functional or sequential model. It is not changed.
        rank: Returns the scores of a model's channels, as `select` takes them.
        tune: Trains the model that it is given, in place. The model is compiled, with its optimizer
            as it was, if the one before it was.
        keep: The budget of the last step, as for `select`.
        steps: The number of steps.
        measure: What the budget is counted in, as for `select`.
        scope: How channels are compared, as for `select`.
        floor: The fewest channels that a group keeps, as for `select`; a share is one of the group
            at the start.

    Yields:
        The model after each step.

    Raises:
        ValueError: As `select` does; if `steps` is out of range.

    Example:

    >>> inputs = keras.Input((4,))
    >>> x = keras.layers.Dense(8, "relu", name="hidden")(inputs)
    >>> model = keras.Model(inputs, keras.layers.Dense(2, name="logits")(x))
    >>> def rank(model):
    ...     return {"hidden": abs(model.get_layer("hidden").kernel.numpy()).sum(0)}
    >>> steps = prune_stepwise(model, rank, lambda model: None, keep=0.25, steps=2)
    >>> [one.get_layer("hidden").units for one in steps]
    [4, 2]
    """
    return (one for one, _ in pruned(model, rank, tune, keep, steps, measure, scope, floor))


def pruned(
    model: keras.Model,
    rank: Callable[[keras.Model], Scores],
    tune: Callable[[keras.Model], object],
    keep: int | float,
    steps: int,
    measure: Measure,
    scope: str,
    floor: int | float = 1,
) -> Iterator[tuple[keras.Model, dict[str, list[int]]]]:
    """Does the same, and yields with each model which channels of the one before it has."""
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ValueError(f"`steps` must be a number of steps, 1 or more. Received: {steps!r}")
    found = channels.groups(model)
    sizes = removable(model, found)
    least, keep = floors(sizes, floor), share_or_number(keep)
    equal = {name: [0.0] * size for name, size in sizes.items()}
    cost = Cost(model, found, Line(checked_scores(equal, sizes), least, scope), measure)
    whole, budget = cost(0), cost.budget(keep)
    cost.check(budget)
    budgets = [whole * (budget / whole) ** (step / steps) for step in range(1, steps)]
    return _steps(model, rank, tune, [*budgets, budget], measure, scope, least)


def _steps(
    model: keras.Model,
    rank: Callable,
    tune: Callable,
    budgets: list[float],
    measure: Measure,
    scope: str,
    least: Mapping[str, int],
) -> Iterator[tuple[keras.Model, dict[str, list[int]]]]:
    for budget in budgets:
        found = channels.groups(model)
        scores = checked_scores(rank(model), removable(model, found))
        fewest = {name: min(least.get(name, 1), len(one)) for name, one in scores.items()}
        kept = Cost(model, found, Line(scores, fewest, scope), measure).largest(budget)
        model = channels.remove(model, kept)
        tune(model)
        yield model, kept
