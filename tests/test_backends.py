"""Files go from each backend of Keras to the others, and what is no backend is an error."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from backends import tensorflow_alone

from fr_keras import layers, zigzag

_BEGIN = """
import keras, numpy as np, fr_keras
from keras import layers
x, y = np.random.default_rng(0).random((32, 8, 8, 3), np.float32), np.arange(32) % 4
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
def fit(model, epochs, *callbacks):
    return model.fit(x, y, 16, epochs, verbose=0, shuffle=False, callbacks=[*callbacks]).history
def outputs(model):
    return model.predict(x, verbose=0)
def network():
    keras.utils.set_random_seed(0)
    return fr_keras.regularize(keras.Sequential([
        keras.Input((8, 8, 3)), layers.Conv2D(6, 3, padding="same"), layers.BatchNormalization(),
        layers.ReLU(), layers.SeparableConv2D(8, 3, strides=2), layers.Flatten(), layers.Dense(4),
    ]))
"""
_TRAIN = """
model = network()
model.compile(keras.optimizers.Adam(0.01), loss)
fit(model, 3, fr_keras.TailTruncation(0.3, epochs=2))
model.save("model.keras")
fr_keras.save_archive(model, "model.fr")
archive = fr_keras.load_archive("model.fr")
np.savez("outputs.npz", model=outputs(model), archive=outputs(archive))
model.compile(keras.optimizers.SGD(0.05), loss)
np.save("losses", fit(model, 2)["loss"])
"""
_LOAD = """
given = np.load("outputs.npz")
model = keras.models.load_model("model.keras")
archive = fr_keras.load_archive("model.fr")
for one, expected in ((model, given["model"]), (archive, given["archive"])):
    np.testing.assert_allclose(outputs(one), expected, atol=1e-5 * np.abs(expected).max())
assert np.abs(given["model"] - given["archive"]).max() > 1e-5
model.compile(keras.optimizers.SGD(0.05), loss)
np.testing.assert_allclose(fit(model, 2)["loss"], np.load("losses.npy"), rtol=1e-4)
"""
_TWO_DEVICES = """
import jax
assert len(jax.devices()) == 2
made = {
    "truncation": lambda: fr_keras.TailTruncation(0.3, epochs=2),
    "capacity": lambda: fr_keras.CapacitySampling(0.3),
    "rounding": lambda: fr_keras.ArchiveRounding(0.1, rate=1e-5),
}
def trained(callback):
    model = network()
    model.compile(keras.optimizers.SGD(0.05), loss)
    return model, fit(model, 3, callback())["loss"]
alone = {name: trained(callback)[1] for name, callback in made.items()}
devices = keras.distribution.list_devices()
keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
for name, callback in made.items():
    model, losses = trained(callback)
    np.testing.assert_allclose(losses, alone[name], rtol=1e-4, err_msg=name)
    for variable in model.variables:
        assert len(variable.value.sharding.device_set) == 2, (name, variable.path)
    for other in (fr_keras.compact(model), fr_keras.bake(model)):
        np.testing.assert_allclose(outputs(other), outputs(model), atol=1e-5)
"""


def run(code: str, backend: str, folder: Path, **environment: str) -> subprocess.CompletedProcess:
    environment |= {"KERAS_BACKEND": backend, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def skip_without(backend: str) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a network trained under a backend, each made once."""
    folders: dict[str, Path] = {}

    def of(backend: str) -> Path:
        if backend not in folders:
            folder = tmp_path_factory.mktemp(backend)
            done = run(_BEGIN + _TRAIN, backend, folder)
            assert done.returncode == 0, done.stderr
            folders[backend] = folder
        return folders[backend]

    return of


@tensorflow_alone("the processes of this test choose their backends")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("jax", "tensorflow"),
        ("tensorflow", "jax"),
        ("torch", "tensorflow"),
        ("tensorflow", "torch"),
        ("jax", "torch"),
        ("torch", "jax"),
    ],
)
def test_a_network_trained_under_one_backend_works_under_another(first, then, trained):
    skip_without(first)
    skip_without(then)
    done = run(_BEGIN + _LOAD, then, trained(first))
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_two_devices_of_jax_train_as_one(tmp_path):
    skip_without("jax")
    two = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    done = run(_BEGIN + _TWO_DEVICES, "jax", tmp_path, **two)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("backend", "before", "text"),
    [
        ("numpy", "", "set the environment variable"),
        ("jax", "import sys; sys.modules['jax'] = None; ", "cannot be imported with the"),
        ("torch", "import sys; sys.modules['torch'] = None; ", "cannot be imported with the"),
        ("theano", "", "cannot be imported with the"),
    ],
)
def test_a_backend_that_cannot_train_is_an_error(backend, before, text, tmp_path):
    done = run(before + "import fr_keras", backend, tmp_path)
    assert done.returncode == 1
    error = done.stderr.strip().splitlines()[-1]
    assert error.startswith("ImportError: ")
    assert text in error
    assert "Received: " in error
    assert "KERAS_BACKEND" in error


def test_a_state_with_one_number_for_the_boundary_is_read():
    """Files of 2026 have it so."""
    layer = layers.FRConv2D(5, 3, axis_weights=(2, 2, 1, 0.5))
    layer.build((None, 9, 9, 4))
    layer.truncate(50)
    layer.plan(start=200, target=20, epochs=3)
    stored: dict = {}
    layer.save_own_variables(stored)
    (place,) = [key for key, value in stored.items() if np.shape(value) == (6,)]
    boundary = zigzag.boundary(layer.spectrum_shape, 50, layer.axis_weights)
    stored[place] = np.array([50, boundary, 200, 20, 3], np.int64)
    again = layers.FRConv2D(5, 3, axis_weights=(2, 2, 1, 0.5))
    again.build((None, 9, 9, 4))
    again.load_own_variables(stored)
    assert again.truncation == layer.truncation
    assert again.truncation["boundary"] == boundary
    kernels = [keras.ops.convert_to_numpy(one.kernel) for one in (layer, again)]
    assert np.array_equal(*kernels)
    assert np.count_nonzero(again.kept_coefficients()) == 50


def test_weights_too_large_for_the_whole_numbers_of_a_backend_are_refused(monkeypatch):
    """JAX has 32 bits, where the sums would begin again at the smallest number."""
    monkeypatch.setattr("fr_keras.layers._truncated.WHOLE", "int32")
    layer = layers.FRDense(4, axis_weights=(1e8 + 0.001, 1))
    with pytest.raises(ValueError, match="`axis_weights` and the kernel of layer"):
        layer.build((None, 900))
