"""Writes what Python reads in published int8 files, to test the code of the Android guide.

PYTHONPATH=. python tools/android/guide_corpus.py FILE
"""

import json
import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from fr_keras import tflite

MODELS = Path(__file__).resolve().parents[2] / "tflite_models"
#: Reals inside and outside of the range of the inputs.
REALS = np.linspace(-0.5, 1.5, 28 * 28, dtype=np.float32).reshape(1, 28, 28, 1)


def entry(path: Path) -> dict:
    """What a file says, and the numbers that `REALS` become in it."""
    interpreter = Interpreter(str(path))
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    metadata = tflite.inspect(path).metadata
    normalization = metadata["normalization"]
    (numbers,) = tflite.Runner(path).own([REALS])
    return {
        "file": str(path),
        "input": list(taken["quantization"]),
        "output": list(given["quantization"]),
        "size": int(np.prod(given["shape"])),
        "labels": metadata["labels"],
        "white": 255 * normalization["scale"] + normalization["offset"],
        "reals": REALS.ravel().tolist(),
        "numbers": numbers.ravel().tolist(),
    }


if __name__ == "__main__":
    entries = [entry(path) for path in sorted(MODELS.glob("*_int8.tflite"))]
    Path(sys.argv[1]).write_text(json.dumps(entries))
