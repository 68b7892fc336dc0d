"""TFLite (LiteRT) files: convert, run, inspect."""

from fr_keras.tflite.agreement import Agreement
from fr_keras.tflite.convert import MODES, Conversion, ConversionWarning, convert
from fr_keras.tflite.inspect import Inspection, inspect
from fr_keras.tflite.run import Runner, run

__all__ = [
    "MODES",
    "Agreement",
    "Conversion",
    "ConversionWarning",
    "Inspection",
    "Runner",
    "convert",
    "inspect",
    "run",
]
