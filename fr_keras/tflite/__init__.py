"""TFLite (LiteRT) files: convert, run, inspect."""

from fr_keras.tflite._convert import Conversion, convert
from fr_keras.tflite._in_form import ConversionWarning
from fr_keras.tflite._inspect import Inspection, inspect
from fr_keras.tflite._sensitivity import sensitivity
from fr_keras.tflite.agreement import Agreement
from fr_keras.tflite.int8.aware import quantization_aware
from fr_keras.tflite.int8.rounded import FakeQuantize
from fr_keras.tflite.modes import MODES
from fr_keras.tflite.runner import Runner, run

__all__ = [
    "MODES",
    "Agreement",
    "Conversion",
    "ConversionWarning",
    "FakeQuantize",
    "Inspection",
    "Runner",
    "convert",
    "inspect",
    "quantization_aware",
    "run",
    "sensitivity",
]
