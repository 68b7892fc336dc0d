"""Frequency regularization for Keras, from `model.fit` to small, fast TFLite files.

Importing this package registers every class that `keras.models.load_model` needs, so it is
eager; the command line's entry point is the light module `fr_keras_cli`.
"""

_BACKEND_RULE = (
    "fr_keras needs the TensorFlow backend of Keras: its transforms and the TFLite converter are "
    "TensorFlow's. Set the environment variable KERAS_BACKEND=tensorflow, or the backend in "
    "keras.json, before Keras is imported. Received: "
)

try:
    import keras as _keras
except ImportError as error:  # a backend that is chosen but not installed fails in Keras itself
    raise ImportError(f"{_BACKEND_RULE}{error}") from error

if _keras.backend.backend() != "tensorflow":
    raise ImportError(f"{_BACKEND_RULE}backend '{_keras.backend.backend()}'")

from fr_keras import archive, interop, layers, metrics, schedules, spectral, tflite, zigzag, zoo
from fr_keras.archive import load_archive, save_archive
from fr_keras.bake import bake
from fr_keras.bands import BandEnergy
from fr_keras.capacity import CapacitySampling
from fr_keras.compact import compact
from fr_keras.layers import register_twin
from fr_keras.regularize import regularize
from fr_keras.rounding import ArchiveRounding
from fr_keras.summary import summary
from fr_keras.truncation import TailTruncation

__version__ = "0.1.0"

__all__ = [
    "ArchiveRounding",
    "BandEnergy",
    "CapacitySampling",
    "TailTruncation",
    "archive",
    "bake",
    "compact",
    "interop",
    "layers",
    "load_archive",
    "metrics",
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
