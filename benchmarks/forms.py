"""Compares the forms of networks with 1 % kept: bytes, multiply-adds and latency of the files.

    python benchmarks/forms.py

The weights are random, because accuracy is not the subject. Latencies are medians with 2 threads.
The files of one network run in turn, so that a ratio compares runs from the same time.
"""

import argparse
import functools
import json
import warnings
from pathlib import Path

import keras
import numpy as np
from environment import environment

from fr_keras import regularize, summary, tflite, zoo

KEEP = 0.01
ROUNDS, RUNS = 3, 20
MODES = ("float32", "int8")
applications = keras.applications
NETWORKS = {
    "LeNet-5": zoo.lenet5,
    "MobileNetV2": functools.partial(applications.MobileNetV2, weights=None),
    "ResNet50": functools.partial(applications.ResNet50, weights=None),
    "InceptionV3": functools.partial(applications.InceptionV3, weights=None),
}


def measure(name: str) -> list[dict]:
    keras.utils.set_random_seed(0)
    model = regularize(NETWORKS[name](), start=KEEP)
    sums = summary(model).to_dict()
    images = np.random.default_rng(0).random((5, *model.input_shape[1:]), np.float32)
    rows, runners = [], []
    for form in ("dense", "auto"):
        for mode in MODES:
            content = tflite.convert(model, quantize=mode, calibration=images, form=form).content
            field = "multiply_adds" if form == "dense" else "form_multiply_adds"
            row = {"network": name, "form": form, "mode": mode, "bytes": len(content)}
            rows.append({**row, "multiply_adds": sums[field]})
            runners.append(tflite.Runner(content, threads=2))
    times = [[] for _ in rows]
    for _ in range(ROUNDS):
        for found, runner in zip(times, runners, strict=True):
            found.append(runner.latency(RUNS))
    for row, found in zip(rows, times, strict=True):
        row["milliseconds"] = 1000 * float(np.median(found))
        print(row, flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", category=tflite.ConversionWarning)
    rows = [row for name in NETWORKS for row in measure(name)]
    result = {"benchmark": "forms", "environment": environment(), "keep": KEEP, "rows": rows}
    (arguments.out / "forms.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
