"""The demo: a plain network and its FR twin, trained, converted in every mode, and compared."""

import dataclasses
import json
from pathlib import Path

import keras
import numpy as np
from rich.progress import Progress
from rich.table import Table

import fr_keras.report as report
from fr_keras.bands import band_energy
from fr_keras.data import Dataset
from fr_keras.files import check_target, replacing, write_bytes
from fr_keras.layers import TWINS
from fr_keras.rebuild import all_layers, frequency_layers
from fr_keras.regularize import regularize
from fr_keras.summary import summary
from fr_keras.tflite import MODES, Conversion, Runner, convert
from fr_keras.training import EpochProgress, Recipe, fit, network, truncation

_BANDS = 12
# The plain network is shown in the two modes that people would ship.
_FORMS = [("plain", "float32"), ("plain", "int8"), *(("FR", mode) for mode in MODES)]


def run(
    data: Dataset,
    recipe: Recipe,
    folder: Path,
    progress: Progress,
    command: str = "fr_keras.demo.run",
    overwrite: bool = False,
) -> dict:
    """Trains, converts, scores and reports; every file goes to `folder`.

    Args:
        data: The data set; its test split is run once through each file at the end.
        recipe: The training of both networks.
        folder: Where the models, the .tflite files, `results.json` and `report.html` go.
        progress: Shows the epochs and files.
        command: What made the files, stored in them.
        overwrite: Whether files that are there are replaced.

    Returns:
        What `results.json` holds.

    Raises:
        FileExistsError: If a file is there and `overwrite` is false; nothing is trained.
        ImportError: Without the extra `report`.
    """
    report.check_installed()
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*map(_file_name, _FORMS), "fr.keras", "results.json", "report.html"):
        check_target(folder / name, overwrite)
    plain = network(data, recipe.seed)
    models = {"plain": plain, "FR": regularize(plain)}
    histories = _train(models, data, recipe, progress)
    with replacing(folder / "fr.keras", overwrite) as path:
        models["FR"].save(path)
    forms, outputs = _convert_all(models, data, folder, progress, command, overwrite)
    results = {
        "data": data.name,
        "recipe": dataclasses.asdict(recipe),
        "network": summary(models["FR"]).to_dict(),
        "histories": histories,
        "forms": forms,
        "bands": {name: _band_energy(model) for name, model in models.items()},
        "confusion": _confusion(data, outputs["FR int8"]),
    }
    write_bytes(folder / "results.json", json.dumps(results, indent=1).encode(), overwrite)
    kernels = {name: _first_kernel(model) for name, model in models.items()}
    page = report.demo_page(results, kernels, data.labels)
    write_bytes(folder / "report.html", page.encode(), overwrite)
    return results


def _train(models, data: Dataset, recipe: Recipe, progress: Progress) -> dict:
    def bar(name):
        return EpochProgress(progress, name, recipe.epochs)

    return {
        "plain": fit(models["plain"], data, recipe, (bar("plain"),)),
        "FR": fit(models["FR"], data, recipe, (truncation(recipe), bar("FR"))),
    }


def table(results: dict) -> Table:
    """The table of the forms, one row a file."""
    network_ = results["network"]
    title = (
        f"LeNet-5 on {results['data']}: {network_['kept']:,} of "
        f"{network_['kernel_weights']:,} kernel weights kept"
    )
    drawn = Table(title=title)
    for name in ("form", "kept", "file bytes", "accuracy", "latency", "as Keras"):
        drawn.add_column(name, justify="left" if name == "form" else "right", no_wrap=True)
    for form in results["forms"]:
        drawn.add_row(
            form["form"],
            f"{form['kept']:,}",
            f"{form['bytes']:,}",
            f"{form['accuracy']:.2%}",
            f"{form['latency_us']:,.0f} us",
            f"{form['argmax_agreement']:.1%}",
        )
    return drawn


def _file_name(form: tuple[str, str]) -> str:
    return f"{form[0].lower()}_{form[1]}.tflite"


def _convert_all(
    models, data: Dataset, folder: Path, progress: Progress, command: str, overwrite: bool
) -> tuple[list[dict], dict[str, np.ndarray]]:
    """Returns a row for each form, and the outputs of its file on the test split."""
    task = progress.add_task("converting", total=len(_FORMS))
    rows, outputs = [], {}
    for form in _FORMS:
        name, mode = form
        progress.update(task, description=f"{name} to {mode}")
        conversion = convert(
            models[name],
            folder / _file_name(form),
            quantize=mode,
            calibration=data.train.x,
            labels=data.labels,
            normalization=data.normalization,
            command=command,
            overwrite=overwrite,
        )
        runner = Runner(conversion.content)
        outputs[f"{name} {mode}"] = runner.run(data.test.x)
        rows.append(_row(models[name], form, conversion, runner, outputs[f"{name} {mode}"], data))
        progress.advance(task)
    return rows, outputs


def _row(model, form, conversion: Conversion, runner: Runner, outputs, data: Dataset) -> dict:
    sizes = [int(np.prod(layer.kernel.shape)) for layer in _kernel_layers(model)]
    return {
        "form": " ".join(form),
        "kept": summary(model).kept or sum(sizes),
        "bytes": len(conversion.content),
        "accuracy": float(np.mean(outputs.argmax(-1) == data.test.y)),
        "latency_us": runner.latency() * 1e6,
        "argmax_agreement": conversion.agreement.argmax,
        "largest_difference": conversion.agreement.largest,
    }


def _kernel_layers(model: keras.Model) -> list[keras.layers.Layer]:
    return frequency_layers(model) or [layer for layer in all_layers(model) if type(layer) in TWINS]


def _band_energy(model: keras.Model) -> list[float]:
    """Share of all kernels' energy in each band, low to high; a plain model by its FR twin."""
    layers = frequency_layers(model) or frequency_layers(regularize(model))
    energy = sum(band_energy(layer.kept_coefficients(), _BANDS) for layer in layers)
    return [float(share) for share in energy / energy.sum()]


def _confusion(data: Dataset, outputs: np.ndarray) -> list[list[int]]:
    counts = np.zeros((len(data.labels), len(data.labels)), int)
    np.add.at(counts, (data.test.y, outputs.argmax(-1)), 1)
    return counts.tolist()


def _first_kernel(model: keras.Model) -> np.ndarray:
    """The filters of the first layer, `(filters, height, width)`, of the first input channel."""
    kernel = keras.ops.convert_to_numpy(_kernel_layers(model)[0].kernel)
    return kernel[:, :, 0, :].transpose(2, 0, 1)
