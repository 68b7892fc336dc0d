"""A Bayesian search of where a budget is best spent, by the score of the network."""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping

from fr_keras.methods._rank_shares import Curve, spent
from fr_keras.methods._score import finite

_WIDEST = 3.0  # the most by which the logarithm of a layer's errors is changed


def searched(
    curves: Mapping[str, Curve],
    budget: float,
    score: Callable[[dict[str, int]], float],
    trials: int,
) -> dict[str, int]:
    """Returns the choice for each layer that has the best score of all that were tried.

    The errors of each layer are multiplied by a number, and the budget is spent by these. The tree
    of Parzen estimators proposes the numbers, which are 1 in the first trial. So every trial keeps
    to the budget, and the result is never worse than without a search.

    Args:
        curves: What each layer may become.
        budget: The most that all layers may cost.
        score: Scores a choice; higher is better.
        trials: How many choices are tried. One that was tried before is not scored again.

    Raises:
        ImportError: If the extra `optuna` is not installed.
        ValueError: If a score is not finite.
    """
    known: dict[tuple[int, ...], float] = {}

    def objective(trial) -> float:
        factors = {name: math.exp(trial.suggest_float(name, -_WIDEST, _WIDEST)) for name in curves}
        changed = {
            name: dataclasses.replace(one, errors=one.errors * factors[name])
            for name, one in curves.items()
        }
        plan = spent(changed, budget)
        trial.set_user_attr("plan", plan)
        key = tuple(plan[name] for name in curves)
        if key not in known:
            known[key] = finite(score(plan))
        return known[key]

    with _quiet() as optuna:
        sampler = optuna.samplers.TPESampler(seed=0)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.enqueue_trial(dict.fromkeys(curves, 0.0))
        study.optimize(objective, n_trials=trials)
    return study.best_trial.user_attrs["plan"]


@contextlib.contextmanager
def _quiet() -> Iterator:
    """The module, which else tells of each trial."""
    try:
        import optuna
    except ImportError as error:
        raise ImportError(
            f"`score` needs the extra `optuna`: pip install 'fr-keras[optuna]' ({error})"
        ) from error
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield optuna
    finally:
        optuna.logging.set_verbosity(before)
