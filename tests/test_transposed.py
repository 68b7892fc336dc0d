"""Transposed convolutions as 1x1 convolutions and DEPTH_TO_SPACE."""

import keras
import numpy as np
import pytest
from keras import layers

from fr_keras import tflite
from fr_keras.tflite.converter import raw
from fr_keras.tflite.int8.transposed import depth_to_space
from fr_keras.tflite.modes import FLOAT32
from fr_keras.tflite.scopes import Scopes

X = np.random.default_rng(0).normal(size=(3, 6, 8, 4)).astype("float32")


def network(size, stride, **options) -> keras.Model:
    keras.utils.set_random_seed(0)
    options = {"bias_initializer": "random_normal", **options}
    return keras.Sequential(
        [
            keras.Input((6, 8, 4)),
            layers.Conv2DTranspose(5, size, strides=stride, name="up", **options),
            layers.Conv2D(3, 1, name="behind"),
        ]
    )


@pytest.mark.parametrize("side", [2, 3])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("options", [{}, {"use_bias": False}, {"activation": "relu"}], ids=str)
def test_same_function(side, padding, options):
    content = raw(Scopes(network(side, side, padding=padding, **options)), FLOAT32)
    rewritten, _ = depth_to_space(content)
    ops = tflite.inspect(rewritten).ops
    assert "TRANSPOSE_CONV" not in ops
    assert ops["DEPTH_TO_SPACE"] == 1
    expected = tflite.run(content, X)
    np.testing.assert_allclose(tflite.run(rewritten, X), expected, atol=1e-5)
    assert np.ptp(expected) > 0.5


@pytest.mark.parametrize(("size", "stride"), [(3, 2), (2, 1), ((2, 3), 2)])
def test_windows_that_overlap_stay(size, stride):
    rewritten, _ = depth_to_space(raw(Scopes(network(size, stride, padding="same")), FLOAT32))
    assert tflite.inspect(rewritten).ops["TRANSPOSE_CONV"] == 1


def test_int8_files_have_it_and_agree():
    model = network(2, 2)
    rows = np.random.default_rng(1).normal(size=(60, 6, 8, 4))
    done = tflite.convert(model, quantize="int8", calibration=rows)
    assert done.agreement.holds
    assert "TRANSPOSE_CONV" not in tflite.inspect(done.content).ops
    in_float = tflite.convert(model, quantize="int8", calibration=rows, float_layers=["up"])
    assert in_float.agreement.mean <= done.agreement.mean
    assert "DEQUANTIZE" in tflite.inspect(in_float.content).ops
    assert "TRANSPOSE_CONV" in tflite.inspect(tflite.convert(model).content).ops
