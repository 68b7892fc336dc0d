"""Trains one network with several candidates and compares the files that they give."""

import dataclasses
import json
import math

import keras
import numpy as np
from rich.progress import Progress

import fr_bench.report as report
from fr_bench.candidates import USUAL, Candidate, Need, Trained, all_candidates
from fr_bench.data import Dataset
from fr_bench.forms import Form, Output, write_forms
from fr_bench.training import Regime
from fr_keras import tflite

#: The default quantization modes of a comparison.
MODES = ("float32", "dynamic", "int8")
_PROBED, _BATCH = 8, 128
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
) -> dict:
    """Trains a network with each candidate at each budget, and scores the files.

    Every training starts from the current weights of `model`, with the same epochs, batches and
    learning rates. Accuracies are those of the files, run with LiteRT on the test split. The
    results also say what each training took: seconds, and training rows seen.

    Args:
        model: A built plain classifier that ends in a softmax.
        data: The data set to train and score on.
        output: The folder for the files, `results.json` and `compare.html`.
        progress: Shows the progress of trainings and conversions.
        methods: Names from `fr_bench.candidates.all_candidates()`.
        keeps: Budgets: how many kernel weights or coefficients to keep, as counts or fractions.
        modes: Quantization modes, as `fr_keras.tflite.convert` takes them; each candidate skips
            those that make no sense for it.
        regime: The training regime; its `keep` is replaced by each of `keeps`.

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
    >>> from fr_bench import data, training
    >>> digits = data.load("digits")
    >>> regime = Regime(epochs=1, truncation_epochs=1)
    >>> with tempfile.TemporaryDirectory() as folder, Progress(disable=True) as progress:
    ...     output = Output(Path(folder), "an example")
    ...     network = training.network(digits, seed=0)
    ...     given = (network, digits, output, progress, ("FR",), (0.05,), ("int8",), regime)
    ...     results = compare(*given)
    >>> [form["form"] for form in results["forms"]], results["trainings"][0]["rows"]
    (['FR 0.05 int8'], 1293)
    """
    candidates = _checked(model, data, methods, keeps, modes)
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
    output.prepare(*(form.file for form in forms), "results.json", "compare.html")
    trained = {}
    for name, keep in budgets:
        title = Form(name, "", keep).trained
        one = regime if keep is None else dataclasses.replace(regime, keep=keep)
        trained[title] = _train(candidates[name], model, data, one, progress, title)
    rows, _ = write_forms(trained, forms, data, output, progress)
    results = {
        "model": model.name,
        "data": data.name,
        "regime": {**dataclasses.asdict(regime), "keep": list(keeps)},
        "trainings": [
            {"title": title, **{key: getattr(one, key) for key in _TRAINING}}
            for title, one in trained.items()
        ],
        "forms": rows,
    }
    output.write("results.json", json.dumps(results, indent=1))
    output.write("compare.html", report.compare_page(results))
    return results


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


def _checked(model: keras.Model, data: Dataset, methods, keeps, modes) -> dict[str, Candidate]:
    """Checks the arguments before the work begins, and returns the chosen candidates."""
    report.check_installed()
    known = all_candidates()
    _check_choice("methods", methods, tuple(known))
    _check_choice("modes", modes, tflite.MODES)
    if not keeps or len(set(keeps)) < len(keeps):
        raise ValueError(f"`keeps` must hold one or more different budgets. Received: {keeps}")
    candidates = {name: known[name] for name in methods}
    for name, one in candidates.items():
        one.check_installed()
        if not {*modes} & {*one.modes}:
            raise ValueError(
                f"`modes` must have at least one that makes sense for '{name}', out of "
                f"{tuple(one.modes)}. Received: {modes}"
            )
    _check_model(model, data)
    needy = [name for name, one in candidates.items() if Need.TRAINED in one.needs]
    if needy:
        _check_trained(model, data, needy)
    return candidates


def _check_choice(argument: str, chosen: tuple[str, ...], choices: tuple[str, ...]) -> None:
    if not chosen or len(set(chosen)) < len(chosen) or not {*chosen} <= {*choices}:
        raise ValueError(
            f"`{argument}` must hold one or more different names out of {choices}. "
            f"Received: {chosen}"
        )


def _check_model(model: keras.Model, data: Dataset) -> None:
    shapes = data.train.x.shape[1:], len(data.labels)
    if data.train.y.ndim != 1 or (model.input_shape[1:], *model.output_shape[1:]) != shapes:
        raise ValueError(
            f"`model` must take images of shape {shapes[0]} and give {shapes[1]} classes to fit "
            f"'{data.name}'. Received: {model.input_shape[1:]} to {model.output_shape[1:]}"
        )
    outputs = keras.ops.convert_to_numpy(model(data.train.inputs(slice(_PROBED)), training=False))
    if outputs.min() < 0 or not np.allclose(outputs.sum(-1), 1, atol=1e-2):
        raise ValueError(
            "`model` must end in a softmax, because it is trained on probabilities. Received: "
            f"outputs from {outputs.min():.3g} to {outputs.max():.3g}"
        )


def _check_trained(model: keras.Model, data: Dataset, names: list[str]) -> None:
    """Refuses a network that is no better than always answering the most frequent class."""
    y = data.validation.y
    outputs = model.predict(data.validation.batches(_BATCH), verbose=0)
    accuracy, chance = np.mean(outputs.argmax(-1) == y), np.bincount(y).max() / len(y)
    if accuracy <= chance + 2 * math.sqrt(chance * (1 - chance) / len(y)):
        raise ValueError(
            f"`model` must be trained before {', '.join(names)} can use it: train it first. "
            f"Received: a network that is right on {accuracy:.1%} of the validation rows, where "
            f"always answering the most frequent class is right on {chance:.1%}"
        )
