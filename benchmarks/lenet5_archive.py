"""Trains LeNet-5 on MNIST: test accuracy against the bytes of the whole archive.

    python benchmarks/lenet5_archive.py --data mnist.npz

The test split is looked at once per point and seed, with the model that is loaded from the file.
docs/lenet5-mnist.md says how the points were chosen. Finished rows are kept, so an interrupted run
continues where it stopped.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
from environment import environment

from fr_bench import data
from fr_keras import ArchiveRounding, load_archive, regularize, save_archive, zoo

# What each layer keeps, the step of all of them, and how long they train.
POINTS = {
    "small": {
        "keep": {"conv1": 80, "conv2": 420, "hidden": 500, "classifier": 100},
        "step": 0.035,
        "epochs": 12,
        "seeds": (0,),
    },
    "kilobyte": {
        "keep": {"conv1": 110, "conv2": 850, "hidden": 1130, "classifier": 110},
        "step": 0.025,
        "epochs": 12,
        "seeds": (0, 1, 2),
    },
    "longer": {
        "keep": {"conv1": 120, "conv2": 1020, "hidden": 1380, "classifier": 120},
        "step": 0.025,
        "epochs": 30,
        "seeds": (0, 1, 2),
    },
}
SETTINGS = {"rate": 1e-5, "shift": 1, "error": 0.05}
AXIS_WEIGHTS = {
    "conv1": (2, 2, 1, 2),
    "conv2": (2, 2, 1, 1),
    "hidden": (3.5, 3.5, 1, 0.7),
    "classifier": (1, 0.2),
}
# Bytes and test accuracy of LeNet-5: the best known, and MIRACLE.
PUBLISHED = ((1149, 0.9902), (1520, 0.9904))
BATCH_SIZE = 200
LEARNING_RATE = 0.006


class Shifted(keras.utils.PyDataset):
    """The images in a new order each epoch, each moved by up to `most` pixels along both axes."""

    def __init__(self, x: np.ndarray, y: np.ndarray, most: int, seed: int):
        super().__init__()
        self._padded = np.pad(x, ((0, 0), (most, most), (most, most), (0, 0)))
        self._y, self._most = y, most
        self._random = np.random.default_rng(seed)
        self.on_epoch_end()

    def __len__(self):
        return -(-len(self._y) // BATCH_SIZE)

    def __getitem__(self, index):
        part = slice(index * BATCH_SIZE, (index + 1) * BATCH_SIZE)
        return self._images[part], self._y[self._order[part]]

    def on_epoch_end(self):
        count, side = len(self._y), self._padded.shape[1] - 2 * self._most
        self._order = self._random.permutation(count)
        shifts = self._random.integers(0, 2 * self._most + 1, (count, 2))
        self._images = np.stack(
            [
                self._padded[place, down : down + side, right : right + side]
                for place, (down, right) in zip(self._order, shifts, strict=True)
            ]
        )


def train(mnist: data.Dataset, seed: int, keep: dict, settings: dict) -> keras.Model:
    keras.utils.set_random_seed(seed)
    model = regularize(zoo.lenet5(batch_norm=True), axis_weights=AXIS_WEIGHTS, start=keep)
    images = Shifted(mnist.train.inputs(), mnist.train.y, settings["shift"], seed)
    steps = len(images) * settings["epochs"]
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, int(steps * 0.95), warmup_target=LEARNING_RATE, warmup_steps=int(steps * 0.05)
    )
    model.compile(
        keras.optimizers.Adam(rate, beta_2=0.99),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(
        images,
        epochs=settings["epochs"],
        callbacks=[ArchiveRounding(settings["step"], settings["rate"])],
        verbose=2,
    )
    return model


def accuracy(model: keras.Model, part) -> float:
    return float(np.mean(model.predict(part.batches(500), verbose=0).argmax(-1) == part.y))


def one_row(mnist: data.Dataset, seed: int, keep: dict, settings: dict) -> dict:
    begin = time.perf_counter()
    model = train(mnist, seed, keep, settings)
    seconds = time.perf_counter() - begin
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lenet5.fr"
        packing = save_archive(
            model, path, settings["step"], settings["error"], calibration=mnist.train.inputs()
        )
        loaded = load_archive(path)
    return {
        "seed": seed,
        "keep": keep,
        "kept": sum(keep.values()),
        **settings,
        "bytes": packing.bytes,
        "sections": packing.sections,
        "layer_bytes": {one.name: round(one.bytes, 1) for one in packing.layers},
        "validation_accuracy": accuracy(loaded, mnist.validation),
        "test_accuracy": accuracy(loaded, mnist.test),
        "seconds": round(seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="mnist.npz with keras.datasets' names")
    parser.add_argument("--point", choices=POINTS, nargs="+", default=list(POINTS))
    parser.add_argument("--seeds", type=int, nargs="+", help="fewer than those of the points")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    mnist, path = data.load(arguments.data), arguments.out / "lenet5_archive.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    for name in arguments.point:
        point = POINTS[name]
        settings = {"epochs": point["epochs"], **SETTINGS, "step": point["step"]}
        for seed in arguments.seeds or point["seeds"]:
            if any((row["point"], row["seed"]) == (name, seed) for row in rows):
                continue
            rows.append({"point": name, **one_row(mnist, seed, point["keep"], settings)})
            write(path, rows)
    print(json.dumps([(row["bytes"], row["test_accuracy"]) for row in rows]))


def write(path: Path, rows: list[dict]) -> None:
    result = {
        "benchmark": "lenet5_archive",
        "environment": environment(),
        "axis_weights": AXIS_WEIGHTS,
        "batch_size": BATCH_SIZE,
        "learning_rate": LEARNING_RATE,
        "rows": rows,
    }
    path.write_text(json.dumps(result, indent=1) + "\n")
    plot(rows, path.with_suffix(".png"))


def plot(rows: list[dict], path: Path) -> None:
    """Test accuracy against bytes, with what others have published."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for label, marker, points in (
        ("this benchmark", "o", [(row["bytes"], row["test_accuracy"]) for row in rows]),
        ("published", "x", PUBLISHED),
    ):
        axes.scatter(*zip(*points, strict=True), marker=marker, label=label)
    axes.set(xlabel="bytes", ylabel="test accuracy")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
