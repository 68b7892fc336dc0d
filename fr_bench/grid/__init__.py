"""The grid of a survey: rates of pruning, widths of numbers, and methods, measured alike."""

import dataclasses
import functools
from pathlib import Path

import keras
from rich.console import Console
from rich.progress import Progress

import fr_bench.report as report
from fr_archive.files import write_bytes
from fr_bench._alone import alone
from fr_bench._cluster import check_engine, connected
from fr_bench._runs import about
from fr_bench.benchmark.run import Phone
from fr_bench.candidates import Candidate, all_candidates, check_choice, chosen_candidates
from fr_bench.data import Dataset
from fr_bench.grid._answers import answers
from fr_bench.grid._engines import train_on
from fr_bench.grid._folder import PAGE, GridFolder
from fr_bench.grid._plan import PLAIN, PRUNING, cells
from fr_bench.grid._run import Run, aware_epochs
from fr_bench.grid._targets import Targets
from fr_bench.missing import warn_of_missing
from fr_bench.preflight import Preflight, check_plain, check_trained, preflight
from fr_bench.tasks import Metric
from fr_bench.training import Regime
from fr_keras.tflite import MODES

__all__ = ["METHODS", "RATES", "grid"]

#: The shares of the kernel weights that are removed by default: those of the survey, and none.
RATES = (0.9, 0.8, 0.7, 0.0)
#: The methods by default: pruning of single weights and of channels, and one to beat.
METHODS = (*PRUNING, "narrow")
_EPOCHS, _LEARNING_RATE, _TRUNCATION, _RUNS = 10, 1e-3, 0.7, 50


def grid(
    model: keras.Model,
    data: Dataset,
    out: str | Path,
    rates: tuple[float, ...] = RATES,
    methods: tuple[str, ...] = METHODS,
    modes: tuple[str, ...] = MODES,
    targets: tuple[str, ...] = ("host",),
    *,
    epochs: int = _EPOCHS,
    learning_rate: float = _LEARNING_RATE,
    seed: int = 0,
    scale: str | None = None,
    loss: object = None,
    metric: Metric | None = None,
    phone: Phone = Phone(),  # noqa: B008 - frozen
    engine: str = "local",
    command: str = "fr_bench.grid",
    overwrite: bool = False,
    verbose: bool = True,
) -> dict:
    """Measures a trained network in all combinations of pruning and quantization.

    Each method is trained at each rate for the same epochs, and so is the network without pruning,
    for rate 0. All start from the weights of `model`, except `"narrow"`, which starts from new
    ones, and `"elm"`, which is solved without epochs. The network of a training becomes a file in
    each mode. If `"int8"` is among them, it trains on for one more int8 file, with the rounding of
    that file, for a quarter of the epochs.
    Every file is scored on the test rows, and measured on each target.

    The 18 models of the survey of He et al. are marked: three rates in four modes, the same in
    float32, two files that are only quantized, and the one without either. Their pruning is
    `"pruning"`, or `"channels"` where that is not among the methods.

    A run that was stopped, or whose target was not there, goes on when it is started again with
    the same arguments. A power that a target does not tell, or that is 0 or below, is absent.

    Args:
        model: A built plain Keras model that is trained for the data. It is not changed.
        data: The data set; see `fr_bench.data.load`.
        out: The folder for `grid.json`, which is rewritten after each cell, for `grid.html`, which
            is written at the end, also after a stop by Ctrl-C or an error, and for all networks and
            files.
        rates: The shares of the kernel weights that are removed, from 0 to below 1.
        methods: Names from `fr_bench.candidates.all_candidates()`; a method without a budget has no
            rates.
        modes: Quantization modes, as `fr_keras.tflite.convert` takes them; each method skips those
            that make no sense for it.
        targets: Where the files are measured: `"host"`, `"arm64"`, `"gpu"`, `"android"`.
        epochs: Epochs of each training.
        learning_rate: Adam's learning rate at the beginning of each training, which falls to 0.
        seed: The seed of the trainings.
        scale: The range of pixels that the network takes: see `fr_bench.preflight.preflight`.
        loss: A loss as Keras takes it, in place of the one that fits the labels.
        metric: The name of a score, or a function of labels and outputs: see
            `fr_bench.tasks.find_task`.
        phone: How to reach the phone, for the target `"android"`.
        engine: `"local"` trains one network after the other in this process; `"ray"` trains several
            at once on a Ray cluster that finds `out` under the same path, as for
            `fr_bench.compress`, and then measures the files here.
            Either goes on with a run of the other.
        command: What is stored in the files as the command that made them.
        overwrite: Whether to replace the cells of a run with other arguments.
        verbose: Whether to tell on stderr what is done.

    Returns:
        The contents of `grid.json`. A cell is `done`, `failed` or `open`, and `why` says why.

    Raises:
        ValueError: If an argument is out of range, the model has FR layers, the data do not fit
            it, or it answers hardly better than always the same.
        FileExistsError: If `out` holds a run with other arguments, and `overwrite` is not given.
        RuntimeError: If none of the targets is there, or another run is at work in `out`.
        ImportError: If the extra `report`, or that of a method or of the engine, is not installed.

    Example:

    >>> from fr_bench import data, training
    >>> digits = data.load("digits")
    >>> classes = keras.layers.Dense(10, activation="softmax")
    >>> network = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), classes])
    >>> _ = training.fit(network, digits, training.Regime(epochs=1))
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = grid(
    ...         network, digits, folder, (0.9,), ("pruning",), ("float32",), epochs=1,
    ...         verbose=False,
    ...     )
    >>> [(one["name"], one["state"]) for one in found["cells"]]
    [('pruning 90 % float32', 'done')]
    """
    candidates = _checked(rates, methods, modes, epochs)
    check_engine(engine)
    check_plain(model)
    console = Console(stderr=True, quiet=not verbose)
    with Progress(console=console, transient=True) as progress:
        say = functools.partial(progress.console.print, highlight=False, soft_wrap=True)
        there = Targets(targets, _RUNS, phone, say)
        found = preflight(model, data, scale=scale, loss=loss, metric=metric)
        check_trained(found)
        warn_of_missing(found.data)
        say(f"The network: {found}")
        plan = {
            **about(model, found), "rates": sorted(rates), "methods": sorted(methods),
            "modes": sorted(modes), "targets": sorted(targets), "epochs": epochs,
            "learning_rate": learning_rate, "seed": seed,
        }  # fmt: skip
        regime = Regime(
            epochs=epochs, truncation_epochs=max(1, round(epochs * _TRUNCATION)),
            learning_rate=learning_rate, seed=seed,
        )  # fmt: skip
        with alone(Path(out)):
            planned, facts = cells(rates, modes, candidates), _facts(model, found, plan, command)
            folder = GridFolder(Path(out), plan, facts, planned, command, overwrite)
            again = f"; the cells in '{out}' are taken over" if folder.resumed else ""
            say(f"{len(planned)} cells, trainings of {epochs} epochs{again}")
            run = Run(model, found.data, candidates, regime, folder, there, progress, say)
            try:
                if engine == "ray":
                    with connected(folder.path) as cluster:
                        train_on(cluster, run, planned)
                run.run(planned)
            finally:  # after a stop there is a page, too
                results = _finished(folder)
        return results


