"""Trains ResNet-20 on CIFAR-10: plain, and FR with 10 %, 3 % and 1 % kept; draws the curves.

    python benchmarks/cifar10_resnet20.py --data cifar10_jpeg.npz --epochs 12

All networks have the same seed and training: images flipped and shifted by up to 4 pixels, Adam
with a cosine, and a total divided by bandwidth. The test split is looked at once per network, at
the end. The row of a network is written as soon as it is done; an existing row of the same length
is not trained again.
"""

import argparse
import json
from pathlib import Path

import cifar
import keras
import tensorflow as tf
from environment import device, environment

from fr_bench.data import Dataset, Split
from fr_keras import TailTruncation, regularize, summary, zoo

KEEPS = (None, 0.1, 0.03, 0.01)
SEED = 0
BATCH_SIZE = 64
LEARNING_RATE = 6e-3
TRUNCATION = 0.3  # of the epochs


def batches(split: Split) -> tf.data.Dataset:
    """The rows in a new order each epoch, flipped and shifted at random."""

    def augmented(x, y):
        x = tf.image.random_flip_left_right(tf.pad(x, [[4, 4], [4, 4], [0, 0]]))
        return tf.image.random_crop(x, (32, 32, 3)), y

    rows = tf.data.Dataset.from_tensor_slices((split.inputs(), split.y)).shuffle(len(split))
    return rows.map(augmented, tf.data.AUTOTUNE).batch(BATCH_SIZE).prefetch(tf.data.AUTOTUNE)


def train(cifar10: Dataset, keep: float | None, epochs: int) -> dict:
    keras.utils.set_random_seed(SEED)
    model, callbacks = zoo.resnet20(), []
    if keep is not None:
        model = regularize(model)
        cut = TailTruncation(keep, max(1, round(epochs * TRUNCATION)), sharing="bandwidth")
        callbacks = [cut]
    steps = -(-len(cifar10.train) // BATCH_SIZE) * epochs
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, int(steps * 0.9), warmup_target=LEARNING_RATE, warmup_steps=int(steps * 0.1)
    )
    model.compile(
        keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    validation = cifar10.validation.batches(BATCH_SIZE)
    history = model.fit(
        batches(cifar10.train), epochs=epochs, validation_data=validation, callbacks=callbacks,
        verbose=2,
    ).history  # fmt: skip
    test = model.evaluate(cifar10.test.batches(BATCH_SIZE), verbose=0, return_dict=True)
    return {
        "keep": keep,
        "kept": summary(model if keep else regularize(model)).kept,
        "epochs": epochs,
        "device": device(),
        "history": {name: [round(float(v), 5) for v in values] for name, values in history.items()},
        "test_accuracy": test["accuracy"],
    }


def plot(rows: list[dict], path: Path) -> None:
    """Validation accuracy by epoch, one line a network."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for row in rows:
        name = "plain" if row["keep"] is None else f"FR, {row['keep']:.0%} kept"
        curve = row["history"]["val_accuracy"]
        axes.plot(range(1, len(curve) + 1), curve, label=f"{name}: {row['test_accuracy']:.1%} test")
    axes.set(xlabel="epoch", ylabel="validation accuracy")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="CIFAR-10 as a .npz of JPEG files")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    path = arguments.out / "cifar10_resnet20.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    rows = [row for row in rows if row["epochs"] == arguments.epochs]
    cifar10 = cifar.load(arguments.data)
    for keep in KEEPS:
        if keep in [row["keep"] for row in rows]:
            continue
        rows.append(train(cifar10, keep, arguments.epochs))
        result = {
            "benchmark": "cifar10_resnet20",
            "environment": environment(),
            "seed": SEED,
            "batch_size": BATCH_SIZE,
            "learning_rate": LEARNING_RATE,
            "rows": rows,
        }
        path.write_text(json.dumps(result, indent=1) + "\n")
        plot(rows, path.with_suffix(".png"))


if __name__ == "__main__":
    main()
