"""Measures accuracy against the bytes read of one archive: LeNet-5 on MNIST, a U-Net on drawings.

    python benchmarks/archive_capacity.py --network lenet5 --data mnist.npz
    python benchmarks/archive_capacity.py --network unet --data shapes

There are four ways to a network of each capacity: a prefix of an archive trained with
`CapacitySampling`, a prefix of one trained so for four times as long, a prefix of one trained
without it, and an archive of a network trained only at this size. All except the second train for
the same number of steps from the same seed. No setting is chosen by a result. The test split is
looked at once per row, and existing rows are not made again. The U-Net is tested on drawings from
another seed, because settings that failed had been tried on the usual ones.

No network has a batch normalization, so that prefixes need only the file and no new statistics.
The U-Net is that of the zoo with a group normalization of one group instead, and with a bias in
its classifier: without the bias, most trainings got stuck where all features are 0 and each class
has a probability of one half.
"""

import argparse
import json
import math
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
from environment import environment

import fr_archive
from fr_bench import data
from fr_bench.data.shapes import draw_shapes
from fr_keras import CapacitySampling, load_archive, metrics, regularize, save_archive, zoo
from fr_keras.models.walk import frequency_layers

CAPACITIES = (1.0, 0.7, 0.5, 0.35, 0.25, 0.15)
LEAST = 0.1
# Coarse steps, which lose little here.
STEP, ERROR = 0.005, 0.01
LONGER = 4
SEED = 0
LABELS = {
    "sampled": "prefixes, trained with CapacitySampling",
    "longer": "prefixes, with CapacitySampling, 4 times as long",
    "usual": "prefixes, trained as usual",
    "separate": "an archive for each size",
}


