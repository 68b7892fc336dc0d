"""Puts the networks of the page into a folder, with an index that describes each of them.

    PYTHONPATH=. python tools/web/models.py build/web/demo/models

They are the archives of `android_demo/models`, with a skeleton whose file takes and gives float32,
because the runtime for browsers takes no other, and for each the float32 file and the dense int8
file of the same network.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fr_bench import data, page
from fr_keras import load_archive, save_archive, tflite

ARCHIVES = Path(__file__).resolve().parents[2] / "android_demo" / "models"
#: The archives, which have the names of their data sets.
NAMES = ("digits", "shapes")
#: Names of classes that a data set does not have.
LABELS = {"shapes": ("ground", "shape")}
#: How many rows outputs are compared on.
ROWS = 4
COMMAND = "python tools/web/models.py"


def files(name: str) -> Iterator[tuple[str, str, bytes]]:
    """Yields the files of a network: name, form and content."""
    found, path = data.load(name), ARCHIVES / f"{name}.fr"
    model = load_archive(path)
    options = {
        "labels": LABELS.get(name, found.labels),
        "normalization": found.normalization,
        "command": COMMAND,
    }
    calibration = found.train.inputs(slice(96))
    int8 = {**options, "calibration": calibration, "float_io": True}
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / path.name
        save_archive(model, target, step=0.005, error=0.01, skeleton=int8)
        yield path.name, "archive, int8", target.read_bytes()
    for file, form, settings in (
        (f"{name}_float32.tflite", "factored, float32", options),
        (f"{name}_dense_int8.tflite", "dense, int8", {**int8, "quantize": "int8", "form": "dense"}),
    ):
        yield file, form, tflite.convert(model, **settings).content


def write(folder: Path) -> None:
    """Writes the files and the index."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for name in NAMES:
        x = data.load(name).test.inputs()
        rows = x[:: len(x) // ROWS][:ROWS]
        for file, form, content in files(name):
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
