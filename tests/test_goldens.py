"""Models that older versions saved load and compute what they computed."""

from pathlib import Path

import keras
import numpy as np
import pytest
from networks import relative_difference

from fr_keras import layers, methods

FOLDER = Path(__file__).parent / "goldens"


def test_every_layer_has_a_golden():
    names = {path.stem for path in FOLDER.glob("*.keras")}
    assert names == {cls.__name__ for cls in layers.TWINS.values()}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.keras")), ids=lambda path: path.stem)
def test_golden_loads_and_computes_the_same(path):
    model = keras.models.load_model(path)
    arrays = np.load(path.with_suffix(".npz"))
    assert {part.kept for part in model.get_layer("layer").parts()} == {9}
    y = keras.ops.convert_to_numpy(model(arrays["x"]))
    assert relative_difference(arrays["y"], y) < 1e-5  # float32 rounding of another machine


LEVELS = sorted((FOLDER / "levels").glob("*.keras"))


def test_every_quantizer_has_a_golden():
    found = (getattr(methods, name) for name in methods.__all__)
    known = {one.__name__ for one in found if isinstance(one, type)}
    quantizers = {one.__name__ for one in layers.Quantizer.__subclasses__()}
    assert {path.stem for path in LEVELS} == known & quantizers


@pytest.mark.parametrize("path", LEVELS, ids=lambda path: path.stem)
def test_a_quantized_golden_loads_and_computes_the_same(path):
    model = keras.models.load_model(path)
    arrays = np.load(path.with_suffix(".npz"))
    y = keras.ops.convert_to_numpy(model(arrays["x"]))
    assert relative_difference(arrays["y"], y) < 1e-5  # float32 rounding of another machine
    for layer in model.layers:
        if isinstance(layer, layers.QuantizedKernel):
            most = layer.quantizer.most_levels
            assert all(1 < len(one) <= most for one in layer.levels().values())
