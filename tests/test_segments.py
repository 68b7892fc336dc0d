"""Bottlenecks in segments: the same function in float, less noise in int8, only where it helps."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers

from fr_keras import interop, regularize, tflite
from fr_keras.layers.forms import chooser
from fr_keras.models.walk import frequency_layers
from fr_keras.tflite.converter import raw
from fr_keras.tflite.deployable import deployable
from fr_keras.tflite.file import flatbuffer
from fr_keras.tflite.int8.ranges import calibrated, quantized
from fr_keras.tflite.int8.segments import _segments, reaches, segmented
from fr_keras.tflite.lowering import _noise
from fr_keras.tflite.modes import INT8
from fr_keras.tflite.runner import Runner
from fr_keras.tflite.scopes import Scopes


def images(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((rows, 16, 16, 3)).astype("float32")


def block(x, filters: int, name: str):
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=name)(x)
    return layers.ReLU()(layers.BatchNormalization(name=f"{name}_bn")(x))


@pytest.fixture(scope="module")
def net() -> keras.Model:
    """A U-Net of one level with few channels between its stages."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 16, 3))
    skip = block(block(inputs, 32, "first"), 32, "down0")
    x = block(layers.MaxPooling2D()(skip), 48, "down1")
    x = layers.Conv2DTranspose(32, 2, strides=2, use_bias=False, name="up0")(x)
    x = block(layers.Concatenate()([skip, x]), 32, "up0_conv")
    model = regularize(keras.Model(inputs, layers.Conv2D(2, 1, name="classifier")(x)))
    for layer in frequency_layers(model):
        layer.truncate(min(30, layer.kept))
        # The loudest channel, the mean of all inputs, is hardly listened to.
        values = layer.kept_coefficients()
        values[..., 0, :] *= 0.1
        layer.set_coefficients(values)
    interop.calibrate_batch_norm(model, images(32))
    return model


@pytest.fixture(scope="module")
def float_file(net) -> bytes:
    return calibrated(raw(Scopes(deployable(net, chooser("factored")).model), INT8), [images(16)])


def ops(content: bytes) -> dict[str, int]:
    return tflite.inspect(content).ops


def activations(content: bytes) -> int:
    """How many ops clip at 6."""
    operators = flatbuffer.read(content).subgraphs[0].operators
    return sum(getattr(op.builtinOptions, "fusedActivationFunction", 0) == 3 for op in operators)


@given(
    st.lists(st.tuples(st.floats(0, 50), st.floats(0, 50)), min_size=1, max_size=6),
    st.integers(1, 40),
)
def test_segments_add_up_to_the_channel(pairs, count):
    reach = np.array(pairs).T
    found = _segments(reach, count)
    if found is None:
        sides = np.count_nonzero(reach >= 1e-6 * reach.max())
        assert reach.max() < 1e-5 or count < sides
        return
    assert len(found.channels) <= count
    z = np.random.default_rng(0).uniform(-reach[1], reach[0], (50, reach.shape[1]))
    z = np.vstack([z, reach[0], -reach[1], 0 * reach[0]])
    stored = np.clip(6 * (found.signs * z[:, found.channels] / found.width - found.starts), 0, 6)
    again = np.zeros_like(z)
    np.add.at(again.T, found.channels, (stored * found.signs * found.width / 6).T)
    np.testing.assert_allclose(again, z, atol=2e-6 * max(reach.max(), 1))
    assert not stored[-1].any()  # padding with zeros stays what it is


def test_the_float_file_computes_the_same(float_file):
    rows = images(4)
    reach = reaches(float_file, [images(16)])
    for part in reach.values():
        part *= 3  # rows that calibration did not see stay inside, too
    before = tflite.run(float_file, rows)
    content, count, _ = segmented(float_file, reach, 0)
    assert count >= 8
    assert activations(content) >= count
    assert np.abs(tflite.run(content, rows) - before).max() < 1e-4 * np.ptp(before)
    assert {*ops(content)} == {*ops(float_file)} - {"ADD"} | {"CONCATENATION"}
    unchanged, none, _ = segmented(float_file, reach, np.inf)
    assert none == 0
    np.testing.assert_array_equal(tflite.run(unchanged, rows), before)


