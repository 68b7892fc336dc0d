"""The demo: a plain, an FR and a pruned network, trained, converted and compared."""

import dataclasses
import json

import keras
import numpy as np
from rich.progress import Progress

import fr_bench.report as report
from fr_archive.files import replacing
from fr_bench.candidates import USUAL
from fr_bench.data import Dataset
from fr_bench.forms import ARCHIVES, Form, Output, write_archives, write_forms
from fr_bench.preflight import preflight, usual_scale
from fr_bench.training import Regime, network
from fr_keras.callbacks import band_energy
from fr_keras.layers import TWINS
from fr_keras.models.summaries import summary
from fr_keras.models.twins import regularize
from fr_keras.models.walk import all_layers, frequency_layers, rebuild
from fr_keras.tflite import MODES

_BANDS = 12
# The other methods appear only in the modes that people would ship.
_FORMS = [
    *(Form(name, mode) for name in USUAL if name != "FR" for mode in ("float32", "int8")),
    *(Form("FR", mode) for mode in MODES),
]
_ARCHIVES = [Form("plain", ARCHIVES[-1]), *(Form("FR", mode) for mode in ARCHIVES)]


def run(data: Dataset, regime: Regime, output: Output, progress: Progress) -> dict:
    """Trains LeNet-5 with each usual candidate, converts and scores it, and writes a report.

    Args:
        data: The data set; its test split is run once through each file, at the end.
        regime: The training regime of every network.
        output: The folder for the FR model, the .tflite files, the archives, `results.json` and
            `report.html`.
        progress: Shows the progress of trainings and conversions.

    Returns:
        The contents of `results.json`.

    Raises:
        FileExistsError: If a file exists and must not be replaced; nothing is trained then.
        ImportError: If the extra `report` is not installed.
    """
    report.check_installed()
    for candidate in USUAL.values():
        candidate.check_installed()
    output.prepare(
        *(form.file for form in [*_FORMS, *_ARCHIVES]), "fr.keras", "results.json", "report.html"
    )
    untrained = network(data, regime.seed)
    data = preflight(untrained, data, scale=usual_scale(data)).data
    trained = {
        name: candidate.train(untrained, data, regime, progress, name)
        for name, candidate in USUAL.items()
    }
    models = {name: trained[name].model for name in ("plain", "FR")}
    with replacing(output.folder / "fr.keras", output.overwrite) as path:
        models["FR"].save(path)
    forms, outputs = write_forms(trained, _FORMS, data, output, progress)
    packed, _ = write_archives(trained, _ARCHIVES, data, output, progress)
    results = {
        "data": data.name,
        "metric": data.task.metric_name,
        "regime": dataclasses.asdict(regime),
        "network": summary(models["FR"]).to_dict(),
        "histories": {name: one.history for name, one in trained.items()},
        "forms": [*forms, *packed],
        "bands": {name: _band_energy(model) for name, model in models.items()},
        "confusion": _confusion(data, outputs["FR int8"]),
    }
    output.write("results.json", json.dumps(results, indent=1))
    kernels = {name: _first_kernel(model) for name, model in models.items()}
    output.write("report.html", report.demo_page(results, kernels, data.labels))
    return results


def title(results: dict) -> str:
    """Returns the title of the demo's table."""
    network_ = results["network"]
    return (
        f"LeNet-5 on {results['data']}: {network_['kept']:,} of "
        f"{network_['kernel_weights']:,} kernel weights kept"
    )


def _kernel_layers(model: keras.Model) -> list[keras.layers.Layer]:
    return frequency_layers(model) or [layer for layer in all_layers(model) if type(layer) in TWINS]


def _band_energy(model: keras.Model) -> list[float]:
    """The share of the energy of all kernels in each band, low to high; for a plain model, that of
    its FR twin."""
    # A copy without an optimizer, so that `regularize` does not ask for another order of channels.
    layers = frequency_layers(model) or frequency_layers(
        regularize(rebuild(model, lambda layer: None))
    )
    energy = sum(
        band_energy(layer.kept_coefficients(), _BANDS, layer.spectrum_shape) for layer in layers
    )
    return [float(share) for share in energy / energy.sum()]


def _confusion(data: Dataset, outputs: np.ndarray) -> list[list[int]]:
    counts = np.zeros((len(data.labels), len(data.labels)), int)
    np.add.at(counts, (data.test.y, outputs.argmax(-1)), 1)
    return counts.tolist()


def _first_kernel(model: keras.Model) -> np.ndarray:
    """The filters of the first layer, `(filters, height, width)`, of the first input channel."""
    kernel = keras.ops.convert_to_numpy(_kernel_layers(model)[0].kernel)
    return kernel[:, :, 0, :].transpose(2, 0, 1)
