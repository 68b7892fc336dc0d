"""Repeats the two published experiments of activation-based pruning; draws the units by cycle.

    python benchmarks/activation_pruning.py --data mnist.npz

The first learns the sum of two inputs with 1,000 hidden units. One unit is enough for inputs from 0
to 1: the exact solution is `w1 w2 = (1, 1)`, `w2 b1 + b2 = 0`. The draft does not say what range
the inputs have and how the weights start, so two ranges and two starts are tried.

The second is an autoencoder of MNIST, with strided and transposed convolutions, that starts with
1-32-64-32-1 channels. It stands beside the minimal one of 1-4-16-4-1, trained for as many epochs as
a run of four cycles. The draft has no results for it.

The test rows are looked at once a run, at the end. A row is written as soon as it is done; a row
that is there is not run again.
"""

import argparse
import json
import time
from collections.abc import Iterator
from itertools import islice, product
from pathlib import Path

import keras
import numpy as np
from environment import environment
from keras import layers

from fr_bench import data
from fr_bench.data import Dataset
from fr_keras.methods import prune_inactive

SEEDS = (0, 1, 2)
VARIANTS = ("vanilla", "distorted", "regularized")
L1 = 1e-4
SUM = {
    "rows": 1_000_000,
    "batch_size": 1000,
    "epochs": 10,
    "units": 1000,
    "learning_rate": 0.01,
    "momentum": 0.3,
    "cycles": 8,
    "cycles_going_on": 16,
}
RANGES = {"inputs in [0, 1]": 0.0, "inputs in [-1, 1]": -1.0}
STARTS = {
    "normal start": {"kernel_initializer": "random_normal", "stddev": 1.0},
    "glorot start": {"kernel_initializer": "glorot_uniform"},
}
MNIST = {"batch_size": 128, "epochs": 2, "learning_rate": 1e-3, "cycles": 4}
WIDTHS, MINIMAL = (32, 64, 32), (4, 16, 4)


def jobs() -> Iterator[tuple[str, str, str, int]]:
    """The experiment, its setting, the variant and the seed of each row."""
    for inputs, variant, seed in product(RANGES, VARIANTS, SEEDS):
        yield "sum", f"{inputs}, normal start", variant, seed
    for inputs, seed in product(RANGES, SEEDS):
        yield "sum", f"{inputs}, glorot start", "vanilla", seed
    for seed in SEEDS:  # the distorted variant, not ended by a cycle in which none falls
        yield "sum", "inputs in [0, 1], normal start, going on", "distorted", seed
    for setting in ("batch norm", "no batch norm"):
        for variant, seed in product((*VARIANTS, "minimal"), SEEDS):
            yield "autoencoder", setting, variant, seed


def cycles(
    model, x, tune, variant: str, most: int, going_on: bool = False
) -> tuple[keras.Model, list[dict], bool]:
    """Runs the cycles, at most so many; returns the units by cycle, and whether they ended."""
    counts, ended = [units(model)], False
    while not ended and len(counts) <= most:
        steps = prune_inactive(model, x, tune, variant, l1=L1)
        for smaller in islice(steps, most + 1 - len(counts)):
            model, counts = smaller, [*counts, units(smaller)]
            ended = counts[-1] == counts[-2] and not going_on
            print(f"  {variant}: {counts[-1]}", flush=True)
    return model, counts, ended


def units(model: keras.Model) -> dict[str, int]:
    kinds = (layers.Dense, layers.Conv2D, layers.Conv2DTranspose)
    hidden = [one for one in model.layers if isinstance(one, kinds)][:-1]
    return {one.name: int(one.bias.shape[0]) for one in hidden}


# The sum of two inputs