def _checked(rates, methods, modes, epochs: int) -> dict[str, Candidate]:
    """Checks the arguments before the work begins, and returns the candidates, with `PLAIN`."""
    report.check_installed()
    others = tuple(name for name in all_candidates() if name != PLAIN)
    check_choice("methods", methods, others)
    shown = {f"{100 * rate:g}" for rate in rates}  # as in the names of cells
    if not rates or len(shown) < len(rates) or not all(0 <= rate < 1 for rate in rates):
        raise ValueError(
            "`rates` must hold one or more different shares of the weights that are removed, from "
            f"0, which is the network without pruning, to below 1. Received: {rates}"
        )
    if epochs < 1:
        raise ValueError(f"`epochs` must be at least 1. Received: {epochs}")
    return chosen_candidates((PLAIN, *methods), modes)


def _facts(model: keras.Model, found: Preflight, plan: dict, command: str) -> dict:
    """What the results say beside the cells."""
    return {
        "network": model.name, "command": command, "arguments": plan, "data": found.data.name,
        "task": str(found.task), "metric": found.task.metric_name, "scaling": found.scaling,
        "before": dataclasses.asdict(found.score), "chance": found.chance,
        "drawn": list(found.data.drawn), "epochs": plan["epochs"],
        "epochs_in_training": aware_epochs(plan["epochs"]),
    }  # fmt: skip


def _finished(folder: GridFolder) -> dict:
    """Writes the answers and the page."""
    results = folder.results
    results["answers"] = answers(results)
    folder.write(answers=results["answers"])
    write_bytes(folder.path / PAGE, report.grid_page(results).encode(), overwrite=True)
    return results
