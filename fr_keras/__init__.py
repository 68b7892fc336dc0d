"""Frequency regularization for Keras, from `model.fit` to small, fast TFLite files.

Importing this package registers every class that `keras.models.load_model` needs, so all of it is
imported at once. The command line starts in `fr_keras_cli`, which is quick to import.
"""

_BACKEND_RULE = (
    "fr_keras needs the TensorFlow backend of Keras, because its transforms and the TFLite "
    "converter belong to TensorFlow. Set the environment variable KERAS_BACKEND=tensorflow, or the "
    "backend in keras.json, before Keras is imported. Received: "
)

try:
    import keras as _keras
except ImportError as error:  # a backend that is chosen but not installed fails in Keras itself
    raise ImportError(f"{_BACKEND_RULE}{error}") from error

if _keras.backend.backend() != "tensorflow":
    raise ImportError(f"{_BACKEND_RULE}backend '{_keras.backend.backend()}'")

from fr_keras import (
    archive,
    callbacks,
    interop,
    layers,
    methods,
    metrics,
    models,
    spectral,
    tflite,
    zigzag,
    zoo,
)
from fr_keras.archive import load_archive, save_archive
from fr_keras.callbacks import (
    ArchiveRounding,
    BandEnergy,
    CapacitySampling,
    TailTruncation,
    schedules,
)
from fr_keras.layers import register_twin
from fr_keras.models import bake, compact, order_channels, regularize, summary

__version__ = "0.1.0"

__all__ = [
    "ArchiveRounding",
    "BandEnergy",
    "CapacitySampling",
    "TailTruncation",
    "archive",
    "bake",
    "callbacks",
    "compact",
    "interop",
    "layers",
    "load_archive",
    "methods",
    "metrics",
    "models",
    "order_channels",
    "register_twin",
    "regularize",
    "save_archive",
    "schedules",
    "spectral",
    "summary",
    "tflite",
    "zigzag",
    "zoo",
]
