"""Each mistake of a newcomer gives the line that the documentation shows."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from mistake_cases import MISTAKES, Mistake
from mistake_files import make_files
from mistakes_page import PAGE, made, page, said

from fr_bench.compression import _folder
from fr_keras import regularize
from fr_keras_cli._benchmarks import _taken

pytestmark = [
    pytest.mark.filterwarnings("always:The (calibration|training) rows of 'few' show"),
    pytest.mark.filterwarnings("always:The file gets no class names"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("mistakes")
    make_files(path)
    regularize(keras.models.load_model(path / "model.keras")).save(path / "fr.keras")
    return path


@pytest.fixture(scope="module")
def outcomes(folder):
    return {name: made(mistake, folder) for name, mistake in MISTAKES.items()}


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_gives_its_line(outcomes, folder, name):
    done = outcomes[name]
    assert done.exit_code == MISTAKES[name].code, done.output
    assert said(MISTAKES[name], done)
    for wrong in (str(folder), "Traceback", "This is a bug"):
        assert wrong not in done.output


def test_the_page_shows_what_the_commands_say(outcomes):
    """If it does not, `python tests/mistakes_page.py` writes it anew."""
    lines = {name: said(mistake, outcomes[name]) for name, mistake in MISTAKES.items()}
    assert PAGE.read_text() == page(lines)


def test_a_line_that_is_not_said_is_noticed(outcomes):
    with pytest.raises(ValueError, match="no line like"):
        said(MISTAKES["logits"], outcomes["an .h5 file"])


# Their kinds


def tried(folder, command: str, **fields):
    return made(Mistake("", command, 0, "", "", **fields), folder)


def test_validation_rows_of_the_users_own_are_taken(folder):
    with np.load(folder / "bars.npz") as bars:
        kept = {name: bars[name] for name in bars.files if "val" not in name}
        np.savez(folder / "kept.npz", **kept)
        np.savez(folder / "rows.npz", x=bars["x_val"][:50], y=bars["y_val"][:50])
    done = tried(folder, "compress model.keras --data kept.npz --validation rows.npz")
    assert done.exit_code == 0, done.output
    assert "n = 50) on the validation rows" in done.output
    done = tried(folder, "compress model.keras --data photos --validation large")
    assert "n = 160) on the validation rows" in done.output
    assert "photos: 160 of 320 images are resized from 24x36 to 12x12" in done.output
    twice = tried(folder, "compress model.keras --data bars.npz --validation rows.npz")
    assert twice.exit_code == 1
    assert "has a validation split of its own" in twice.output


@pytest.mark.parametrize(
    "command",
    [
        "convert model.keras new.tflite --calibration colours --force",
        *(
            pytest.param(command, marks=pytest.mark.slow)
            for command in (
                "sensitivity model.keras --calibration colours",
                "pack fr.keras new.fr --calibration colours --force",
                "pack fr.keras new.fr --data colours --max-bytes 9000 --minutes 0.001 --force",
            )
        ),
    ],
)
def test_commands_with_a_network_read_pictures_as_it_takes_them(folder, command):
    done = tried(folder, command)
    assert done.exit_code == 0, done.output
    assert "160 of 160 images are stored in colour and read in grey" in done.output


@pytest.mark.parametrize("command", ["compress model.keras --data", "convert model.keras f.tflite"])
@pytest.mark.parametrize("source", ["bars.npz", "shapes"])
def test_a_size_for_what_is_no_folder_is_refused(folder, command, source):
    words = f"{command} {source}" if "compress" in command else f"{command} --calibration {source}"
    done = tried(folder, f"{words} --image-size 16 16")
    assert done.exit_code == 2
    assert (
        f"resizes the images of a folder: leave it out, or give a folder. Received: {source}"
        in (done.output)
    )


@pytest.mark.parametrize("options", ["--calibration shapes", "--data shapes --max-bytes 9000"])
def test_pack_refuses_data_of_another_shape_with_the_way_out(folder, options):
    done = tried(folder, f"pack fr.keras other.fr {options}")
    assert done.exit_code == 1
    assert "`data` must have inputs that `model` takes, of shape (12, 12, 1)" in done.output
    assert "change arrays with `keras.ops.image.resize`" in done.output


def test_a_skeleton_of_data_without_a_class_gets_no_class_names(folder):
    done = tried(folder, "pack fr.keras few.fr --calibration few.npz --skeleton --force")
    assert done.exit_code == 0, done.output
    assert "The file gets no class names: 'few' has 3 classes" in done.output
    assert "The calibration rows of 'few' show 3 of the 4 classes" in done.output


@pytest.mark.parametrize(
    ("name", "command", "told"),
    [
        (
            "model.keras",
            "convert model.keras model.keras",
            "must be the .tflite file, and no model",
        ),
        ("model.h5", "convert model.h5 model.h5", "must be the .tflite file, and no model"),
        (
            "model.keras",
            "compress model.keras --data bars.npz --out .",
            "--out must be another folder than that of MODEL",
        ),
    ],
)
def test_a_network_is_not_replaced_by_its_file_even_by_force(folder, name, command, told):
    before = (folder / name).read_bytes()
    done = tried(folder, f"{command} --force")
    assert done.exit_code == 2
    assert told in done.output
    assert (folder / name).read_bytes() == before


@pytest.mark.parametrize("name", _folder.WRITTEN)
def test_a_run_replaces_no_file_of_another_origin(tmp_path, name):
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(FileExistsError, match=f"`out` holds {name}, which no earlier run wrote"):
        _folder.RunFolder(tmp_path, {"a": 1})
    assert [one.name for one in tmp_path.iterdir()] == [name]
    _folder.RunFolder(tmp_path, {"a": 1}, overwrite=True)
    _folder.RunFolder(tmp_path, {"a": 1})  # from now on it is a run's


class Halved(keras.layers.Layer):
    def call(self, inputs):
        return inputs / 2


def halved(inputs):
    return inputs / 2


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("kind", ["layer", "registered", "function", "nested"])
def test_what_keras_does_not_know_is_named(tmp_path, kind, suffix):
    layer, name = Halved(), "Halved"
    if kind == "registered":
        registered = type("Thirded", (Halved,), {})
        layer, name = keras.saving.register_keras_serializable("mine")(registered)(), "Thirded"
    if kind == "function":
        layer, name = keras.layers.Activation(halved), "halved"
    if kind == "nested":
        layer = keras.Sequential([keras.Input((4,)), layer])
    keras.Sequential([keras.Input((4,)), layer]).save(tmp_path / f"own{suffix}")
    keras.saving.get_custom_objects().pop("mine>Thirded", None)
    done = tried(tmp_path, f"inspect own{suffix}")
    assert done.exit_code == 1
    assert f"own{suffix} needs '{name}', which Keras does not know here. Put" in done.output
    assert 'fr_keras_cli.main()" inspect ...' in done.output
    assert len(done.output.splitlines()) == 1


@pytest.mark.parametrize(
    ("shape", "taken"),
    [((12, 12, 3), (12, 12, 3)), ((None, None, 1), (None, None, 1)), ((5,), (5,))],
)
def test_the_shape_that_a_file_takes_is_known(tmp_path, shape, taken):
    inputs = keras.Input(shape)
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(inputs, 2 * inputs))
    (tmp_path / "m.tflite").write_bytes(converter.convert())
    (tmp_path / "damaged.tflite").write_bytes(b"none")
    assert _taken([tmp_path / "x.fr", tmp_path / "m.tflite"]) == [taken]
    assert _taken([tmp_path / "damaged.tflite"]) == _taken([]) == []


def test_a_benchmark_reads_pictures_as_the_file_takes_them(folder):
    done = tried(folder, "convert model.keras real.tflite --force")
    assert done.exit_code == 0, done.output
    words = "benchmark real.tflite --data colours --threads 1 --runs 1 --warmup 0"
    done = tried(folder, f"{words} --rows 4 --delegate none --force")
    assert done.exit_code == 0, done.output
    assert "160 of 160 images are stored in colour and read in grey" in done.output
