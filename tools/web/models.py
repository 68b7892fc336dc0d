"""Puts the networks of the page into a folder, with an index that describes each of them.

    PYTHONPATH=. python tools/web/models.py build/web/demo/models

They are the archives of `android_demo/models`, with a skeleton whose file takes and gives float32,
because the runtime for browsers takes no other, and for each the float32 file and the dense int8
file of the same network. The U-Net is there for larger pictures, too, with the same coefficients.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np

from fr_bench import data, page
from fr_keras import load_archive, save_archive, tflite

ARCHIVES = Path(__file__).resolve().parents[2] / "android_demo" / "models"
#: The archives, which have the names of their data sets.
NAMES = ("digits", "shapes")
#: Names of classes that a data set does not have.
LABELS = {"shapes": ("ground", "shape")}
#: Further sides of the pictures of a network that takes any size.
SIDES = {"shapes": (128, 256)}
#: How many rows ranges come from, and how many outputs are compared on.
CALIBRATING, ROWS = 96, 4
COMMAND = "python tools/web/models.py"


def files(name: str) -> Iterator[tuple[str, str, bytes, np.ndarray]]:
    """Yields the files of a network: name, form, content and rows to compare outputs on."""
    found, model = data.load(name), load_archive(ARCHIVES / f"{name}.fr")
    x = found.test.inputs()
    rows = x[:: len(x) // ROWS][:ROWS]
    options = {
        "labels": LABELS.get(name, found.labels),
        "normalization": found.normalization,
        "command": COMMAND,
    }
    int8 = {**options, "calibration": found.train.inputs(slice(CALIBRATING)), "float_io": True}
    yield f"{name}.fr", "archive, int8", archive(model, int8), rows
    for side in SIDES.get(name, ()):
        more = side // x.shape[1]
        calibration = tiled(found.train.inputs(), more, CALIBRATING // more**2)
        content = archive(sized(model, side), {**int8, "calibration": calibration})
        yield f"{name}_{side}.fr", "archive, int8", content, tiled(x, more, ROWS)
    for file, form, settings in (
        (f"{name}_float32.tflite", "factored, float32", options),
        (f"{name}_dense_int8.tflite", "dense, int8", {**int8, "quantize": "int8", "form": "dense"}),
    ):
        yield file, form, tflite.convert(model, **settings).content, rows


def archive(model: keras.Model, skeleton: dict) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "model.fr"
        save_archive(model, target, step=0.005, error=0.01, skeleton=skeleton)
        return target.read_bytes()


def sized(model: keras.Model, side: int) -> keras.Model:
    """The network for square pictures of another size."""
    shape = (side, side, model.input_shape[-1])
    larger = keras.models.clone_model(model, keras.Input(shape, name=model.inputs[0].name))
    larger.set_weights(model.get_weights())
    return larger


def tiled(x: np.ndarray, more: int, count: int) -> np.ndarray:
    """Pictures of `more` rows and columns of the first ones."""
    parts = x[: count * more**2].reshape(count, more, more, *x.shape[1:])
    return parts.swapaxes(2, 3).reshape(count, more * x.shape[1], more * x.shape[2], -1)


def write(folder: Path) -> None:
    """Writes the files and the index."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for name in NAMES:
        for file, form, content, rows in files(name):
            one = page.bundled(file, content, form, rows)
            (folder / file).write_bytes(content)
            (folder / one.line["reference"]).write_bytes(one.rows)
            found.append(one)
            print(f"{file:28} {form:18} {len(content):>9,} bytes", flush=True)
    (folder / "index.json").write_bytes(page.index(found))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    write(parser.parse_args().folder)
    sys.exit(0)
