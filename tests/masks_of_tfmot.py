"""The masks of tensorflow-model-optimization by epoch: the program of a test in test_magnitude.py.

It is a program of its own because that package switches TensorFlow to Keras 2. It reads the
kernels and the number of epochs from one file, and writes masks and sparsities to another.
"""

import os
import sys

import numpy as np

BATCHES = 2
NAMES = ("conv", "dense")


def main(task: str, result: str) -> None:
    with np.load(task) as file:
        given = dict(file)
    epochs = int(given["epochs"])
    schedules = {name: schedule(given, name, BATCHES * (epochs - 1)) for name in NAMES}
    model = network(schedules)
    pruned = dict(zip(NAMES, model.layers[::2], strict=True))
    for name, layer in pruned.items():
        layer.layer.kernel.assign(given[name])
    masks = {}

    def record(epoch, logs):
        # Its steps begin with 1, so it cuts in the last batch of an epoch; ours, before the next.
        for name, layer in pruned.items():
            sparsity = schedules[name](BATCHES * (epoch + 1))[1]
            masks[f"{name}_{epoch + 1}_sparsity"] = float(sparsity)
            masks[f"{name}_{epoch + 1}"] = layer.pruning_vars[0][1].numpy() != 0

    model.compile(tf_keras.optimizers.SGD(0.0), "mse")
    x, y = np.ones((8 * BATCHES, 6, 6, 2)), np.ones((8 * BATCHES, 3))
    callbacks = [
        tfmot.sparsity.keras.UpdatePruningStep(),
        tf_keras.callbacks.LambdaCallback(on_epoch_end=record),
    ]
    model.fit(x, y, batch_size=8, epochs=epochs, verbose=0, callbacks=callbacks)
    np.savez(result, **masks)


def schedule(given: dict, name: str, end: int):
    sparsity = 1 - int(given[f"{name}_kept"]) / given[name].size
    return tfmot.sparsity.keras.PolynomialDecay(0.0, sparsity, 0, end, frequency=BATCHES)


def network(schedules: dict):
    prune = tfmot.sparsity.keras.prune_low_magnitude
    return tf_keras.Sequential(
        [
            tf_keras.Input((6, 6, 2)),
            prune(tf_keras.layers.Conv2D(8, 3), schedules["conv"]),
            tf_keras.layers.Flatten(),
            prune(tf_keras.layers.Dense(3), schedules["dense"]),
        ]
    )


if __name__ == "__main__":
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    import tensorflow_model_optimization as tfmot
    import tf_keras

    main(*sys.argv[1:])
