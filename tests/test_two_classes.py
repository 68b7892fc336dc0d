"""A softmax of two classes as a sigmoid of their difference."""

import keras
import numpy as np
import pytest
from keras import layers

import fr_archive
import fr_keras
from fr_keras import tflite
from fr_keras.tflite.converter import raw
from fr_keras.tflite.int8.two_classes import sigmoids
from fr_keras.tflite.modes import FLOAT32
from fr_keras.tflite.scopes import Scopes

X = np.random.default_rng(0).normal(size=(20, 6, 8, 4)).astype("float32")
RANDOM = {"kernel_initializer": "random_normal", "bias_initializer": "random_normal"}


def network(end) -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((6, 8, 4)), *end])


def separate():
    return [layers.Flatten(), layers.Dense(2, **RANDOM), layers.Softmax()]


ENDS = {
    "convolution": lambda: [layers.Conv2D(2, 3, activation="softmax", name="end", **RANDOM)],
    "no bias": lambda: [layers.Conv2D(2, 1, activation="softmax", use_bias=False)],
    "transposed": lambda: [layers.Conv2DTranspose(2, 2, 2, activation="softmax", **RANDOM)],
    "dense": lambda: [layers.Flatten(), layers.Dense(2, activation="softmax", **RANDOM)],
    "a layer of its own": separate,
}
OTHERS = {
    "three classes": lambda: [layers.Conv2D(3, 1, activation="softmax", **RANDOM)],
    "an activation before": lambda: [layers.Conv2D(2, 1, activation="relu"), layers.Softmax()],
    "another axis": lambda: [layers.Conv2D(2, 1, **RANDOM), layers.Softmax(axis=1)],
    "no layer before": lambda: [layers.Lambda(lambda x: x[..., :2]), layers.Softmax()],
}


def rewritten(model: keras.Model) -> tuple[bytes, bytes]:
    content = raw(Scopes(model), FLOAT32)
    return content, sigmoids(content, {})[0]


@pytest.mark.parametrize("end", ENDS)
def test_the_same_function(end):
    before, after = rewritten(network(ENDS[end]()))
    assert "SOFTMAX" in tflite.inspect(before).ops
    assert "SOFTMAX" not in tflite.inspect(after).ops
    assert tflite.inspect(after).ops["LOGISTIC"] == 1
    expected = tflite.run(before, X)
    np.testing.assert_allclose(tflite.run(after, X), expected, atol=1e-5)
    assert np.ptp(expected) > 0.2


@pytest.mark.parametrize("end", OTHERS)
def test_other_softmaxes_stay(end):
    _, after = rewritten(network(OTHERS[end]()))
    assert tflite.inspect(after).ops["SOFTMAX"] == 1


def test_logits_that_are_read_elsewhere_stay():
    inputs = keras.Input((5,))
    logits = layers.Dense(2, **RANDOM)(inputs)
    for outputs in ([logits, layers.Softmax()(logits)], layers.Softmax()(logits) + logits):
        _, after = rewritten(keras.Model(inputs, outputs))
        assert tflite.inspect(after).ops["SOFTMAX"] == 1


def test_a_kernel_that_other_calls_share_keeps_its_numbers():
    shared, inputs = layers.Dense(2, **RANDOM), [keras.Input((5,)), keras.Input((5,))]
    model = keras.Model(inputs, [layers.Softmax()(shared(inputs[0])), shared(inputs[1])])
    before, after = rewritten(model)
    rows = [X.reshape(-1, 5)[:20], X.reshape(-1, 5)[20:40]]
    expected, found = (tflite.run(content, rows) for content in (before, after))
    for name, one in expected.items():
        np.testing.assert_allclose(found[name], one, atol=1e-5)
    assert "LOGISTIC" in tflite.inspect(after).ops


@pytest.mark.parametrize("end", ["convolution", "dense", "a layer of its own"])
def test_int8_files_have_it_and_agree(end):
    done = tflite.convert(network(ENDS[end]()), quantize="int8", calibration=X)
    assert done.agreement.holds
    assert "SOFTMAX" not in tflite.inspect(done.content).ops


def test_the_skeleton_of_an_archive_computes_the_differences(tmp_path):
    model, path = fr_keras.regularize(network(ENDS["convolution"]()), start=10), tmp_path / "m.fr"
    fr_keras.save_archive(model, path, calibration=X, skeleton={})
    done = tflite.convert(fr_keras.load_archive(path), quantize="int8", calibration=X)
    assert fr_archive.expand(fr_archive.decode(path.read_bytes())) == done.content
    assert "LOGISTIC" in tflite.inspect(done.content).ops
    assert len(done.recipes) == 1


def test_a_layer_in_float_keeps_its_probabilities_in_float():
    model = network(ENDS["dense"]())
    name = model.layers[-1].name
    done = tflite.convert(model, quantize="int8", calibration=X, float_layers=[name])
    assert done.agreement.holds
    ops = tflite.inspect(done.content).ops
    assert (ops["LOGISTIC"], "DEQUANTIZE" in ops) == (1, True)


def test_a_quantization_aware_model_keeps_its_softmax():
    """It was trained with rounded logits, which the differences would not be."""
    model = tflite.quantization_aware(network(ENDS["a layer of its own"]()), X)
    done = tflite.convert(model, quantize="int8", calibration=X)
    assert tflite.inspect(done.content).ops["SOFTMAX"] == 1
    assert done.agreement.holds
