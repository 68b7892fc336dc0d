"""Writes the golden models that are missing: one per public layer, with its inputs and outputs.

A golden is never rewritten: it is what an older version saved, and must load forever.
"""

from pathlib import Path

import keras
import numpy as np
from layer_cases import CASES

FOLDER = Path(__file__).parent / "goldens"


def make(case) -> None:
    path = FOLDER / f"{case.cls.__name__}.keras"
    if path.exists():
        return
    keras.utils.set_random_seed(0)
    layer = case.layer(name="layer")
    model = case.model(layer)
    for part in layer.parts():
        part.truncate(9)
    x = case.inputs()
    model.save(path)
    np.savez(path.with_suffix(".npz"), x=x, y=keras.ops.convert_to_numpy(model(x)))


if __name__ == "__main__":
    for one in CASES:
        make(one)
