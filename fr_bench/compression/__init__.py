"""From a trained network to its best file: many methods and budgets, one verdict."""

import functools
import time
from collections.abc import Callable
from pathlib import Path

import keras
from rich.console import Console
from rich.progress import Progress

import fr_bench.report as report
from fr_bench._alone import alone
from fr_bench._cluster import check_engine
from fr_bench._runs import about
from fr_bench.candidates import all_candidates
from fr_bench.compression import _plan
from fr_bench.compression._engines import started
from fr_bench.compression._folder import RunFolder
from fr_bench.compression._plan import Goal
from fr_bench.compression._result import Compression, finish
from fr_bench.compression._rounds import Rounds
from fr_bench.compression._speed import seconds_per_row
from fr_bench.data import Dataset
from fr_bench.missing import warn_of_missing
from fr_bench.preflight import Preflight, check_plain, check_trained, preflight
from fr_bench.tasks import Metric
from fr_bench.training import Regime

__all__ = ["KEEPS", "METHODS", "Compression", "compress"]

#: The methods that are tried by default.
METHODS = ("FR-ordered", "channels", "tucker", "narrow")
#: The budgets of each method by default.
KEEPS = (0.5, 0.2, 0.1, 0.05)
_LEARNING_RATE, _DISTILLATION, _TRUNCATION = 1e-3, 0.5, 0.7


def compress(
    model: keras.Model,
    data: Dataset,
    out: str | Path,
    *,
    max_drop: float = 0.01,
    budget: int | None = None,
    methods: tuple[str, ...] = METHODS,
    keeps: tuple[int | float, ...] = KEEPS,
    minutes: float = 30,
    scale: str | None = None,
    loss: object = None,
    metric: Metric | None = None,
    learning_rate: float = _LEARNING_RATE,
    seed: int = 0,
    engine: str = "local",
    command: str = "fr_bench.compress",
    overwrite: bool = False,
    verbose: bool = True,
) -> Compression:
    """Finds the smallest file of a trained network that answers nearly as well.

    First it checks that the network scores on the data. The network itself becomes an int8 file,
    which is often the answer. Then each method is trained at each budget, with the network as
    teacher: on a quarter of the rows, the better half again on half of the rows, and half of these
    on all rows. The file is chosen by its score on the validation rows; the test rows are looked at
    once, at the end. A run that was stopped goes on when it is started again with the same
    arguments.

    Args:
        model: A built plain Keras model that is trained for the data. It is not changed.
        data: The data set; see `fr_bench.data.load`.
        out: The folder for the files: `model.keras`, `model.tflite`, for FR also `model.fr`,
            `result.json`, `report.html`, `MODEL_CARD.md` and `Model.kt`, an example for Android.
            All trials are kept in `trials`.
        max_drop: How much the score may drop, such as 0.01 for a point of accuracy.
        budget: The most bytes of the download; the file with the best score is chosen then, and
            `max_drop` has no effect.
        methods: Names from `fr_bench.candidates.all_candidates()` that have a budget.
        keeps: Budgets: how many kernel weights or coefficients to keep, as counts or fractions.
        minutes: About how long to work; no training begins later.
        scale: The range of pixels that the network takes: see `fr_bench.preflight.preflight`.
        loss: A loss as Keras takes it, in place of the one that fits the labels.
        metric: The name of a score, or a function of labels and outputs: see
            `fr_bench.tasks.find_task`.
        learning_rate: Adam's learning rate at the beginning of each training, which falls to 0.
        seed: The seed of the trainings.
        engine: `"local"` runs one trial after the other in this process; `"ray"` runs several at
            once on a Ray cluster, which finds `out` under the same path on each machine, and has
            this package and what the methods need. The trials are the same, and either goes on
            with a run of the other.
        command: What is stored in the files as the command that made them.
        overwrite: Whether to replace the files of an earlier run with other arguments.
        verbose: Whether to tell on stderr what is done.

    Returns:
        The chosen files, all trials, and the verdict in words.

    Raises:
        ValueError: If an argument is out of range, the model has FR layers, the data do not fit
            it, or it answers hardly better than always the same.
        FileExistsError: If `out` holds a run with other arguments, and `overwrite` is not given.
        RuntimeError: If another run is at work in `out`.
        ImportError: If the extra `report`, or that of a method or of the engine, is not installed.

    Example:

    >>> from fr_bench import data, training
    >>> digits = data.load("digits")
    >>> hidden = keras.layers.Dense(32, activation="relu")
    >>> classes = keras.layers.Dense(10, activation="softmax")
    >>> stack = [keras.Input((28, 28, 1)), keras.layers.Flatten(), hidden, classes]
    >>> network = keras.Sequential(stack)
    >>> regime = training.Regime(epochs=2)
    >>> _ = training.fit(network, digits, regime)
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = compress(
    ...         network, digits, folder, methods=("channels",), keeps=(0.5,), minutes=0.02,
    ...         verbose=False,
    ...     )
    >>> found.chosen.trial.download_bytes < 30_000
    True
    """
    candidates = _checked(methods, keeps, max_drop, budget, minutes)
    check_engine(engine)
    check_plain(model)
    console = Console(stderr=True, quiet=not verbose)
    deadline = time.time() + minutes * 60
    found = preflight(model, data, scale=scale, loss=loss, metric=metric)
    check_trained(found)
    warn_of_missing(found.data)
    with Progress(console=console, transient=True) as progress:
        say = functools.partial(progress.console.print, highlight=False, soft_wrap=True)
        say(f"The network: {found}")
        arguments = {
            "methods": sorted(methods), "keeps": sorted(keeps), "max_drop": max_drop,
            "budget": budget, "minutes": minutes, "learning_rate": learning_rate, "seed": seed,
        }  # fmt: skip
        plan = {**about(model, found), **arguments}
        cells = _plan.cells(methods, keeps)
        batch = _plan.batch_size(len(data.train))
        with alone(Path(out)):
            folder = RunFolder(Path(out), plan, overwrite)
            measure = functools.partial(seconds_per_row, model, found.data, batch)
            pace = folder.value("seconds_per_row", measure)
            epochs = _plan.epochs(minutes, pace, len(data.train), len(cells))
            again = f"; the trials in '{out}' are taken over" if folder.resumed else ""
            say(f"{len(cells)} trials of {epochs} epochs, in about {minutes:g} minutes{again}")
            regime = _regime(found.data, epochs, learning_rate, seed, say)
            rounds = Rounds(
                model, found.data, candidates, regime,
                _goal(found, max_drop, budget), found.chance, folder, deadline, progress, say,
            )  # fmt: skip
            whole = rounds.whole()
            with started(engine, folder.path) as running:
                trials, left_out = rounds.run(cells, running)
            return finish(rounds, found, whole, trials, left_out, Path(out), command, plan)


