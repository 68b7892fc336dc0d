"""Trains the 31-million-weight U-Net on cell membranes: plain, FR with 2,000 kept, int8 files.

    python benchmarks/membrane_unet.py --data membrane.npz --work folder

The data are ISBI 2012: 24 slices for training, 3 for validation and 3 for testing, in tiles of
128x128; the membrane is the foreground. Plain and FR train alike, for 1,000 steps of 4 random
crops. Each trains in a process of its own, which continues from its last epoch after it was
killed. The test slices are looked at once per file, at the end. Seconds and megabytes are those of
the training processes.
"""

import argparse
import json
import math
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from environment import environment
from unet_forms import peak_megabytes

from fr_keras import TailTruncation, metrics, regularize, summary, tflite, zoo

SIDE, BATCH = 128, 4
EPOCHS, STEPS = 20, 50
AWARE_EPOCHS = 4
# Coefficients of a 3x3 convolution by level, the highest resolution first; a transposed one has
# half of that. These and the weights of the axes were chosen on the validation slices.
KEPT = (200, 120, 60, 35, 25)
CLASSIFIER_KEPT = 64
AXIS_WEIGHTS = (4, 4, 1, 1)
START, TRUNCATION = 4, 8  # times as many at first, and the epochs in which they fall
LEARNING_RATE = {"plain": 1e-3, "fr": 1e-2, "aware": 1e-3}
SEED = 0
SPLITS = {"train": slice(0, 24), "validation": slice(24, 27), "test": slice(27, 30)}


