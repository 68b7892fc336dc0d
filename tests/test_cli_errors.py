"""What the command says of mistakes, what of bugs, and what it stores of a command line."""

import json
import shlex
import warnings
from pathlib import Path

import click
import keras
import numpy as np
import pytest
from keras import layers
from test_cli import call
from test_data import image_folder, saved

from fr_keras import regularize, save_archive, tflite
from fr_keras_cli import _options, main
from fr_keras_cli._errors import failure

QUICK = ("--epochs", 1, "--keep", 1.0)


def network(shape=(20, 20, 1), classes: int = 4) -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input(shape),
            layers.Flatten(),
            layers.Dense(classes, activation="softmax", name="left"),
        ]
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A model in every format of Keras, a .tflite file, an archive and data."""
    folder = tmp_path_factory.mktemp("files")
    model = network()
    model.save(folder / "m.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tflite.convert(model, folder / "m.tflite")
    saved(folder / "d.npz")
    save_archive(regularize(model), folder / "m.fr")
    for name in ("m.h5", "m.hdf5"):
        model.save(folder / name)
    return folder


@pytest.fixture
def broken(monkeypatch):
    """Makes what `inspect` calls fail with an error of that kind, raised where one wants."""

    def breaks(error: Exception, module: str = "fr_keras.somewhere"):
        space = {"__name__": module, "error": error}
        exec("def inspect(file):\n    raise error\n", space)
        monkeypatch.setattr(tflite, "inspect", space["inspect"])

    return breaks


@pytest.mark.parametrize("error", [ValueError, RuntimeError, ImportError])
def test_what_a_check_of_ours_says_is_said_as_it_is(files, broken, error):
    broken(error("`x` must be y"))
    done = call("inspect", files / "m.tflite")
    assert (done.exit_code, done.stderr) == (1, "Error: `x` must be y\n")


@pytest.mark.parametrize("error", [OSError, PermissionError])
def test_what_the_system_says_is_no_bug_wherever_it_is_raised(files, broken, error):
    broken(error("no space"), "numpy.somewhere")
    done = call("inspect", files / "m.tflite")
    assert (done.exit_code, done.stderr) == (1, "Error: no space\n")


@pytest.mark.parametrize(
    ("error", "module"),
    [
        (KeyError("conv"), "fr_keras.somewhere"),
        (TypeError("no float"), "fr_keras.somewhere"),
        (AssertionError("so what"), "fr_archive"),
        (RecursionError("deep"), "fr_keras.somewhere"),
        (ValueError("operands could not be broadcast"), "numpy.somewhere"),
        (RuntimeError("graph"), "tensorflow.somewhere"),
    ],
)
def test_a_bug_is_called_one(files, broken, error, module):
    broken(error, module)
    done = call("inspect", files / "m.tflite")
    assert done.exit_code == 1
    assert done.stderr.startswith(f"Error: unexpected {type(error).__name__}: ")
    assert "This is a bug" in done.stderr
    assert "--debug" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("expression", ["int('a')", "[*zip((), (1,), strict=True)]"])
def test_an_expression_of_ours_that_goes_wrong_is_a_bug(files, monkeypatch, expression):
    """It raises a ValueError as our checks do, and nobody wrote `raise`."""
    space = {"__name__": "fr_keras.somewhere"}
    exec(f"def inspect(file):\n    return {expression}\n", space)
    monkeypatch.setattr(tflite, "inspect", space["inspect"])
    done = call("inspect", files / "m.tflite")
    assert "Error: unexpected ValueError" in done.stderr


def test_an_error_that_keras_hands_on_is_ours_still():
    """Keras takes its own lines out of tracebacks."""

    class Refusing(layers.Layer):
        def call(self, x):
            space = {"__name__": "fr_keras.somewhere"}
            exec("def check():\n    raise ValueError('`x` must be y')\n", space)
            return space["check"]()

    @click.command()
    def command():
        with failure():
            Refusing()(np.zeros((1, 2)))

    with pytest.raises(click.ClickException, match="`x` must be y") as found:
        command.main([], standalone_mode=False)
    assert "This is a bug" not in str(found.value)


@pytest.mark.parametrize("place", ["before", "after"])
def test_debug_shows_where(files, broken, place):
    for error in (KeyError("conv"), ValueError("`x` must be y"), FileNotFoundError("none")):
        broken(error)
        words = ["inspect", files / "m.tflite"]
        done = call(*(["--debug", *words] if place == "before" else [*words, "--debug"]))
        assert "Traceback (most recent call last)" in done.stderr
        assert f"{type(error).__name__}: " in done.stderr
        assert done.exit_code == (2 if isinstance(error, FileNotFoundError) else 1)


def test_every_command_has_debug():
    for command in main.commands.values():
        assert "--debug" in {word for one in command.params for word in one.opts}, command.name


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.hdf5", "m.tflite", "m.fr"])
def test_inspect_takes_what_the_other_commands_take(files, name):
    done = call("inspect", files / name, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)


def test_inspect_refuses_the_rest_with_the_list(files):
    done = call("inspect", files / "d.npz")
    assert done.exit_code == 2
    assert "must end in one of .tflite, .fr, .keras, .h5, .hdf5" in done.stderr


def test_a_damaged_h5_file_is_no_flatbuffer(tmp_path):
    (tmp_path / "m.h5").write_bytes(b"no such thing")
    done = call("inspect", tmp_path / "m.h5")
    assert done.exit_code == 1
    assert "cannot be loaded as a Keras model (.keras, .h5, .hdf5)" in done.stderr


HOME = Path.home()


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("m.keras", "m.keras"),
        ("a/b/m.keras", "m.keras"),
        ("../secret/m.keras", "m.keras"),
        ("/home/somebody/m.keras", "m.keras"),
        ("~/work/m.keras", "m.keras"),
        (str(HOME / "m.keras"), "m.keras"),
        ("data/pets/", "pets"),
        ("/", "/"),
        (".", "."),
        ("~", "~"),
        (str(HOME), "~"),
        (f"{HOME}/", "~"),
        (r"C:\Users\somebody\m.keras", "m.keras"),
        (r"..\somebody\m.keras", "m.keras"),
        (r"\\server\share\somebody\m.keras", "m.keras"),
        ("C:/Users/somebody/m.keras", "m.keras"),
        ("digits", "digits"),
    ],
)
def test_of_a_path_the_last_name_is_kept(typed, shown, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert _options.file_name(typed) == shown


def test_a_file_keeps_its_command_without_folders(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pets = image_folder(tmp_path / "somebody" / "pets")
    network((16, 16, 3), classes=2).save("somebody/m 2.keras")
    done = call(
        *("convert", "somebody/m 2.keras", tmp_path / "o.tflite", f"--calibration={pets}/"),
        *("--image-size", 16, 16, "--quantize", "int8", "--float-layer", "left", "--force"),
        *("--float-io", "--json", "--debug", "--scale", "0..1"),
    )
    assert done.exit_code == 0, done.output
    stored = tflite.inspect("o.tflite").metadata["command"]
    words = "convert|m 2.keras|o.tflite|--quantize|int8|--calibration|pets|--image-size|16|16|"
    words += "--scale|0..1|--float-io|--float-layer|left|--force|--json"
    assert sorted(shlex.split(stored)) == sorted(["fr-keras", *words.split("|")])
    assert "somebody" not in (tmp_path / "o.tflite").read_bytes().decode(errors="ignore")


def test_a_layer_with_a_path_for_a_name_is_no_path():
    """`left/fc` is a layer `fc` of a nested model, and `--float-layer fc` would be another."""

    @click.command("convert")
    @click.option("--float-layer", "layers", multiple=True)
    @click.option("--calibration", type=_options.Source())
    def command(layers, calibration):
        return _options.command()

    typed = ["--float-layer", "left/fc", "--float-layer", "right/fc", "--calibration", "a/b.npz"]
    stored = command.main(typed, "convert", standalone_mode=False)
    layers_given = "--float-layer left/fc --float-layer right/fc"
    assert stored == f"fr-keras convert {layers_given} --calibration b.npz"


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("convert", "m.keras", "o.tflite", "--quantize", "int8"), "--calibration"),
        (("sensitivity", "m.keras"), "--calibration"),
        (("pack", "m.keras", "o.fr"), "--calibration"),
        (("train", "lenet5", "--out", "o.keras"), "--data"),
        (("benchmark", "m.tflite"), "--data"),
    ],
)
@pytest.mark.parametrize("source", ["nowhere", "nowhere/images/", "nowhere.npz"])
def test_missing_data_are_named_with_their_option(files, monkeypatch, words, option, source):
    monkeypatch.chdir(files)
    before = sorted(files.iterdir())
    done = call(*words, option, source)
    assert done.exit_code == 2, done.output
    assert f"{option} must be one of" in done.stderr
    assert f"Received: {source}, and there is no such file or folder" in done.stderr
    assert sorted(files.iterdir()) == before


@pytest.mark.parametrize(
    ("shape", "classes", "message"),
    [
        ((20, 20, 3), 4, "with inputs of shape (20, 20, 1)"),
        ((28, 28, 1), 4, "inputs that `model` takes, of shape (28, 28, 1)"),
        ((400,), 4, "with inputs of shape (20, 20, 1)"),
        ((20, 20, 1), 3, "because `model` has 3 outputs"),
    ],
)
@pytest.mark.parametrize("command", ["train", "compare"])
def test_data_that_do_not_fit_a_model_are_named_with_it(
    files, tmp_path, monkeypatch, command, shape, classes, message
):
    monkeypatch.chdir(tmp_path)
    network(shape, classes).save("m.keras")
    words = {"train": ["train", "m.keras", "--out", "o.keras"]}
    words = words.get(command, [command, "--model", "m.keras"])
    done = call(*words, "--data", files / "d.npz", *QUICK)
    assert done.exit_code == 1, done.output
    assert message in done.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["m.keras"]


def test_an_h5_file_is_trained_on(files, tmp_path):
    done = call(
        *("train", files / "m.h5", "--out", tmp_path / "o.keras", "--data", files / "d.npz"),
        *QUICK,
    )
    assert done.exit_code == 0, done.output


@pytest.mark.filterwarnings("default:The file gets no class names")
@pytest.mark.filterwarnings("default:The calibration rows of 'd' show 4 of the 7 classes")
def test_calibration_of_other_classes_names_none(files, tmp_path):
    network(classes=7).save(tmp_path / "m.keras")
    out = tmp_path / "o.tflite"
    words = ("convert", tmp_path / "m.keras", out, "--calibration", files / "d.npz")
    done = call(*words, "--scale", "0..1")
    assert done.exit_code == 0, done.output
    assert "Warning: The file gets no class names: 'd' has 4 classes" in done.stderr
    assert "labels" not in tflite.inspect(out).metadata


def test_calibration_of_another_shape_names_both(files, tmp_path):
    network((28, 28, 1)).save(tmp_path / "m.keras")
    words = ("convert", tmp_path / "m.keras", tmp_path / "o.tflite", "--quantize", "int8")
    done = call(*words, "--calibration", files / "d.npz")
    assert done.exit_code == 1
    assert "of shape (28, 28, 1). Received: 'd' with inputs of shape (20, 20, 1)" in done.stderr
