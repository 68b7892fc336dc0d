"""Which of several ridge solutions an extreme learning machine takes."""

import warnings
from collections.abc import Iterable, Sequence

import numpy as np

from fr_keras.methods._elm_targets import Choice, Targets
from fr_keras.methods._ridge import Solution


def choose(
    solutions: Sequence[Solution],
    targets: Targets,
    rows: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray | None]],
    name: str,
) -> Choice:
    """Returns the solution and the sharpness with the least loss on rows.

    Args:
        solutions: At least one solution.
        targets: What the labels of the task become.
        rows: Inputs, what the hidden layer gives for them, and labels, a few rows at a time.
        name: The argument that the rows come from, for messages.

    Raises:
        ValueError: If the labels are not of the task.
    """
    outputs, total, count = len(solutions[0].bias), 0.0, 0
    for _, h, labels in rows:
        t = targets.of(labels, name)
        if t.shape[1] != outputs:
            raise ValueError(
                f"`{name}` must have no class that `data` do not have, whose classes are 0 to "
                f"{outputs - 1}. Received: class {int(labels.max())}"
            )
        losses = [targets.losses(h @ one.kernel + one.bias, t) for one in solutions]
        total, count = total + np.array(losses), count + len(h)
    place, factor = np.unravel_index(np.argmin(total), total.shape)
    return Choice(solutions[place], targets.factors[factor], float(total.min()) / count)


def warn_of_ends(
    solutions: Sequence[Solution], penalties: Sequence[float], chosen: Solution
) -> None:
    """Warns if a penalty that was not tried may be better."""
    if len(penalties) > 1 and chosen.penalty == penalties[-1]:
        warnings.warn(
            f"the largest penalty, {chosen.penalty:g}, has the least loss on the validation rows, "
            "and a larger one may be better. Give larger ones in `penalty`, or more rows.",
            stacklevel=3,
        )
    elif chosen is solutions[0] and chosen.penalty > penalties[0]:
        warnings.warn(
            f"the penalty {chosen.penalty:g} has the least loss on the validation rows, and a "
            "smaller one may be better, but smaller ones have no solution in this precision. Up to "
            "8,000 neurons are solved in float64, more in float32.",
            stacklevel=3,
        )