def slices(path: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    with np.load(path) as data:
        x, y = data["x"][SPLITS[split]], data["y"][SPLITS[split]]
    return (x[..., None] / 255).astype("float32"), (y == 0).astype("int32")


def tiles(path: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Every tile of the split's slices, none overlapping."""
    x, y = slices(path, split)
    cut = [
        (slice(row, row + SIDE), slice(column, column + SIDE))
        for row in range(0, x.shape[1], SIDE)
        for column in range(0, x.shape[2], SIDE)
    ]
    return tuple(np.concatenate([part[:, *one] for one in cut]) for part in (x, y))


def batches(path: str) -> tf.data.Dataset:
    """Random crops, flipped and turned at random, without end."""
    x, y = slices(path, "train")
    both = np.concatenate([x, y[..., None]], -1)

    def crop(one):
        one = tf.image.random_crop(one, (SIDE, SIDE, 2))
        one = tf.image.random_flip_left_right(tf.image.random_flip_up_down(one))
        one = tf.image.rot90(one, tf.random.uniform((), 0, 4, tf.int32))
        return one[..., :1], tf.cast(one[..., 1], tf.int32)

    rows = tf.data.Dataset.from_tensor_slices(both).repeat().shuffle(len(both))
    return rows.map(crop).batch(BATCH, drop_remainder=True).prefetch(2)


def shares(model: keras.Model) -> dict[str, int]:
    """Coefficients that each layer keeps."""
    keep = {"classifier": CLASSIFIER_KEPT}
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2DTranspose):
            keep[layer.name] = KEPT[int(layer.name.removeprefix("up"))] // 2
        elif isinstance(layer, keras.layers.Conv2D) and layer.name != "classifier":
            keep[layer.name] = KEPT[int(layer.name.split("_")[0][-1])]
    return keep


def rate(name: str, epochs: int) -> keras.optimizers.schedules.LearningRateSchedule:
    steps = STEPS * epochs
    return keras.optimizers.schedules.CosineDecay(
        0.0, int(steps * 0.9), warmup_target=LEARNING_RATE[name], warmup_steps=int(steps * 0.1)
    )


def dice(truth: np.ndarray, probabilities: np.ndarray) -> float:
    metric = metrics.Dice(num_classes=2, target_class_ids=[1], sparse_y_pred=False)
    metric.update_state(truth, probabilities)
    return float(metric.result())


class Log(keras.callbacks.Callback):
    """Appends a line an epoch, so that a training that was killed keeps its seconds."""

    def __init__(self, path: Path):
        super().__init__()
        self._path = path

    def on_epoch_begin(self, epoch, logs=None):
        self._begin = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        seconds = time.perf_counter() - self._begin
        line = {"epoch": epoch, "seconds": seconds, "megabytes": peak_megabytes(), **logs}
        with self._path.open("a") as file:
            print(json.dumps(line), file=file)


def train(name: str, path: str, work: Path) -> None:
    """Trains one network to its end and saves it."""
    keras.utils.set_random_seed(SEED)
    model = zoo.unet((SIDE, SIDE, 1))
    callbacks = []
    if name == "fr":
        keep = shares(model)
        sizes = {
            layer.name: math.prod(layer.kernel.shape)
            for layer in model.layers
            if layer.name in keep
        }
        start = {name: min(START * kept, sizes[name]) for name, kept in keep.items()}
        weights = dict.fromkeys(keep, AXIS_WEIGHTS)
        model = regularize(model, axis_weights=weights, start=start)
        callbacks = [TailTruncation(keep, TRUNCATION)]
    model.compile(keras.optimizers.Adam(rate(name, EPOCHS)), "sparse_categorical_crossentropy")
    backup = keras.callbacks.BackupAndRestore(work / f"{name}_backup")
    callbacks += [backup, Log(work / f"{name}.jsonl")]
    model.fit(batches(path), epochs=EPOCHS, steps_per_epoch=STEPS, callbacks=callbacks, verbose=2)
    model.save(work / f"{name}.keras")


def trained(name: str, path: str, work: Path) -> tuple[keras.Model, dict]:
    """The trained network and what its training took."""
    if not (work / f"{name}.keras").exists():
        command = [sys.executable, __file__, "--data", path, "--work", str(work), "--train", name]
        subprocess.run(command, check=True)
    lines = [json.loads(line) for line in (work / f"{name}.jsonl").read_text().splitlines()]
    by_epoch = {line["epoch"]: line for line in lines}
    cost = {
        "seconds": sum(line["seconds"] for line in by_epoch.values()),
        "step_seconds": min(one["seconds"] for one in by_epoch.values()) / STEPS,
        "peak_megabytes": max(line["megabytes"] for line in by_epoch.values()),
        "loss": [round(by_epoch[epoch]["loss"], 4) for epoch in sorted(by_epoch)],
    }
    return keras.models.load_model(work / f"{name}.keras"), cost


def scores(predict, path: str) -> dict:
    found = {}
    for split in ("validation", "test"):
        x, y = tiles(path, split)
        found[f"{split}_dice"] = dice(y, predict(x))
    return found


def files(model: keras.Model, path: str) -> list[dict]:
    """Each file of the FR network, scored; the last after quantization-aware fine-tuning."""
    sample = tiles(path, "train")[0][::8]
    rows = []
    aware = tflite.quantization_aware(model, sample)
    aware.compile(
        keras.optimizers.Adam(rate("aware", AWARE_EPOCHS)), "sparse_categorical_crossentropy"
    )
    aware.fit(batches(path), epochs=AWARE_EPOCHS, steps_per_epoch=STEPS, verbose=2)
    for name, one, mode in (
        ("float32", model, "float32"),
        ("float16", model, "float16"),
        ("int8", model, "int8"),
        ("int8, fine-tuned", aware, "int8"),
    ):
        content = tflite.convert(one, quantize=mode, calibration=sample).content
        runner = tflite.Runner(content, threads=2)
        rows.append({"file": name, "bytes": len(content), **scores(runner.run, path)})
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="the membranes as a .npz with x and y")
    parser.add_argument("--work", type=Path, required=True, help="where trainings are kept")
    parser.add_argument("--train", choices=["plain", "fr"], help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    if arguments.train:
        train(arguments.train, arguments.data, arguments.work)
        return
    result = {"benchmark": "membrane_unet", "environment": environment(), "seed": SEED}
    result |= {"steps": EPOCHS * STEPS, "batch_size": BATCH, "learning_rate": LEARNING_RATE}
    for name in ("fr", "plain"):
        model, cost = trained(name, arguments.data, arguments.work)
        predict = lambda x, model=model: model.predict(x, batch_size=BATCH, verbose=0)  # noqa: E731
        result[name] = {**cost, **scores(predict, arguments.data)}
        print(name, result[name], flush=True)
        if name == "fr":
            result[name]["kept"] = summary(model).kept
            result["files"] = files(model, arguments.data)
    fr, plain = result["fr"], result["plain"]
    # Of the fastest epochs: the machine is shared, and these were disturbed least.
    result["time_ratio"] = round(fr["step_seconds"] / plain["step_seconds"], 3)
    result["memory_ratio"] = round(fr["peak_megabytes"] / plain["peak_megabytes"], 3)
    path = arguments.out / "membrane_unet.json"
    path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
