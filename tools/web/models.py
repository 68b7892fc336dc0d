"""Puts the networks of the page into a folder, with an index that describes each of them.

    PYTHONPATH=. python tools/web/models.py build/web/demo/models

They are the archives of `android_demo/models`, with a skeleton whose file takes and gives float32,
because the runtime for browsers takes no other, and for each the float32 file and the dense int8
file of the same network. The index is like that of the Android app. The `capacities` of an archive
say with how many bytes which share of its coefficients is there.
"""

import argparse
import gzip
import hashlib
import json
import math
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import fr_archive
from fr_bench import data
from fr_bench.benchmark import process
from fr_bench.benchmark.result import REFERENCE
from fr_keras import load_archive, save_archive, tflite

ARCHIVES = Path(__file__).resolve().parents[2] / "android_demo" / "models"
#: Archive -> task of the page.
TASKS = {"digits": "digits", "shapes": "segmentation"}
#: Names of classes that a data set does not have.
LABELS = {"shapes": ("ground", "shape")}
#: How many rows outputs are compared on.
ROWS = 4
SHARES = (0.25, 0.5, 0.75, 1.0)
COMMAND = "python tools/web/models.py"


def files(name: str) -> Iterator[tuple[str, str, bytes, bytes]]:
    """Yields the files of a network: name, form, content, and the flatbuffer that runs."""
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
        archive = target.read_bytes()
    yield path.name, "archive, int8", archive, fr_archive.expand(fr_archive.decode(archive))
    for file, form, settings in (
        (f"{name}_float32.tflite", "factored, float32", options),
        (f"{name}_dense_int8.tflite", "dense, int8", {**int8, "quantize": "int8", "form": "dense"}),
    ):
        content = tflite.convert(model, **settings).content
        yield file, form, content, content


def capacities(archive: bytes) -> list[dict]:
    """With how many bytes which share of the coefficients of each tensor is there."""
    counts = [len(one.values) for one in fr_archive.decode(archive).tensors]
    return [
        {"share": share, "bytes": _enough(archive, [math.ceil(share * count) for count in counts])}
        for share in SHARES
    ]


def _enough(archive: bytes, wanted: list[int]) -> int:
    """The fewest bytes with which so many coefficients of each tensor are there."""
    low, high = 0, len(archive)
    while low < high:
        middle = (low + high) // 2
        try:
            found = fr_archive.decode_prefix(archive[:middle]).tensors
        except fr_archive.ArchiveError:
            found = ()
        are_there = [len(one.values) >= count for one, count in zip(found, wanted, strict=False)]
        if found and all(are_there):
            high = middle
        else:
            low = middle + 1
    return low


def write(folder: Path) -> None:
    """Writes the files and the index."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for name, task in TASKS.items():
        x = data.load(name).test.inputs()
        rows = x[:: len(x) // ROWS][:ROWS]
        for file, form, content, runs in files(name):
            (folder / file).write_bytes(content)
            outputs = process.work(runs, [rows], REFERENCE).outputs
            (folder / f"{file}.rows").write_bytes(
                b"".join(part.astype("<f4").tobytes() for part in (rows, *outputs))
            )
            metadata = tflite.inspect(runs).metadata
            entries.append(
                {
                    "file": file,
                    "task": task,
                    "form": form,
                    "bytes": len(content),
                    "download_bytes": min(len(content), len(gzip.compress(content))),
                    "sha256": hashlib.sha256(runs).hexdigest(),
                    "reference": f"{file}.rows",
                    "labels": metadata["labels"],
                    "normalization": metadata["normalization"],
                    "capacities": capacities(content) if file.endswith(".fr") else [],
                }
            )
            print(f"{file:28} {form:18} {len(content):>9,} bytes")
    index = {"format": "fr-keras-models", "version": 1, "files": entries}
    (folder / "index.json").write_text(json.dumps(index, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    write(parser.parse_args().folder)
    sys.exit(0)
