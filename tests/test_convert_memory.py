"""`convert` to a goal of memory."""

import functools
import json

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from keras import layers
from networks import live

import fr_archive
import fr_keras
from fr_keras import regularize, tflite
from fr_keras.models.walk import frequency_layers
from fr_keras_cli import main as cli

pytestmark = pytest.mark.filterwarnings("ignore::fr_keras.tflite.ConversionWarning")
X = np.random.default_rng(0).random((8, 64, 48, 3), np.float32)


def network() -> keras.Model:
    """A U-Net of one level that keeps 24 coefficients a layer."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((64, 48, 3))
    skip = layers.Conv2D(48, 3, padding="same", activation="relu", name="down")(inputs)
    x = layers.Conv2D(64, 3, padding="same", activation="relu")(layers.MaxPooling2D()(skip))
    x = layers.Concatenate()([skip, layers.Conv2DTranspose(48, 2, 2, name="up")(x)])
    x = layers.Conv2D(48, 3, padding="same", activation="relu")(x)
    model = regularize(live(keras.Model(inputs, layers.Conv2D(2, 1, name="mask")(x)), X))
    for layer in frequency_layers(model):
        layer.truncate(min(24, layer.kept))
        shape = layer.coefficients.shape
        layer.set_coefficients(np.random.default_rng(1).normal(size=shape) * shape[-1] ** 0.5)
    return model


@pytest.fixture(scope="module")
def model():
    return network()


@pytest.fixture(scope="module")
def before(model):
    def converted(mode: str) -> bytes:
        return tflite.convert(model, quantize=mode, calibration=X, form="factored").content

    return functools.cache(converted)


@pytest.mark.parametrize("mode", [pytest.param("float32", marks=pytest.mark.slow), "int8"])
def test_outputs_stay_and_the_goal_is_kept(model, before, mode):
    expected = tflite.inspect(before(mode)).memory.total
    options = {"quantize": mode, "calibration": X, "form": "factored"}
    done = tflite.convert(model, memory=int(0.6 * expected), **options)
    seen = tflite.inspect(done.content)
    assert seen.memory.total <= 0.6 * expected
    assert {"SLICE", "CONCATENATION"} <= {*seen.ops}
    one, two = (tflite.run(content, X) for content in (before(mode), done.content))
    np.testing.assert_allclose(two, one, atol=0 if mode == "int8" else 1e-6 * np.abs(one).max())
    assert (seen.inputs, seen.outputs) == (
        tflite.inspect(before(mode)).inputs,
        tflite.inspect(before(mode)).outputs,
    )
    assert seen.metadata["quantize"] == mode


@pytest.mark.slow
def test_the_archive_makes_the_same_file(model, before, tmp_path):
    """Strips share their constants, so that recipes fill those of all."""
    goal = int(0.6 * tflite.inspect(before("int8")).memory.total)
    arguments = {"memory": goal, "form": "factored"}
    path = tmp_path / "m.fr"
    fr_keras.save_archive(model, path, calibration=X, skeleton=arguments)
    done = tflite.convert(fr_keras.load_archive(path), quantize="int8", calibration=X, **arguments)
    assert tflite.inspect(done.content).ops["SLICE"] > 4
    assert len(done.recipes) > 4
    assert fr_archive.expand(fr_archive.decode(path.read_bytes())) == done.content


@pytest.mark.parametrize("memory", [0, -1, True, 1.5, "90MB", "all"])
def test_bad_values(model, memory):
    with pytest.raises(ValueError, match=r"`memory` must be a number of bytes above 0, 'auto'"):
        tflite.convert(model, memory=memory)


def test_a_goal_that_is_too_low_writes_no_file(model, tmp_path):
    with pytest.raises(ValueError, match=r"`memory` must be at least [\d,]+ for this model"):
        tflite.convert(model, tmp_path / "m.tflite", memory=1000)
    assert not list(tmp_path.iterdir())


def test_loops_have_no_known_memory():
    loop = keras.Sequential([keras.Input((5, 3)), layers.LSTM(4)])
    with pytest.raises(ValueError, match="loops or open shapes"):
        tflite.convert(loop, memory=10**9)


def test_command_line(model, tmp_path):
    model.save(tmp_path / "m.keras")

    def call(*arguments):
        return CliRunner().invoke(cli, [str(one) for one in arguments])

    out = tmp_path / "m.tflite"
    done = call("convert", tmp_path / "m.keras", out, "--memory", "2.5MB")
    assert done.exit_code == 0, done.output
    seen = json.loads(call("inspect", out, "--json").stdout)
    assert seen["memory"]["total"] <= 2.5e6
    assert "expected peak memory" in call("inspect", out).stdout
    done = call("convert", tmp_path / "m.keras", out, "--memory", "little")
    assert done.exit_code == 2
    assert "such as 90000000 or 90MB" in done.stderr
