"""Frequency regularization for Keras, from `model.fit` to small, fast TFLite files.

Importing this package registers every class that `keras.models.load_model` needs, so all of it is
imported at once. The command line starts in `fr_keras_cli`, which is quick to import.
"""

# First, because it says what to do if Keras does not find its backend.
from fr_keras import _backends  # noqa: F401, I001
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
