"""A training that is backed up each epoch and may kill itself: `resumable_run.py STEP DIR...`.

STEP counts the batches of this process; with 0 a run in each folder goes to its end and writes
weights.
"""

import os
import signal
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from networks import images, small_convnet

from fr_keras import TailTruncation, regularize

EPOCHS, BATCHES = 6, 4


class KillAt(keras.callbacks.Callback):
    def __init__(self, step: int):
        super().__init__()
        self.left = step

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            self.kill()

    def kill(self):
        os.kill(os.getpid(), signal.SIGKILL)


def train(folder: Path, *others: keras.callbacks.Callback) -> None:
    keras.utils.set_random_seed(0)
    plain = small_convnet()
    plain.get_layer("dropout").rate = 0.0  # its random state is not part of Keras' backup
    model = regularize(plain)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    callbacks = [
        TailTruncation(0.1, epochs=4, schedule="linear", warmup=1),
        keras.callbacks.BackupAndRestore(folder / "backup"),
        *others,
    ]
    model.fit(
        images(8 * BATCHES),
        np.arange(8 * BATCHES) % 5,
        batch_size=8,
        epochs=EPOCHS,
        shuffle=False,
        verbose=0,
        callbacks=callbacks,
    )
    np.savez(folder / "weights.npz", *model.get_weights())


if __name__ == "__main__":
    tf.config.experimental.enable_op_determinism()
    for name in sys.argv[2:]:
        train(Path(name), *[KillAt(step) for step in [int(sys.argv[1])] if step])