def sums(setting: str, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    low = next(value for name, value in RANGES.items() if setting.startswith(name))
    x = np.random.default_rng(seed).uniform(low, 1, (rows, 2)).astype("float32")
    return x, x.sum(axis=1, keepdims=True)


def adder(setting: str) -> keras.Model:
    def start():
        if "glorot start" in setting:
            return "glorot_uniform"
        return keras.initializers.RandomNormal(stddev=1.0)

    inputs = keras.Input((2,))
    x = layers.Dense(SUM["units"], "relu", kernel_initializer=start(), name="hidden")(inputs)
    return keras.Model(inputs, layers.Dense(1, kernel_initializer=start(), name="sum")(x))


def run_sum(setting: str, variant: str, seed: int) -> dict:
    keras.utils.set_random_seed(seed)
    x, y = sums(setting, SUM["rows"], seed)
    losses = []

    def tune(model):
        optimizer = keras.optimizers.SGD(SUM["learning_rate"], momentum=SUM["momentum"])
        model.compile(optimizer, "mse", steps_per_execution=250)
        history = model.fit(
            x, y, batch_size=SUM["batch_size"], epochs=SUM["epochs"], verbose=0
        ).history
        losses.append(history["loss"][-1])

    on = setting.endswith("going on")
    most = SUM["cycles_going_on" if on else "cycles"]
    model, counts, ended = cycles(adder(setting), x, tune, variant, most, on)
    w1, b1, w2, b2 = (keras.ops.convert_to_numpy(one) for one in model.weights)
    test_x, test_y = sums(setting, 100_000, 1000 + seed)
    return {
        "units": counts,
        "ended": ended,
        "train_loss": losses,
        "test_loss": float(np.mean((model.predict(test_x, 1000, verbose=0) - test_y) ** 2)),
        "slope": (w1 @ w2).ravel().tolist(),
        "offset": float((b1 @ w2 + b2)[0]),
    }


# The autoencoder


def autoencoder(widths: tuple[int, int, int], batch_norm: bool) -> keras.Model:
    def block(x, kind, width, name):
        x = kind(width, 3, strides=2, padding="same", name=name)(x)
        if batch_norm:
            x = layers.BatchNormalization(name=f"{name}_bn")(x)
        return layers.ReLU(name=f"{name}_relu")(x)

    inputs = keras.Input((28, 28, 1))
    x = block(inputs, layers.Conv2D, widths[0], "conv1")
    x = block(x, layers.Conv2D, widths[1], "conv2")
    x = block(x, layers.Conv2DTranspose, widths[2], "up1")
    x = layers.Conv2DTranspose(
        1, 3, strides=2, padding="same", activation="sigmoid", name="up2"
    )(x)  # fmt: skip
    return keras.Model(inputs, x)


def run_autoencoder(mnist: Dataset, setting: str, variant: str, seed: int) -> dict:
    keras.utils.set_random_seed(seed)
    x, losses = mnist.train.inputs(), []

    def tune(model, epochs=MNIST["epochs"]):
        model.compile(keras.optimizers.Adam(MNIST["learning_rate"]), "mse")
        history = model.fit(x, x, MNIST["batch_size"], epochs, verbose=0).history
        losses.append(history["loss"][-1])

    minimal = variant == "minimal"
    model = autoencoder(MINIMAL if minimal else WIDTHS, setting == "batch norm")
    if minimal:
        tune(model, MNIST["epochs"] * MNIST["cycles"])
        counts, ended = [units(model)], True
    else:
        model, counts, ended = cycles(model, x, tune, variant, MNIST["cycles"])
    # Compiled with the loss alone, so that a penalty does not count.
    model.compile(loss="mse")
    test = mnist.test.inputs()
    return {
        "units": counts,
        "ended": ended,
        "train_loss": losses,
        "test_loss": model.evaluate(test, test, verbose=0),
    }


# The results


def plot(rows: list[dict], path: Path) -> None:
    """The units by cycle, a panel for each experiment, a colour for each variant."""
    from matplotlib.figure import Figure

    panels = list(dict.fromkeys((row["experiment"], row["setting"]) for row in rows))
    columns = -(-len(panels) // 2)
    figure = Figure(figsize=(4.2 * columns, 6.4), layout="constrained")
    axes = figure.subplots(2, columns, squeeze=False).ravel()
    for panel, place in zip(panels, axes, strict=False):
        seen = set()
        for row in rows:
            if (row["experiment"], row["setting"]) != panel or row["variant"] == "minimal":
                continue
            name, colour = row["variant"], f"C{VARIANTS.index(row['variant'])}"
            left = [sum(one.values()) for one in row["units"]]
            place.plot(left, marker=".", color=colour, label=None if name in seen else name)
            seen.add(name)
        place.set(title=f"{panel[0]}:\n{panel[1]}", xlabel="cycle", ylabel="units left")
        place.set_yscale("log")
        place.set_ylim(0.8, 1400)
        place.xaxis.get_major_locator().set_params(integer=True)
        place.set_yticks([1, 10, 100, 1000])
        place.yaxis.set_major_formatter("{x:g}")
        place.yaxis.set_minor_formatter("")
        place.legend(frameon=False)
    for place in axes[len(panels) :]:
        place.set_visible(False)
    figure.savefig(path, dpi=100)


def key(row: dict) -> tuple:
    return tuple(row[name] for name in ("experiment", "setting", "variant", "seed"))


def read(path: Path) -> list[dict]:
    return json.loads(path.read_text())["rows"] if path.exists() else []


def write(path: Path, row: dict) -> None:
    """Adds a row to those that are there, in the order of the jobs."""
    order = list(jobs())
    rows = sorted([*read(path), row], key=lambda one: order.index(key(one)))
    result = {
        "benchmark": "activation_pruning",
        "environment": environment(),
        "sum": {**SUM, "starts": STARTS},
        "autoencoder": {**MNIST, "widths": WIDTHS, "minimal": MINIMAL},
        "l1": L1,
        "rows": rows,
    }
    path.write_text(json.dumps(result, indent=1) + "\n")
    plot(rows, path.with_suffix(".png"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="mnist.npz with keras.datasets' names")
    parser.add_argument("--experiment", choices=["sum", "autoencoder"], help="only this one")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    path, mnist = arguments.out / "activation_pruning.json", data.load(arguments.data)
    # One seed of everything first.
    for job in sorted(jobs(), key=lambda one: one[-1]):
        experiment, setting, variant, seed = job
        if job in map(key, read(path)) or arguments.experiment not in (None, experiment):
            continue
        print(f"{experiment}, {setting}, {variant}, seed {seed}", flush=True)
        start = time.perf_counter()
        names = dict(zip(("experiment", "setting", "variant", "seed"), job, strict=True))
        if experiment == "sum":
            row = run_sum(setting, variant, seed)
        else:
            row = run_autoencoder(mnist, setting, variant, seed)
        print(f"  loss {row['test_loss']:.3g}, {time.perf_counter() - start:.0f} s", flush=True)
        write(path, {**names, **row})


if __name__ == "__main__":
    main()
