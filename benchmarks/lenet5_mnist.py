"""Trains LeNet-5 on MNIST with 776 kept coefficients: test accuracy with three fixed seeds.

    python benchmarks/lenet5_mnist.py --data mnist.npz

The settings are those of the recipe `lenet5-776` of `fr-keras train`. The shares of the layers and
the weights of the axes were chosen on the validation split; see docs/lenet5-mnist.md. The test
split is looked at once per seed, at the end.
"""

import argparse
import json
from pathlib import Path

import keras
import numpy as np
from environment import environment

from fr_bench import data, recipes
from fr_keras import TailTruncation, regularize, summary, tflite, zoo

SEEDS = (0, 1, 2)
RECIPE = recipes.named("lenet5-776")
KEEP, AXIS_WEIGHTS = RECIPE.keep, RECIPE.axis_weights
BATCH_SIZE, LEARNING_RATE = RECIPE.batch_size, RECIPE.learning_rate


def train(mnist: data.Dataset, seed: int, epochs: int) -> tuple[keras.Model, dict]:
    keras.utils.set_random_seed(seed)
    model = regularize(zoo.lenet5(batch_norm=True), axis_weights=AXIS_WEIGHTS)
    steps = -(-len(mnist.train) // BATCH_SIZE) * epochs
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, int(steps * 0.95), warmup_target=LEARNING_RATE, warmup_steps=int(steps * 0.05)
    )
    model.compile(
        keras.optimizers.Adam(rate, beta_2=0.99),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    history = model.fit(
        mnist.train.inputs(),
        mnist.train.y,
        batch_size=BATCH_SIZE,
        epochs=epochs,
        validation_data=(mnist.validation.inputs(), mnist.validation.y),
        callbacks=[TailTruncation(KEEP, epochs=1, schedule="constant")],
        verbose=2,
    )
    return model, history.history


def one_seed(mnist: data.Dataset, seed: int, epochs: int) -> dict:
    model, history = train(mnist, seed, epochs)
    int8 = tflite.convert(model, quantize="int8", calibration=mnist.train.inputs())
    outputs = {
        "float": model.predict(mnist.test.inputs(), batch_size=500, verbose=0),
        "int8": tflite.run(int8.content, mnist.test.inputs()),
    }
    found = summary(model)
    return {
        "seed": seed,
        "kept": found.kept,
        "other_numbers": found.total("other"),
        "corners": {row.name: row.corner for row in found.rows if row.corner},
        "train_accuracy": history["accuracy"][-1],
        "validation_accuracy": history["val_accuracy"][-1],
        "test_accuracy": {
            name: float(np.mean(y.argmax(-1) == mnist.test.y)) for name, y in outputs.items()
        },
        "int8_bytes": len(int8.content),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="mnist.npz with keras.datasets' names")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    mnist = data.load(arguments.data)
    rows = [one_seed(mnist, seed, arguments.epochs) for seed in arguments.seeds]
    result = {
        "benchmark": "lenet5_mnist",
        "environment": environment(),
        "epochs": arguments.epochs,
        "keep": KEEP,
        "axis_weights": AXIS_WEIGHTS,
        "batch_size": BATCH_SIZE,
        "learning_rate": LEARNING_RATE,
        "seeds": rows,
    }
    (arguments.out / "lenet5_mnist.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps([row["test_accuracy"] for row in rows]))


if __name__ == "__main__":
    main()
