"""Models in other floats than float32: every mode, every way in which a layer has a type."""

import keras
import numpy as np
import pytest
from examples import telling
from keras import layers as kl
from networks import bfloat16

from fr_keras import regularize
from fr_keras.layers.forms import chooser
from fr_keras.tflite import convert, quantization_aware, run
from fr_keras.tflite.deployable import deployable

pytestmark = pytest.mark.usefixtures("stepwise_module")

MODES = ("float32", "float16", "dynamic", "int8", "int16x8")
FLOATS = (
    "float64",
    pytest.param("float16", marks=pytest.mark.slow),
    "mixed_float16",
    *(
        pytest.param(one, marks=(bfloat16, pytest.mark.slow))
        for one in ("bfloat16", "mixed_bfloat16")
    ),
)


def images(count=40):
    return np.random.default_rng(0).normal(size=(count, 8, 8, 3))


def convolutional(dtype):
    inputs = keras.Input((8, 8, 3), dtype=dtype.removeprefix("mixed_"))
    x = kl.Conv2D(8, 3, activation="relu", dtype=dtype)(inputs)
    x = kl.BatchNormalization(dtype=dtype)(x)
    return keras.Model(inputs, kl.Dense(3, dtype=dtype)(kl.Flatten(dtype=dtype)(x)))


@pytest.mark.parametrize("mode", telling(MODES, "float32", "int8"))
@pytest.mark.parametrize("frequencies", telling([False, True], True))
def test_a_float64_model_in_every_mode(mode, frequencies):
    model, x = convolutional("float64"), images()
    model = regularize(model) if frequencies else model
    file = convert(model, quantize=mode, calibration=x)
    assert file.agreement.holds
    expected = model.predict(x, verbose=0)
    assert expected.dtype == "float64"
    if mode == "float32":
        assert np.abs(run(file.content, x) - expected).max() < 1e-4


def of_layer(layer, shape=(6, 4)):
    def make(dtype):
        inputs = keras.Input(shape, dtype=dtype.removeprefix("mixed_"))
        return keras.Model(inputs, layer(dtype)(inputs))

    return make


def gru(dtype):
    # Keras cannot make an orthogonal matrix in bfloat16.
    return kl.GRU(3, dtype=dtype, unroll=True, recurrent_initializer="glorot_uniform")


def nested(dtype):
    inner = [keras.Input((4,), dtype=dtype.removeprefix("mixed_")), kl.Dense(5, dtype=dtype)]
    return keras.Sequential([*inner, kl.BatchNormalization(dtype=dtype)])


def operators(dtype):
    dtype = dtype.removeprefix("mixed_")
    inputs = keras.Input((6, 4))
    x = keras.ops.cast(kl.Dense(5)(inputs), dtype)
    return keras.Model(inputs, keras.ops.relu(x + x) * 2.0)


MODELS = {
    "convolutional": convolutional,
    "sequential": nested,
    "operators": operators,
    "time distributed": of_layer(lambda d: kl.TimeDistributed(kl.Dense(5, dtype=d), dtype=d)),
    "time distributed model": of_layer(lambda d: kl.TimeDistributed(nested(d), dtype=d)),
    "bidirectional": of_layer(lambda d: kl.Bidirectional(gru(d))),
    "attention": of_layer(
        lambda d: lambda x: kl.MultiHeadAttention(2, 3, dtype=d)(x, x),
    ),
    "lambda": of_layer(lambda d: kl.Lambda(lambda x: x * 2, output_shape=(6, 4), dtype=d)),
    "normalization": of_layer(lambda d: kl.Normalization(mean=1.0, variance=4.0, dtype=d)),
    "rescaling": of_layer(lambda d: kl.Rescaling(1 / 7, dtype=d)),
}


@pytest.mark.parametrize(
    "name", telling(MODELS, "operators", "time distributed model", "attention", "lambda")
)
@pytest.mark.parametrize("dtype", FLOATS)
def test_what_is_converted_is_float32(name, dtype):
    model = MODELS[name](dtype)
    plain = deployable(model, chooser("auto")).model
    for layer in plain._flatten_layers():
        if not isinstance(layer, keras.Model):
            assert {layer.compute_dtype, layer.dtype} == {"float32"}
    tensors = [*plain.inputs, *plain.outputs]
    assert {tensor.dtype for tensor in tensors} == {"float32"}
    rows = np.random.default_rng(0).normal(size=(5, *model.inputs[0].shape[1:])).astype("float32")
    found, expected = (np.asarray(one(rows), "float64") for one in (plain, model))
    step = {"float64": 1e-5, "float16": 2e-2}.get(dtype.removeprefix("mixed_"), 1e-1)
    assert np.abs(found - expected).max() < step * np.abs(expected).max()
    if dtype in ("float64", "mixed_bfloat16"):
        assert convert(model).agreement.holds


def test_a_float64_model_is_fine_tuned_in_float32():
    model, x = convolutional("float64"), images()
    aware = quantization_aware(model, x)
    assert {weight.dtype for weight in aware.weights} == {"float32"}
    assert convert(aware, quantize="int8", calibration=x).agreement.holds
