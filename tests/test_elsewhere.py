"""The converter under another backend: in a process of its own, as if it were in this one."""

import importlib.util
import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import elsewhere_run as run
import keras
import numpy as np
import pytest
from elsewhere_parts import Scaled
from keras import layers

import fr_keras
from fr_keras import tflite
from fr_keras.tflite import _elsewhere
from fr_keras.tflite._in_form import file_in_form
from fr_keras.tflite.modes import FLOAT32, INT8

HERE = Path(__file__).parent


def served(folder, work, model, *arguments):
    """What the process would answer, in this process."""
    _elsewhere.ask(folder, work, model, arguments)
    _elsewhere.serve(str(folder))
    return _elsewhere.answered(folder)


@pytest.fixture
def under_jax(monkeypatch):
    """The backend that `with_tensorflow` believes to have."""
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")


@pytest.fixture
def script(monkeypatch, tmp_path):
    """Sets the lines of a shell script that runs instead of Python."""

    def instead(*lines):
        path = tmp_path / "python"
        path.write_text("\n".join(["#!/bin/sh", *lines]))
        path.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(path))

    return instead


def test_bytes_and_recipes_are_the_same_by_way_of_a_file(tmp_path):
    x = np.random.default_rng(0).normal(size=(10, 10)).astype(np.float32)
    model = run.unnamed()
    done = tflite.convert(model, quantize="int8", calibration=x, command="test")
    rows, entry = [x[np.arange(10) % 5 > 0]], {"quantize": "int8", "command": "test"}
    arguments = (INT8, "auto", rows, False, [], entry)
    content, recipes = served(tmp_path, file_in_form, model, *arguments)
    assert content == done.content
    assert recipes == done.recipes
    assert recipes


class Loss:
    """Keras cannot save it."""

    def __call__(self, y, found):
        return found


def test_compiled_models_and_made_up_names_cross(tmp_path):
    model = keras.Sequential([layers.Dense(3)])
    model.build((None, 4))
    model.compile(loss=Loss())
    content, _ = served(tmp_path, file_in_form, model, FLOAT32, "auto", None, False, [], {})
    assert model.compiled
    assert list(tflite.Runner(content).inputs) == [model.inputs[0].name]


def raising(model, error):
    raise error


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (ValueError("wrong"), ValueError, "^wrong"),
        (OSError(28, "no room"), OSError, "no room"),
        (MemoryError("too much"), RuntimeError, "^MemoryError: too much"),
        (subprocess.SubprocessError("odd"), RuntimeError, "^SubprocessError: odd"),
    ],
    ids=lambda one: getattr(one, "__name__", None),
)
def test_errors_cross_with_their_text_and_where_they_came_from(tmp_path, error, kind, text):
    with pytest.raises(kind, match=text) as caught:
        served(tmp_path, raising, run.unnamed(), error)
    assert type(caught.value) is kind
    assert "in raising" in caught.value.__notes__[0]


def warning(model):
    for _ in range(2):
        warnings.warn("Look.", tflite.ConversionWarning, stacklevel=1)
    warnings.warn("Old.", DeprecationWarning, stacklevel=1)
    return model.name


def test_warnings_cross_unless_they_are_for_developers(tmp_path):
    with pytest.warns(tflite.ConversionWarning, match="^Look") as caught:
        assert served(tmp_path, warning, run.two_inputs()) == "two"
    assert "Old." not in [str(one.message) for one in caught]


@keras.saving.register_keras_serializable("elsewhere")
class InMain(layers.Layer):
    def call(self, x):
        return x


def test_a_class_of_a_script_is_refused_before_anything_runs(under_jax, script, monkeypatch):
    script("exit 3")
    monkeypatch.setattr(InMain, "__module__", "__main__")
    model = keras.Sequential([keras.Input((4,)), InMain()])
    with pytest.raises(ValueError, match=r"defined in `__main__`") as caught:
        tflite.convert(model)
    assert "register_keras_serializable" in str(caught.value)


class Unregistered(layers.Layer):
    def call(self, x):
        return x


class Unsaved(layers.Layer):
    def __init__(self, what, **kwargs):
        super().__init__(**kwargs)

    def call(self, x):
        return x


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (Unregistered(), "Could not locate class 'Unregistered'"),
        (Unsaved(object()), "override `get_config"),
    ],
)
def test_a_layer_that_cannot_be_saved_or_loaded_is_said(tmp_path, layer, text):
    model = keras.Sequential([keras.Input((4,)), layer])
    with pytest.raises(ValueError, match="`model` must be one that Keras can save") as caught:
        served(tmp_path, file_in_form, model, FLOAT32, "auto", None, False, [], {})
    assert text in str(caught.value), str(caught.value)


