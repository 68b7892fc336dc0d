"""Archives of trained networks without FR: bytes and scores by how coarsely kernels are rounded.

    python benchmarks/archive_plain.py --data cifar10_jpeg.npz --membranes membrane.npz --work at

The networks are the VGG, ResNet-20 and the U-Net of `trained.py`, seed 0, and the VGG as chains by
`fr_keras.methods.tucker` with half of its weights, without any training but with its batch
normalizations measured on some training rows. Each is packed with its vectors as the default has
them and several `kernel_error`, with and without calibration on these rows. The score is that of
the int8 file that the archive makes, on the validation rows. `lzma` is the size of the same whole
numbers of the kernels, as bytes, by Python's `lzma` at its strongest.
"""

import gzip
import json
import lzma
import tempfile
from pathlib import Path

import keras
import numpy as np
import trained
from environment import environment

import fr_archive
from fr_keras import methods, save_archive, tflite
from fr_keras.interop import calibrate_batch_norm

ERRORS = (0.01, 0.03, 0.1, 0.2)
ROWS = {"vgg": 512, "resnet20": 512, "unet": 64}


def networks(given):
    """Each network with its task and its name in the table."""
    for name in ROWS:
        task = trained.Task(name, given.data, given.membranes)
        model = trained.base(task, 0, given.work)
        yield name, task, model
        if name == "vgg":
            rows = seen(task)
            chains = methods.tucker(model, 0.5, rows)
            calibrate_batch_norm(chains, rows)
            yield f"{name}, chains", task, chains


def seen(task: trained.Task) -> np.ndarray:
    return task.some(ROWS[task.name])


def score(task: trained.Task, content: bytes) -> float:
    found = task.score(tflite.Runner(content, threads=2).run, "validation")
    return round(float(found), 4)


def packed(task: trained.Task, model: keras.Model, error: float, calibration) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.fr"
        skeleton = {"calibration": seen(task)}
        save_archive(model, path, kernel_error=error, calibration=calibration, skeleton=skeleton)
        data = path.read_bytes()
    archive = fr_archive.decode(data)
    return {
        "kernel_error": error,
        "calibrated": calibration is not None,
        "bytes": len(data),
        "score": score(task, fr_archive.expand(archive)),
        "kernels": fr_archive.sizes(data).sections["kernels"],
        "lzma": by_lzma(archive.kernels),
    }


def by_lzma(kernels) -> int:
    """The bytes of whole numbers by `lzma`, in as few bytes a number as hold them."""
    most = max(max(map(abs, one.values), default=0) for one in kernels)
    kind = np.int8 if most < 128 else np.int16
    content = b"".join(np.array(one.values, kind).tobytes() for one in kernels)
    return len(lzma.compress(content, lzma.FORMAT_ALONE, preset=9 | lzma.PRESET_EXTREME))


def run(name: str, task: trained.Task, model: keras.Model) -> dict:
    rows = seen(task)
    int8 = tflite.convert(model, quantize="int8", calibration=rows).content
    row = {"network": name, "weights": sum(int(np.prod(w.shape)) for w in model.weights)}
    row["int8"] = {
        "bytes": len(int8),
        "gzipped": len(gzip.compress(int8)),
        "score": score(task, int8),
    }
    pairs = [(error, data) for error in ERRORS for data in (None, rows)]
    row["archives"] = [packed(task, model, *pair) for pair in pairs]
    print(json.dumps(row), flush=True)
    return row


def table(rows: list[dict]) -> str:
    """The rows as Markdown."""
    lines = [
        "| network | file | rounding | bytes | score, calibrated | not |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for row in rows:
        held = row["int8"]
        lines.append(
            f"| {row['network']} | int8, gzipped | | {held['gzipped']:,} | | {held['score']:.4f} |"
        )
        for error in ERRORS:
            both = [a for a in row["archives"] if a["kernel_error"] == error]
            fitted, kept = (next(a for a in both if a["calibrated"] == c) for c in (True, False))
            lines.append(
                f"| | archive | {error} | {fitted['bytes']:,} | {fitted['score']:.4f} | "
                f"{kept['score']:.4f} |"
            )
    return "\n".join(lines)


def main() -> None:
    parser = trained.arguments(__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true", help="print the table of the JSON")
    given = parser.parse_args()
    path = given.out / "archive_plain.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    if given.table:
        print(table(rows))
        return
    done = {row["network"] for row in rows}
    for name, task, model in networks(given):
        if name not in done:
            rows.append(run(name, task, model))
            about = {"benchmark": "archive_plain", "environment": environment(), "rows": rows}
            path.write_text(json.dumps(about, indent=1) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