class LeNet5:
    """2,000 kept of 430,500, trained on a part of the rows."""

    metric = "accuracy"
    normalization = "none; biases"
    kept = 2000
    recipe = {"rows": 20_000, "batch_size": 100, "epochs": 4, "learning_rate": 4e-3}

    def __init__(self, path: str):
        self._mnist = data.load(path)

    def network(self) -> keras.Model:
        return zoo.lenet5()

    def fit(self, model: keras.Model, callbacks: list, times: int) -> None:
        rows, batch, epochs = (self.recipe[key] for key in ("rows", "batch_size", "epochs"))
        train, epochs = self._mnist.train, epochs * times
        compiled(model, self.recipe["learning_rate"], epochs * rows // batch)
        model.fit(
            train.inputs(slice(rows)), train.y[:rows], batch_size=batch, epochs=epochs,
            callbacks=callbacks, verbose=2,
        )  # fmt: skip

    def score(self, model: keras.Model) -> float:
        y = model.predict(self._mnist.test.inputs(), batch_size=500, verbose=0).argmax(-1)
        return float(np.mean(y == self._mnist.test.y))


class UNet:
    """8 filters on drawings of 64x64, 6,000 kept of 485,000."""

    metric = "dice"
    normalization = "GroupNormalization(1); no statistics; a bias in the classifier"
    kept = 6000
    recipe = {"batch_size": 8, "epochs": 20, "learning_rate": 1e-2}

    def __init__(self, path: str):
        self._shapes = data.load(path)
        _, _, x, y = draw_shapes(seed=2)
        self._test = data.Split(x, y, scale=1 / 255)

    def network(self) -> keras.Model:
        def changed(layer):
            if isinstance(layer, keras.layers.BatchNormalization):
                return keras.layers.GroupNormalization(1, name=layer.name)
            bias = {"use_bias": True} if layer.name == "classifier" else {}
            return layer.__class__.from_config({**layer.get_config(), **bias})

        def without_mask(layer, *inputs, mask=None, **arguments):
            return layer(*inputs, **arguments)

        return keras.models.clone_model(
            zoo.unet(self._shapes.train.x.shape[1:], filters=8),
            clone_function=changed,
            call_function=without_mask,
        )

    def fit(self, model: keras.Model, callbacks: list, times: int) -> None:
        train, batch = self._shapes.train, self.recipe["batch_size"]
        epochs = self.recipe["epochs"] * times
        compiled(model, self.recipe["learning_rate"], epochs * math.ceil(len(train) / batch))
        rows = train.inputs(), train.y
        model.fit(*rows, batch_size=batch, epochs=epochs, callbacks=callbacks, verbose=2)

    def score(self, model: keras.Model) -> float:
        test = self._test
        metric = metrics.Dice(num_classes=2, target_class_ids=[1], sparse_y_pred=False)
        metric.update_state(test.y, model.predict(test.inputs(), batch_size=8, verbose=0))
        return float(metric.result())


TASKS = {"lenet5": LeNet5, "unet": UNet}


def compiled(model: keras.Model, rate: float, steps: int) -> None:
    decay = keras.optimizers.schedules.CosineDecay(
        0.0, int(steps * 0.9), warmup_target=rate, warmup_steps=int(steps * 0.1)
    )
    model.compile(keras.optimizers.Adam(decay), "sparse_categorical_crossentropy")


def counts(task: LeNet5 | UNet, capacity: float) -> dict[str, int]:
    """The coefficients of each layer at a capacity."""
    layers = frequency_layers(regularize(task.network(), start=task.kept))
    return {layer.name: math.ceil(capacity * layer.kept) for layer in layers}


def bytes_read(content: bytes, capacity: float) -> int:
    """The length of the file's beginning that decides the prefix."""
    wanted = [len(one.values) for one in fr_archive.decode(content, capacity).tensors]

    def decided(length: int) -> bool:
        try:
            found = fr_archive.decode_prefix(content[:length]).tensors
        except fr_archive.ArchiveError:
            return False
        return all(len(one.values) >= n for one, n in zip(found, wanted, strict=True))

    low, high = 0, len(content)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decided(middle) else (middle, high)
    return high


def train(task: LeNet5 | UNet, way: str, capacity: float, path: Path) -> float:
    """Trains a network and packs it; returns the seconds of the training."""
    keras.utils.set_random_seed(SEED)
    model = regularize(task.network(), start=counts(task, capacity))
    begin = time.perf_counter()
    sampled = way in ("sampled", "longer")
    callbacks = [CapacitySampling(LEAST, SEED)] if sampled else []
    task.fit(model, callbacks, LONGER if way == "longer" else 1)
    seconds = time.perf_counter() - begin
    save_archive(model, path, STEP, ERROR)
    return seconds


def row(task: LeNet5 | UNet, path: Path, capacity: float, seconds: float) -> dict:
    model = load_archive(path, capacity)
    found = {
        "capacity": capacity,
        "kept": sum(layer.kept for layer in frequency_layers(model)),
        "bytes": bytes_read(path.read_bytes(), capacity),
        task.metric: round(task.score(model), 4),
        "training_seconds": round(seconds, 1),
    }
    print(path.stat().st_size, found, flush=True)
    return found


def measure(task: LeNet5 | UNet, way: str, capacity: float) -> list[dict]:
    """Trains a network; the rows of its prefixes, or of the whole of a separate one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.fr")
        seconds = train(task, way, capacity, path)
        if way == "separate":
            return [{**row(task, path, 1.0, seconds), "way": way, "capacity": capacity}]
        return [{**row(task, path, one, seconds), "way": way} for one in CAPACITIES]


def plot(networks: dict, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8 * len(networks), 3.6), layout="constrained")
    both = figure.subplots(1, len(networks), squeeze=False)[0]
    for axes, (name, one) in zip(both, networks.items(), strict=True):
        for way, label in LABELS.items():
            rows = [row for row in one["rows"] if row["way"] == way]
            sizes, scores = ([row[key] for row in rows] for key in ("bytes", one["metric"]))
            axes.plot(sizes, scores, "o-", label=label)
        axes.set(title=name, xlabel="bytes read", ylabel=f"test {one['metric']}")
        axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=110)


def networks_in(path: Path) -> dict:
    return json.loads(path.read_text())["networks"] if path.exists() else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=TASKS, required=True)
    parser.add_argument("--data", required=True, help="mnist.npz for lenet5, shapes for unet")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    path = arguments.out / "archive_capacity.json"
    task = TASKS[arguments.network](arguments.data)
    # The whole network by itself is the one trained as usual.
    trainings = [
        ("sampled", 1.0),
        ("longer", 1.0),
        ("usual", 1.0),
        *(("separate", c) for c in CAPACITIES[1:]),
    ]
    for way, capacity in trainings:
        done = networks_in(path).get(arguments.network, {"rows": []})["rows"]
        if any((row["way"], row["capacity"]) == (way, capacity) for row in done):
            continue
        done = done + measure(task, way, capacity)
        # Read again: the other network may have been written meanwhile.
        networks = networks_in(path)
        facts = {"metric": task.metric, "normalization": task.normalization}
        networks[arguments.network] = {**facts, "recipe": task.recipe, "rows": done}
        result = {"benchmark": "archive_capacity", "environment": environment(), "seed": SEED}
        result |= {"least": LEAST, "longer": LONGER, "networks": networks}
        path.write_text(json.dumps(result, indent=1) + "\n")
        plot(networks, path.with_suffix(".png"))


if __name__ == "__main__":
    main()
