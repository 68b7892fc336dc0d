"""Trains one network with several candidates and compares the files that they give."""

import dataclasses
import json

import keras
from rich.progress import Progress

import fr_bench.report as report
from fr_archive.files import replacing
from fr_bench._words import about_drawn, conclusion
from fr_bench.candidates import (
    USUAL,
    Candidate,
    Need,
    Trained,
    all_candidates,
    check_choice,
    chosen_candidates,
)
from fr_bench.data import Dataset
from fr_bench.forms import ARCHIVES, Form, Output, write_archives, write_forms
from fr_bench.missing import warn_of_missing
from fr_bench.preflight import Preflight, check_plain, preflight
from fr_bench.tasks import Metric
from fr_bench.training import Regime

#: The default quantization modes of a comparison.
MODES = ("float32", "dynamic", "int8")
_TRAINING = ("kept", "seconds", "rows", "history")


def compare(
    model: keras.Model,
    data: Dataset,
    output: Output,
    progress: Progress,
    methods: tuple[str, ...] = tuple(USUAL),
    keeps: tuple[int | float, ...] = (0.01,),
    modes: tuple[str, ...] = MODES,
    regime: Regime = Regime(),  # noqa: B008 - frozen
    *,
    scale: str | None = None,
    loss: object = None,
    metric: Metric | None = None,
) -> dict:
    """Trains a network with each candidate at each budget, and scores the files.

    Every training starts from the current weights of `model`, with the same epochs, batches and
    learning rates. Scores are those of the files, run with LiteRT on the test split. An FR network
    also becomes two archives: one that Keras reads, and one with a skeleton, from which a device
    makes the int8 file. The results also say what each training took: seconds, and training rows
    seen.

    Args:
        model: A built plain Keras model. It is not changed.
        data: The data set to train and score on.
        output: The folder for the files, the trained networks as `.keras` files, `results.json` and
            `compare.html`.
        progress: Shows the progress of trainings and conversions.
        methods: Names from `fr_bench.candidates.all_candidates()`.
        keeps: Budgets: how many kernel weights or coefficients to keep, as counts or fractions.
        modes: Quantization modes, as `fr_keras.tflite.convert` takes them; each candidate skips
            those that make no sense for it.
        regime: The training regime; its `keep` is replaced by each of `keeps`.
        scale: The range of pixels that the network takes: see `fr_bench.preflight.preflight`.
        loss: A loss as Keras takes it, in place of the one that fits the labels.
        metric: The name of a score, or a function of labels and outputs: see
            `fr_bench.tasks.find_task`.

    Returns:
        The contents of `results.json`.

    Raises:
        ValueError: If an argument is out of range, the model does not fit the data, or a candidate
            needs a trained model and `model` is not trained.
        FileExistsError: If a file exists and must not be replaced; nothing is trained then.
        ImportError: If the extra `report`, or the extra of a candidate, is not installed.
        RuntimeError: If a candidate of another package fails.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from fr_bench import data
    >>> digits = data.load("digits")
    >>> classes = keras.layers.Dense(10, activation="softmax")
    >>> network = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), classes])
    >>> regime = Regime(epochs=1, truncation_epochs=1)
    >>> with tempfile.TemporaryDirectory() as folder, Progress(disable=True) as progress:
    ...     output = Output(Path(folder), "an example")
    ...     given = (network, digits, output, progress, ("FR",), (0.05,), ("int8",), regime)
    ...     results = compare(*given)
    >>> [form["form"] for form in results["forms"]], results["trainings"][0]["rows"]
    (['FR 0.05 int8', 'FR 0.05 archive', 'FR 0.05 archive+int8'], 1293)
    """
    candidates = _checked(methods, keeps, modes)
    check_plain(model)
    found = preflight(model, data, scale=scale, loss=loss, metric=metric)
    warn_of_missing(found.data)
    needy = [name for name, one in candidates.items() if Need.TRAINED in one.needs]
    if needy:
        _check_trained(found, needy)
    budgets = [
        (name, keep)
        for name, one in candidates.items()
        for keep in (keeps if one.has_budget else (None,))
    ]
    forms = [
        Form(name, mode, keep)
        for name, keep in budgets
        for mode in modes
        if mode in candidates[name].modes
    ]
    # An archive makes an int8 file.
    archives = [
        Form(name, mode, keep)
        for name, keep in budgets
        for mode in ARCHIVES
        if "int8" in candidates[name].modes
    ]
    _prepare(output, budgets, [*forms, *archives])
    trained = {}
    for name, keep in budgets:
        form = Form(name, "", keep)
        one = regime if keep is None else dataclasses.replace(regime, keep=keep)
        made = _train(candidates[name], model, found.data, one, progress, form.trained)
        trained[form.trained] = made
        with replacing(output.folder / form.model, output.overwrite) as path:
            made.model.save(path)
    rows, _ = write_forms(trained, forms, found.data, output, progress)
    packed, left_out = write_archives(trained, archives, found.data, output, progress)
    titles = [Form(name, "", keep).trained for name, keep in budgets]
    rows = sorted(
        [*rows, *packed],
        key=lambda row: titles.index(Form(row["method"], "", row["keep"]).trained),
    )
    results = _results(model, found, rows, trained, left_out)
    results["regime"] = {**dataclasses.asdict(regime), "keep": list(keeps)}
    output.write("results.json", json.dumps(results, indent=1))
    output.write("compare.html", report.compare_page(results))
    return results


