"""TFLite (LiteRT) files: convert, run, inspect."""

from fr_keras.tflite.agreement import Agreement
from fr_keras.tflite.aware import quantization_aware
from fr_keras.tflite.convert import MODES, Conversion, ConversionWarning, convert
from fr_keras.tflite.inspect import Inspection, inspect
from fr_keras.tflite.rounded import FakeQuantize
from fr_keras.tflite.run import Runner, run
from fr_keras.tflite.sensitivity import sensitivity

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
