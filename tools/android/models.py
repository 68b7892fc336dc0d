"""Puts the models of the app into its assets, with an index that describes each of them.

    PYTHONPATH=. python tools/android/models.py

The models are files of `tflite_models`, and each archive of `android_demo/models` in three forms:
the archive itself, the factored int8 file that it makes, and the dense file of the same network.
The archives of nested networks are there as archives alone, with an entry for each capacity: its
share, and its profile as the archive has it.
Labels and the constants of preprocessing are read from the metadata of each flatbuffer. Beside each
flatbuffer there are rows of the data and the outputs of the reference of `fr-keras benchmark`, with
which the app compares its own outputs. The folder is rewritten each time, and is not in git.
"""

import hashlib
import io
import json
import shutil
from pathlib import Path

import numpy as np
from nested_networks import RECIPES

import fr_archive
from fr_bench import data
from fr_bench.benchmark import process
from fr_bench.benchmark.result import REFERENCE
from fr_keras import load_archive, tflite

ROOT = Path(__file__).resolve().parents[2]
ARCHIVES = ROOT / "android_demo" / "models"
ASSETS = ROOT / "android_demo" / "app" / "src" / "main" / "assets" / "models"
#: Files of `tflite_models` -> form. The first is the one that the screen begins with.
PUBLISHED = {"mnist_fr_776_int8.tflite": "factored", "mnist_plain_int8.tflite": "dense"}
#: Archive -> task of the app and data set, for the calibration of the dense twin.
TASKS = {"digits": "digits", "shapes": "segmentation"}
#: Nested networks -> what people call them, and the task whose pictures they take.
NESTED = {
    "nested_digits": ("Digits", "digits"),
    "nested_shapes": ("Shapes", "segmentation"),
    "nested_parity": ("Even or odd", "digits"),
}
#: What the scheduler reads of a profile.
FIGURES = ("accuracy", "memory", "latency_ms")
#: How many rows outputs are compared on.
ROWS = 4


def reference(content: bytes, x: np.ndarray) -> bytes:
    """Rows in a flatbuffer's own types, and behind them its outputs by the CPU reference."""
    inputs = tflite.Runner(content).own([x])
    outputs = process.work(content, inputs, REFERENCE).outputs
    return b"".join(part.tobytes() for part in (*inputs, *outputs))


def entry(
    content: bytes, name: str, network: str, task: str, form: str, runs: bytes, x: np.ndarray
) -> dict:
    """Writes a file, and returns its line of the index.

    Args:
        content: The file.
        name: Its name.
        network: The network that it holds; files of one compute the same.
        task: "digits" or "segmentation".
        form: "dense", "factored" or "archive".
        runs: The flatbuffer that runs in the end.
        x: Rows for it, of which some are taken.
    """
    (ASSETS / name).write_bytes(content)
    metadata = tflite.inspect(runs).metadata
    rows = f"{hashlib.sha256(runs).hexdigest()[:16]}.rows"
    (ASSETS / rows).write_bytes(reference(runs, x[:: len(x) // ROWS][:ROWS]))
    return {
        "file": name,
        "network": network,
        "task": task,
        "form": form,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "reference": rows,
        "labels": metadata["labels"],
        "normalization": metadata["normalization"],
    }


def dense(archive: Path, like: bytes, x: np.ndarray) -> bytes:
    """The dense int8 twin of an archive, with the metadata of its factored file."""
    metadata = tflite.inspect(like).metadata
    normalization = metadata["normalization"]
    return tflite.convert(
        load_archive(archive),
        quantize="int8",
        form="dense",
        calibration=x[:96],
        labels=metadata["labels"],
        normalization=(normalization["scale"], normalization["offset"]),
        command="python tools/android/models.py",
    ).content


def nested(name: str) -> dict:
    """Writes the archive of a nested network; returns its part of the index."""
    title, task = NESTED[name]
    x = data.load(RECIPES[name].source).test.inputs()
    archive = (ARCHIVES / f"{name}.fr").read_bytes()
    capacities = []
    for one in fr_archive.stream(io.BytesIO(archive)):
        line = entry(archive, f"{name}.fr", name, task, "archive", fr_archive.expand(one), x)
        share, profile = one.profile["share"], {key: one.profile[key] for key in FIGURES}
        capacities.append({**line, "share": share, "profile": profile})
    return {"network": name, "title": title, "capacities": capacities}


def main() -> None:
    shutil.rmtree(ASSETS, ignore_errors=True)
    ASSETS.mkdir(parents=True)
    entries = []
    for name, form in PUBLISHED.items():
        content = (ROOT / "tflite_models" / name).read_bytes()
        # They were trained on other digits, of the same size.
        x = data.load("digits").test.inputs()
        entries.append(entry(content, name, Path(name).stem, "digits", form, content, x))
    for name, task in TASKS.items():
        path, found = ARCHIVES / f"{name}.fr", data.load(name)
        archive = path.read_bytes()
        factored = fr_archive.expand(fr_archive.decode(archive))
        twin = dense(path, factored, found.train.inputs())
        for form, file, content, runs in (
            ("archive", f"{name}.fr", archive, factored),
            ("factored", f"{name}_factored_int8.tflite", factored, factored),
            ("dense", f"{name}_dense_int8.tflite", twin, twin),
        ):
            entries.append(entry(content, file, name, task, form, runs, found.test.inputs()))
    networks = [nested(name) for name in NESTED]
    index = {"format": "fr-keras-models", "version": 1, "files": entries, "nested": networks}
    (ASSETS / "index.json").write_text(json.dumps(index, indent=1) + "\n")
    for one in [*entries, *(network["capacities"][-1] for network in networks)]:
        print(f"{one['file']:34} {one['task']:13} {one['form']:9} {one['bytes']:>9,} bytes")


if __name__ == "__main__":
    main()