def _prepare(output: Output, budgets: list[tuple], forms: list[Form]) -> None:
    """Checks all files; which networks become archives is only known when they are made."""
    models = [Form(name, "", keep).model for name, keep in budgets]
    files = [form.file for form in forms]
    output.prepare(*files, *models, "results.json", "compare.html")


def _results(
    model: keras.Model,
    found: Preflight,
    rows: list[dict],
    trained: dict[str, Trained],
    left_out: list[str],
) -> dict:
    metric = found.task.metric_name
    words = [conclusion(rows, metric)]
    words += [about_drawn(found.data.drawn)] if found.data.drawn and not found.is_at_chance else []
    return {
        "model": model.name,
        "data": found.data.name,
        "task": str(found.task),
        "metric": metric,
        "scaling": found.scaling,
        "before": dataclasses.asdict(found.score),
        "chance": found.chance,
        "drawn": list(found.data.drawn),
        "conclusion": words,
        "left_out": left_out,
        "trainings": [
            {"title": title, **{key: getattr(one, key) for key in _TRAINING}}
            for title, one in trained.items()
        ],
        "forms": rows,
    }


def _train(
    candidate: Candidate,
    model: keras.Model,
    data: Dataset,
    regime: Regime,
    progress: Progress,
    title: str,
) -> Trained:
    try:
        trained = candidate.train(model, data, regime, progress, title)
    except Exception as error:
        if candidate in USUAL.values():
            raise
        raise RuntimeError(
            f"the candidate '{title}' of {type(candidate).__module__} failed: "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(trained, Trained):
        raise ValueError(
            f"`train` of the candidate '{title}' must return fr_bench.Trained. "
            f"Received: {type(trained).__name__}"
        )
    return trained


def _checked(methods, keeps, modes) -> dict[str, Candidate]:
    """Checks the arguments before the work begins, and returns the chosen candidates."""
    report.check_installed()
    check_choice("methods", methods, tuple(all_candidates()))
    if not keeps or len(set(keeps)) < len(keeps):
        raise ValueError(f"`keeps` must hold one or more different budgets. Received: {keeps}")
    return chosen_candidates(methods, modes)


def _check_trained(found: Preflight, names: list[str]) -> None:
    """Refuses a network that is no better than always answering the same."""
    if found.is_at_chance:
        raise ValueError(
            f"`model` must be trained before {', '.join(names)} can use it: train it first. "
            f"Received: a network with {found.task.metric_name} {found.score} on the validation "
            f"rows, where always the same answer has {found.chance:.4f}"
        )
