"""Writes images and the results of Python for them, for the tests of the app on the JVM.

    PYTHONPATH=. python tools/android/app_corpus.py build/android/app-corpus

`cases.json` contains pictures with the inputs that they become (by TensorFlow's own `area` resizing
and the quantization of `fr_keras.tflite.Runner`), strokes with the points along them, outputs with
their real values and classes, numbers with numpy's percentiles, and intents of `fr-keras
benchmark`. All are small, so that the file stays small.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import tensorflow as tf
from scipy.spatial import cKDTree

from fr_bench.benchmark.android import app
from fr_bench.benchmark.result import deviation
from fr_keras import tflite

ROOT = Path(__file__).resolve().parents[2]
ASSETS = ROOT / "android_demo" / "app" / "src" / "main" / "assets" / "models"
#: Width and height of pictures; larger and smaller than what a network takes, and not square.
SIZES = ((64, 64), (150, 97), (31, 80), (300, 300))
SIDES = (28, 64)


def pictures(rng: np.random.Generator) -> list[dict]:
    """Pictures, and the gray square of each in the sizes of the networks."""
    cases = []
    for width, height in SIZES:
        colors = rng.integers(0, 256, (height, width, 3))
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        gray = colors @ np.array([0.299, 0.587, 0.114])
        square = gray[top : top + side, left : left + side, None].astype(np.float32)
        packed = (255 << 24) | (colors[..., 0] << 16) | (colors[..., 1] << 8) | colors[..., 2]
        cases.append(
            {
                "width": width,
                "height": height,
                "colors": packed.astype(np.uint32).ravel().tolist(),
                "resized": {
                    str(to): _listed(tf.image.resize(square, (to, to), method="area"))
                    for to in SIDES
                },
            }
        )
    return cases


def drawings(rng: np.random.Generator) -> list[dict]:
    """Strokes of a finger, and the picture that a network gets: as MNIST's digits are."""
    cases = []
    for lengths in ((3,), (2, 5), (1,), (4, 1, 2)):
        strokes = [rng.uniform((0, 0), (0.6, 1), (length, 2)) for length in lengths]
        points = np.concatenate(strokes)
        sides = np.ptp(points, axis=0)
        # The ink of 2.4 pixels lies in the middle 20.
        scale = 17.6 / sides.max() if sides.max() else 0.0
        corner = 14 - sides * scale / 2
        fitted = [corner + (stroke - points.min(axis=0)) * scale for stroke in strokes]
        along = np.linspace(0, 1, 4001)[:, None]
        near = [
            a + (b - a) * along
            for stroke in fitted
            for a, b in zip(stroke[[0, *range(len(stroke) - 1)]], stroke, strict=True)
        ]
        pixels = np.stack(np.meshgrid(np.arange(28), np.arange(28)), -1).reshape(-1, 2) + 0.5
        distance = cKDTree(np.concatenate(near)).query(pixels)[0]
        cases.append(
            {
                "strokes": [_listed(stroke) for stroke in strokes],
                "pixels": _listed(255 * np.clip(1.7 - distance, 0, 1)),
            }
        )
    return cases


def quantized(rng: np.random.Generator, file: Path) -> dict:
    """Real inputs of a file and its own numbers for them; its outputs, and their real values."""
    runner = tflite.Runner(file)
    found = tflite.inspect(file)
    shape = next(iter(runner.inputs.values()))
    real = rng.uniform(-0.1, 1.1, (2, *shape)).astype(np.float32)
    (own,) = runner.own([real])
    (output, dtype), name = next(iter(runner.outputs.values())), next(iter(runner.outputs))
    limits = np.iinfo(dtype) if dtype.kind == "i" else None
    raw = (
        rng.integers(limits.min, limits.max, (2, *output), dtype, endpoint=True)
        if limits
        else rng.normal(size=(2, *output)).astype(dtype)
    )
    values = runner.real([raw])[name]
    return {
        "file": file.name,
        "input": _tensor(found.inputs[0]),
        "output": _tensor(found.outputs[0]),
        "real": _listed(real[0]),
        "own": own[0].ravel().tolist(),
        "raw": raw[0].ravel().tolist(),
        "values": _listed(values[0]),
        "classes": values[0].argmax(-1).ravel().tolist(),
    }


def _tensor(tensor) -> dict:
    scale, zero_point = _steps(tensor)
    return {
        "type": tensor.dtype,
        "shape": list(tensor.shape),
        "scale": float(scale),
        "zero_point": int(zero_point),
    }


def _steps(tensor) -> tuple[float, int]:
    if tensor.scale is None:
        return 0.0, 0
    return tensor.scale, tensor.zero_point


def agreements(rng: np.random.Generator) -> list[dict]:
    """Outputs beside expected ones, and what `fr_bench.benchmark` says of them."""
    cases = []
    for step in (None, 0.00390625):
        expected = rng.random((3, 2, 4)).astype(np.float32)
        found = (expected + rng.normal(0, 0.1, expected.shape)).astype(np.float32)
        said = deviation(found, expected, step)
        cases.append(
            {
                "step": step,
                "expected": [_listed(row) for row in expected],
                "found": [_listed(row) for row in found],
                "largest": said.largest,
                "relative": said.relative,
                "steps": said.steps,
                "argmax": said.argmax,
            }
        )
    return cases


def percentiles(rng: np.random.Generator) -> list[dict]:
    return [
        {
            "values": values.tolist(),
            "p5": float(np.percentile(values, 5)),
            "p50": float(np.median(values)),
            "p95": float(np.percentile(values, 95)),
            "mean": float(values.mean()),
        }
        for values in (rng.lognormal(6, 1, size) for size in (1, 2, 3, 10, 31, 100))
    ]


def intents() -> list[dict]:
    """The extras that `fr-keras benchmark` sends, and what it means by them."""
    cases = []
    for delegate in app.DELEGATES:
        meant = {"output": "fr_keras-0a.json", "file": "digits.fr", "delegate": delegate}
        meant |= {"threads": 2, "runs": 50, "warmup": 0}
        words = app.intent(**meant)
        places = [n for n, word in enumerate(words) if word == "--es"]
        cases.append({**meant, "extras": {words[n + 1]: words[n + 2] for n in places}})
    return cases


def _listed(values) -> list[float]:
    return np.asarray(values, np.float64).ravel().tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    files = [
        *(ROOT / "tflite_models").glob("digits_fr_*.tflite"),
        *ASSETS.glob("shapes_*.tflite"),
    ]
    cases = {
        "pictures": pictures(rng),
        "drawings": drawings(rng),
        "tensors": [quantized(rng, file) for file in sorted(files)],
        "agreements": agreements(rng),
        "percentiles": percentiles(rng),
        "intents": intents(),
    }
    (folder / "cases.json").write_text(json.dumps(cases))


if __name__ == "__main__":
    main()
