"""Frequency regularization for Keras, from `model.fit` to small, fast TFLite files.

Importing this package registers every class that `keras.models.load_model` needs, so it is
eager; the command line's entry point is the light module `fr_keras_cli`.
"""

import keras as _keras

if _keras.backend.backend() != "tensorflow":
    raise ImportError(
        "fr_keras needs the TensorFlow backend of Keras: its transforms and the TFLite converter "
        f"are TensorFlow's. Received: backend '{_keras.backend.backend()}'. Set the environment "
        "variable KERAS_BACKEND=tensorflow, or the backend in keras.json, before Keras is imported."
    )

from fr_keras import layers, schedules, spectral, tflite, zigzag, zoo
from fr_keras.bake import bake
from fr_keras.regularize import regularize
from fr_keras.summary import summary
from fr_keras.truncation import TailTruncation

__version__ = "0.1.0"

__all__ = [
    "TailTruncation",
    "bake",
    "layers",
    "regularize",
    "schedules",
    "spectral",
    "summary",
    "tflite",
    "zigzag",
    "zoo",
]