def test_a_higher_resolution_comes_first(float_file):
    reach = reaches(float_file, [images(16)])
    counts = [segmented(float_file, reach, share)[1] for share in (np.inf, 0.5, 0.01)]
    assert counts[0] < counts[1] < counts[2]


def test_int8_has_less_noise(net, float_file):
    rows = images(8, seed=1)
    exact = {"y": tflite.run(float_file, rows)}
    reach = reaches(float_file, [images(16)])
    noises = []
    for share in (np.inf, 0):
        file = quantized(segmented(float_file, reach, share)[0], float_io=True)
        noises.append(_noise({"y": tflite.run(file, rows)}, exact))
    # Kernels and wide activations are rounded as before.
    assert noises[1] < 0.75 * noises[0]


def test_convert_takes_them_where_they_help_and_only_there(net):
    done = tflite.convert(net, quantize="int8", calibration=images(40), form="factored")
    assert activations(done.content) > 0
    expected = np.asarray(net(images(8, seed=2)))
    noise = _noise({"y": tflite.run(done.content, images(8, seed=2))}, {"y": expected})
    assert noise < 0.15
    # Whole kernels have no bottlenecks, and a calm network needs no segments.
    calm = keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(8, 3), layers.Conv2D(4, 3)])
    for model, form in ((net, "dense"), (calm, "auto")):
        done = tflite.convert(model, quantize="int8", calibration=images(40), form=form)
        assert activations(done.content) == 0


def test_layers_in_float_stay_exact_beside_them(net):
    rows = images(40)
    done = tflite.convert(
        net, quantize="int8", calibration=rows, form="factored", float_layers=["up0", "up0_conv"]
    )
    assert activations(done.content) > 0
    assert "DEQUANTIZE" in ops(done.content)
    expected = np.asarray(net(images(8, seed=2)))
    assert _noise({"y": tflite.run(done.content, images(8, seed=2))}, {"y": expected}) < 0.15


def test_dense_chains_have_bottlenecks_too():
    keras.utils.set_random_seed(0)
    plain = keras.Sequential(
        [keras.Input((64,)), layers.Dense(64, activation="relu", name="wide"), layers.Dense(3)]
    )
    model = regularize(plain, include="wide")
    model.get_layer("wide").truncate(30)
    x = np.random.default_rng(0).normal(3, 1, (60, 64)).astype("float32")
    content = calibrated(raw(Scopes(deployable(model, chooser("factored")).model), INT8), [x])
    reach = reaches(content, [x])
    split, count, _ = segmented(content, reach, 0)
    assert count == len(reach) == 1
    np.testing.assert_allclose(
        tflite.run(split, x), tflite.run(content, x), atol=1e-2 * np.abs(x).max()
    )


@pytest.mark.slow
def test_channels_that_no_row_excites_divide_by_nothing(net):
    black = np.zeros((10, 16, 16, 3), "float32")
    content = calibrated(raw(Scopes(deployable(net, chooser("factored")).model), INT8), [black])
    reach = reaches(content, [black])
    assert any(not one.any() for one in reach.values())
    split, _, _ = segmented(content, reach, 0)
    assert np.isfinite(Runner(split).run(black)).all()
    done = tflite.convert(net, quantize="int8", calibration=black, form="factored")
    assert np.isfinite(tflite.run(done.content, images(2))).all()


def test_a_model_that_learnt_its_steps_keeps_them(net):
    aware = tflite.quantization_aware(net, images(40))
    done = tflite.convert(aware, quantize="int8", calibration=images(40))
    assert activations(done.content) == 0