def _checked(methods, keeps, max_drop: float, budget: int | None, minutes: float) -> dict:
    """Checks the arguments before the work begins, and returns the candidates."""
    report.check_installed()
    known = {name: one for name, one in all_candidates().items() if one.has_budget}
    for argument, given, choices in (("methods", methods, known), ("keeps", keeps, None)):
        if not given or len({*given}) < len(given) or (choices and not {*given} <= {*choices}):
            rule = f"different names out of {tuple(known)}" if choices else "different budgets"
            raise ValueError(f"`{argument}` must hold one or more {rule}. Received: {given}")
    if not 0 < max_drop < 1:
        raise ValueError(f"`max_drop` must be above 0 and below 1. Received: {max_drop}")
    if budget is not None and budget < 1:
        raise ValueError(f"`budget` must be at least one byte. Received: {budget}")
    if not minutes > 0:
        raise ValueError(f"`minutes` must be above 0. Received: {minutes}")
    candidates = {name: known[name] for name in methods}
    for one in candidates.values():
        one.check_installed()
    return candidates


def _goal(found: Preflight, max_drop: float, budget: int | None) -> Goal:
    return Goal(None if budget else found.score.value - max_drop, budget)


def _regime(
    data: Dataset, epochs: int, learning_rate: float, seed: int, say: Callable[[str], None]
) -> Regime:
    share = _DISTILLATION
    if data.train.sample_weight is not None:
        share = 0.0
        say("The rows have weights, which keras.distillation leaves out: no answers of a teacher")
    return Regime(
        epochs=epochs, truncation_epochs=max(1, round(epochs * _TRUNCATION)),
        batch_size=_plan.batch_size(len(data.train)), learning_rate=learning_rate, seed=seed,
        distillation=share, best=True,
    )  # fmt: skip
