"""Writes the example for Android that `fr-keras compress` makes, for a small network.

PYTHONPATH=. python tools/android/guide_example.py FOLDER
"""

import sys
from pathlib import Path

import keras
import numpy as np

from fr_bench.report import android_example
from fr_keras import tflite

#: Names that a string of Kotlin must escape.
LABELS = ('say "a"', "$b ${c}", "back\\slash")


def main() -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(len(LABELS), activation="softmax"))
    rows = np.random.default_rng(0).random((40, 4, 4, 1), np.float32)
    done = tflite.convert(
        model, quantize="int8", calibration=rows, labels=LABELS, normalization=(1 / 255, 0.0)
    )
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Model.kt").write_text(android_example(done.content))


if __name__ == "__main__":
    main()
