"""Magnitude pruning in tf-keras: the program that `fr_bench.candidates._pruning` starts.

It is a program of its own, because tensorflow-model-optimization switches TensorFlow to Keras 2
for the whole process. Its one argument is a folder. It reads `task.json`, `weights.npz` and
`data.npz` there, writes `pruned.npz` and `result.json`, and prints one line of JSON per epoch.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

if __name__ == "__main__":  # a mere import must not switch the process to Keras 2
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow_model_optimization as tfmot
    import tf_keras

_PROBED = 8


def main(folder: Path) -> None:
    task = json.loads((folder / "task.json").read_text())
    with np.load(folder / "data.npz") as file:
        data = dict(file)
    tf_keras.utils.set_random_seed(task["seed"])
    model = tf_keras.Model.from_config(task["architecture"])
    with np.load(folder / "weights.npz") as file:
        assign(model, dict(file))
    pruned = wrapped(model, task)
    start = time.perf_counter()
    history = fit(pruned, data, task)
    seconds = time.perf_counter() - start
    kept = sum(
        int(np.count_nonzero(mask))
        for layer in pruned.layers
        if hasattr(layer, "pruning_vars")
        for _, mask, _ in layer.pruning_vars
    )
    model = tfmot.sparsity.keras.strip_pruning(pruned)
    np.savez(folder / "pruned.npz", **weights(model))
    probe = model.predict(data["x_validation"][:_PROBED], verbose=0)
    result = {
        "kept": kept,
        "history": history,
        "seconds": seconds,
        "rows": len(data["x_train"]) * len(history["loss"]),
        "probe": np.asarray(probe).tolist(),
    }
    (folder / "result.json").write_text(json.dumps(result))


def wrapped(model, task: dict):
    """Returns the model with a mask on every layer that is to be pruned."""
    # One cut per epoch; the last is at the end of the ramp, which the steps must meet exactly.
    steps = task["steps_per_epoch"]

    def wrap(layer):
        if layer.name not in task["sparsity"]:
            return layer
        schedule = tfmot.sparsity.keras.PolynomialDecay(
            initial_sparsity=0.0,
            final_sparsity=task["sparsity"][layer.name],
            begin_step=0,
            end_step=steps * task["truncation_epochs"],
            frequency=steps,
        )
        return tfmot.sparsity.keras.prune_low_magnitude(layer, schedule)

    return tf_keras.models.clone_model(model, clone_function=wrap)


def fit(model, data: dict, task: dict) -> dict:
    steps = task["steps_per_epoch"] * task["epochs"]
    rate = tf_keras.optimizers.schedules.CosineDecay(task["learning_rate"], steps)
    model.compile(
        tf_keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    history = model.fit(
        data["x_train"],
        data["y_train"],
        batch_size=task["batch_size"],
        epochs=task["epochs"],
        validation_data=(data["x_validation"], data["y_validation"]),
        callbacks=[
            tfmot.sparsity.keras.UpdatePruningStep(),
            tf_keras.callbacks.LambdaCallback(on_epoch_end=report),
        ],
        verbose=0,
    ).history
    return {name: [float(value) for value in values] for name, values in history.items()}


def report(epoch: int, logs: dict) -> None:
    print(json.dumps({name: float(value) for name, value in logs.items()}), flush=True)


def weights(model) -> dict:
    return {
        f"{layer.name}/{number}": values
        for layer in model.layers
        for number, values in enumerate(layer.get_weights())
    }


def assign(model, values: dict) -> None:
    for layer in model.layers:
        layer.set_weights(
            [values.pop(f"{layer.name}/{number}") for number in range(len(layer.get_weights()))]
        )
    if values:
        raise ValueError(f"no layer in tf-keras takes the weights {sorted(values)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