def test_a_process_that_ends_early_is_said_and_leaves_nothing(
    under_jax, script, tmp_path, monkeypatch
):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    model = keras.Sequential([keras.Input((4,)), Scaled()])
    script("kill -9 $$")
    with pytest.raises(RuntimeError, match=r"by a signal: Killed.*memory"):
        tflite.convert(model)
    script("echo 'the last straw' >&2", "exit 3")
    with pytest.raises(RuntimeError, match=r"exit status 3.*the last straw"):
        tflite.convert(model)
    assert not list(temporary.iterdir())


def test_without_tensorflow_the_error_says_what_to_install(under_jax, monkeypatch):
    known = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "tensorflow" else known(name)
    )
    with pytest.raises(ImportError, match=r"pip install 'tensorflow.*Received: backend 'jax'"):
        tflite.convert(run.unnamed())


def test_arguments_are_checked_before_anything_runs(under_jax, script):
    script("exit 3")
    model = run.unnamed()
    with pytest.raises(ValueError, match="`calibration` must be given"):
        tflite.convert(model, quantize="int8")
    with pytest.raises(ValueError, match="`float_layers`"):
        tflite.convert(model, float_layers=["nothing"])
    with pytest.raises(ValueError, match="`form`"):
        tflite.sensitivity(model, np.zeros((3, 10)), form="odd")


@pytest.fixture(scope="module", params=["jax", "torch"])
def there(request, tmp_path_factory) -> tuple[Path, dict]:
    """What `elsewhere_run` converted under another backend, and its folder."""
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    folder = tmp_path_factory.mktemp(request.param)
    temporary = folder / "temporary"
    temporary.mkdir()
    paths = os.pathsep.join([str(HERE), *filter(None, sys.path)])
    settings = {"KERAS_BACKEND": request.param, "PYTHONPATH": paths, "TMPDIR": str(temporary)}
    command = [sys.executable, str(HERE / "elsewhere_run.py"), str(folder)]
    done = subprocess.run(command, env={**os.environ, **settings}, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr.decode()
    return folder, pickle.loads((folder / "found").read_bytes())


def loaded(folder, name):
    return keras.models.load_model(folder / f"{name}.keras")


@pytest.mark.slow
class TestUnderAnotherBackend:
    """The same calls as in `elsewhere_run`, on the same weights, under TensorFlow."""

    def test_a_float_file_is_the_same_and_its_warning_crosses(self, there):
        folder, found = there
        model = loaded(folder, "float32")
        with pytest.warns(tflite.ConversionWarning) as caught:
            done = tflite.convert(model, form="factored")
        told = {str(one.message) for one in caught if one.category is tflite.ConversionWarning}
        crossed = {
            text for kind, text in found["float32 warned"] if kind is tflite.ConversionWarning
        }
        assert crossed == told
        assert found["float32"].content == done.content
        assert found["float32"].agreement.holds

    def test_an_int8_file_with_all_arguments_is_the_same(self, there):
        folder, found = there
        model = loaded(folder, "int8")
        done = tflite.convert(
            model,
            quantize="int8",
            calibration=run.numbers(),
            float_layers=["side/fc"],
            labels=["a", "b", "c"],
            memory=2**20,
        )
        assert found["int8"].content == done.content
        assert found["int8"].agreements.keys() == done.agreements.keys()
        assert found["int8"].agreement.mean == pytest.approx(done.agreement.mean, rel=0.01)

    def test_a_quantization_aware_model_keeps_its_ranges(self, there):
        folder, found = there
        done = tflite.convert(loaded(folder, "aware"), quantize="int8", calibration=run.images())
        assert found["aware"].content == done.content

    def test_sensitivity_is_the_same(self, there):
        folder, found = there
        here = tflite.sensitivity(loaded(folder, "sensitivity"), run.numbers(), verbose=0)
        assert found["sensitivity"].keys() == here.keys()
        for name, one in here.items():
            assert found["sensitivity"][name].mean == pytest.approx(one.mean, rel=0.01)

    def test_an_archive_makes_the_file_that_convert_writes(self, there):
        folder, found = there
        model = fr_keras.load_archive(folder / "small.fr")
        arguments = {"quantize": "int8", "calibration": run.images(), "form": "factored"}
        assert found["expanded"] == tflite.convert(model, **arguments).content

    def test_errors_cross(self, there):
        _, found = there
        assert type(found["stateful"]) is ValueError
        assert "must keep no state from one call to the next" in str(found["stateful"])
        assert "rnn_state" in str(found["stateful"])
        assert type(found["killed"]) is RuntimeError
        assert "by a signal: Killed" in str(found["killed"])
        assert "defined in `__main__`" in str(found["main"])
        assert not [one for one in found["left behind"] if one.startswith("fr_keras_")]
