"""Packs the paper's U-Net, with 33 coefficients per layer and batch normalization, as an archive.

    python benchmarks/archive_unet.py --data membrane.npz

The network is trained briefly on cell membranes, as `membrane_unet.py` does at length: with 33
coefficients per layer from the start, on random 128x128 crops. The archive takes its statistics
from training tiles. Dice on the validation slices is measured for the network before packing and
for the network that the file loads to. With its skeleton the archive makes an int8 file by itself,
in a process without TensorFlow, and this file is compared with the one that `convert` writes. The
test slices are not used.
"""

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
from environment import environment
from membrane_unet import AXIS_WEIGHTS, BATCH, SEED, SIDE, batches, dice, tiles

from fr_keras import interop, load_archive, regularize, save_archive, summary, tflite, zoo

KEPT = 33
LEARNING_RATE = 1e-2
CALIBRATION_TILES = 48
UNPACKINGS = 5
# Coarse steps, which lose little here.
STEP, ERROR = 0.005, 0.01


def network() -> keras.Model:
    """The U-Net of 31 million weights with 33 coefficients in each layer."""
    keras.utils.set_random_seed(SEED)
    plain = zoo.unet((SIDE, SIDE, 1))
    kernels = [layer.name for layer in plain.layers if hasattr(layer, "kernel")]
    weights = dict.fromkeys(kernels, AXIS_WEIGHTS)
    return regularize(plain, axis_weights=weights, start=dict.fromkeys(kernels, KEPT))


def calibration(path: str) -> list[np.ndarray]:
    """Batches of training tiles, some of each slice."""
    x = tiles(path, "train")[0]
    x = x[:: len(x) // CALIBRATION_TILES]
    return [x[start : start + BATCH] for start in range(0, len(x), BATCH)]


def train(path: str, steps: int) -> keras.Model:
    """The trained network, with statistics of the training tiles."""
    model = network()
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, int(steps * 0.9), warmup_target=LEARNING_RATE, warmup_steps=int(steps * 0.1)
    )
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    model.fit(batches(path), steps_per_epoch=steps, verbose=2)
    interop.calibrate_batch_norm(model, calibration(path))
    return model


def score(model: keras.Model, path: str) -> float:
    x, y = tiles(path, "validation")
    return dice(y, model.predict(x, batch_size=BATCH, verbose=0))


def packed(model: keras.Model, path: str, file: Path) -> dict:
    """The archive: bytes by section, and the Dice of what it loads to."""
    begin = time.perf_counter()
    packing = save_archive(model, file, STEP, ERROR, calibration=calibration(path))
    seconds = time.perf_counter() - begin
    begin = time.perf_counter()
    loaded = load_archive(file)
    return {
        "bytes": packing.bytes,
        "sections": packing.sections,
        "by_reference": packing.by_reference,
        "pack_seconds": round(seconds, 2),
        "load_seconds": round(time.perf_counter() - begin, 2),
        "same_bytes_again": _again(loaded, file) == file.read_bytes(),
        "validation_dice": score(loaded, path),
    }


def _again(loaded: keras.Model, file: Path) -> bytes:
    again = file.with_name("again.fr")
    save_archive(loaded, again, STEP, ERROR)
    return again.read_bytes()


def with_skeleton(model: keras.Model, path: str, file: Path) -> dict:
    """The archive that makes its int8 file by itself, and whether that is the file of `convert`."""
    representative = np.concatenate(calibration(path))
    packing = save_archive(
        model,
        file,
        STEP,
        ERROR,
        calibration=calibration(path),
        skeleton={"calibration": representative},
    )
    unpacked = file.with_suffix(".tflite")
    command = [sys.executable, "-m", "fr_keras_cli", "unpack", str(file), str(unpacked), "--force"]
    seconds = []
    for _ in range(UNPACKINGS):
        begin = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - begin)
    content = unpacked.read_bytes()
    loaded = load_archive(file)
    done = tflite.convert(loaded, quantize="int8", calibration=representative)
    x, y = tiles(path, "validation")
    return {
        "bytes": packing.bytes,
        "sections": packing.sections,
        "tflite_bytes": len(content),
        "tflite_sha256": hashlib.sha256(content).hexdigest(),
        "same_bytes_as_convert": content == done.content,
        "unpack_seconds": round(statistics.median(seconds), 2),
        "validation_dice": dice(y, tflite.run(content, x)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="the membranes as a .npz with x and y")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--model", type=Path, help="keeps the trained network, to go on from it")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    if arguments.model and arguments.model.exists():
        model = keras.models.load_model(arguments.model)
    else:
        model = train(arguments.data, arguments.steps)
        if arguments.model:
            model.save(arguments.model)
    result = {
        "benchmark": "archive_unet",
        "environment": environment(),
        "training": f"{arguments.steps} steps of {BATCH} crops of {SIDE}x{SIDE}, seed {SEED}",
        "kept_per_layer": KEPT,
        "kept": summary(model).kept,
        "other_numbers": summary(model).total("other"),
        "validation_dice": score(model, arguments.data),
    }
    with tempfile.TemporaryDirectory() as folder:
        result["archive"] = packed(model, arguments.data, Path(folder) / "unet.fr")
        result["with_skeleton"] = with_skeleton(model, arguments.data, Path(folder) / "whole.fr")
    print(json.dumps(result, indent=1))
    (arguments.out / "archive_unet.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
