"""Every command that is given data asks first: does this network, or file, score on them?"""

import dataclasses
import json

import keras
import numpy as np
import pytest
from examples import telling
from solved_tasks import CLASSES, classifier, pictures
from test_cli import call

from fr_bench import benchmark, data
from fr_keras import regularize, tflite

# How bright a picture is tells its class, so that no network can do without the right range.
_, Y = pictures(400)
X = 20 + 60 * Y[:, None, None, None] + np.random.default_rng(0).integers(0, 30, (400, 12, 12, 1))
FAST = ("--runs", 1, "--warmup", 0, "--threads", 1, "--delegate", "xnnpack")
pytestmark = [
    pytest.mark.filterwarnings("ignore:calibration changed"),
    pytest.mark.usefixtures("stepwise_module"),
]


def saved(path, x, y):
    parts = {"train": slice(0, 200), "val": slice(200, 300), "test": slice(300, 400)}
    rows = {f"{k}_{n}": v[one] for n, one in parts.items() for k, v in (("x", x), ("y", y))}
    np.savez(path, **rows)
    return path


def masks(x):
    """Marks the brighter half of all pictures by a threshold that is a layer."""
    inputs = keras.Input(x.shape[1:])
    scale = keras.layers.Conv2D(1, 1, activation="sigmoid")
    model = keras.Model(inputs, scale(inputs))
    scale.set_weights([np.full((1, 1, 1, 1), 100.0), np.array([-50.0])])
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Networks that take pixels of 0 to 1 and of 0 to 255, and the same pictures in three forms."""
    folder = tmp_path_factory.mktemp("checked")
    x = X.astype("uint8")
    saved(folder / "uint8.npz", x, Y)
    saved(folder / "float255.npz", x.astype("float32"), Y)
    saved(folder / "float1.npz", x.astype("float32") / 255, Y)
    saved(folder / "other.npz", x, np.roll(Y + 50, 7))
    saved(folder / "masks.npz", x, 255 * (x > 127).astype("uint8"))
    inside, plain = classifier(x, Y, rescaling=True), classifier(x, Y)
    regularize(plain).save(folder / "fr.keras")
    untrained = keras.models.clone_model(plain)
    networks = {"inside": inside, "plain": plain, "untrained": untrained, "masks": masks(x)}
    for name, one in networks.items():
        one.save(folder / f"{name}.keras")
        (folder / f"{name}.tflite").write_bytes(tflite.convert(one).content)
    return folder


@pytest.mark.parametrize(
    ("form", "name", "taken"),
    [
        ("uint8", "inside", "0..255"),
        pytest.param("float1", "inside", "0..255", marks=pytest.mark.slow),
        pytest.param("float255", "plain", "0..1", marks=pytest.mark.slow),
    ],
)
def test_convert_gives_each_network_its_pixels(folder, tmp_path, form, name, taken):
    out = tmp_path / "m.tflite"
    words = ("--quantize", "int8", "--calibration", folder / f"{form}.npz")
    done = call("convert", folder / f"{name}.keras", out, *words)
    assert done.exit_code == 0, done.output
    assert (
        f"{form}.npz: classification, 4 classes (integers), probabilities; pixels in {taken}"
        in (done.stderr)
    )
    scale = 1.0 if name == "inside" else 1 / 255
    assert tflite.inspect(out).metadata["normalization"]["scale"] == pytest.approx(scale)
    right = scale * X[300:].astype("float32")
    assert np.mean(tflite.run(out, right).argmax(-1) == Y[300:]) > 0.8


def test_benchmark_gives_each_file_its_pixels(folder, tmp_path):
    out = tmp_path / "r.json"
    files = [folder / f"{one}.tflite" for one in ("inside", "plain")]
    scores = {}
    for form in ("uint8", "float1"):
        words = ("--data", folder / f"{form}.npz", "--out", out, "--force", *FAST)
        done = call("benchmark", *files, *words)
        assert done.exit_code == 0, done.output
        assert "pixels in 0..255 (" in done.stdout
        assert "pixels in 0..1 (" in done.stdout
        scores[form] = [one.metric.value for one in benchmark.load(out)]
    assert scores["uint8"] == scores["float1"]
    assert min(scores["uint8"]) > 0.8


def test_benchmark_scores_masks_by_dice(folder, tmp_path):
    """The share of right pixels says little where most are background."""
    out = tmp_path / "r.json"
    words = ("--data", folder / "masks.npz", "--out", out, *FAST)
    done = call("benchmark", folder / "masks.tflite", *words)
    assert done.exit_code == 0, done.output
    (one,) = benchmark.load(out)
    assert (one.metric.name, one.metric.rows) == ("dice", 100)
    assert one.metric.value == pytest.approx(1, abs=1e-3)
    assert "dice 100.00%" in done.stdout
    done = call("benchmark", folder / "masks.tflite", *words, "--force", "--metric", "accuracy")
    assert benchmark.load(out)[0].metric.name == "accuracy"


def test_pack_gives_the_network_its_pixels(folder, tmp_path):
    out = tmp_path / "m.fr"
    source = folder / "float255.npz"
    for more, dtype in (((), "int8"), (("--float-io", "--force"), "float32")):
        words = ("--calibration", source, "--skeleton", *more)
        done = call("pack", folder / "fr.keras", out, *words)
        assert done.exit_code == 0, done.output
        assert "float255.npz: classification" in done.stderr
        file = tmp_path / f"{dtype}.tflite"
        assert call("unpack", out, file).exit_code == 0
        found = tflite.inspect(file)
        assert {one.dtype for one in (*found.inputs, *found.outputs)} == {dtype}
        assert found.metadata["normalization"]["scale"] == pytest.approx(1 / 255)
    goal = ("--data", source, "--max-drop", 0.5, "--minutes", 1e-9, "--force", "--json")
    done = call("pack", folder / "fr.keras", out, *goal)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["search"]["reference_accuracy"] > 0.8


@pytest.mark.parametrize(
    "words",
    telling(
        [("convert", "untrained.keras", "m.tflite"), ("sensitivity", "untrained.keras")],
        ("convert", "untrained.keras", "m.tflite"),
    ),
    ids=["convert", "sensitivity"],
)
def test_a_network_at_chance_is_refused_with_the_way_out(folder, tmp_path, words):
    command, network, *output = words
    words = (command, folder / network, *(tmp_path / one for one in output))
    words += ("--calibration", folder / "uint8.npz")
    done = call(*words)
    assert done.exit_code == 1
    for part in ("must be trained for `data`", "Pixels in 0..1, 0..255, -1..1 were", "--scale"):
        assert part in done.stderr
    assert not list(tmp_path.iterdir())
    # With the way out, the score is told all the same.
    done = call(*words, "--scale", "0..1")
    assert done.exit_code == 0, done.output
    assert "pixels in 0..1; accuracy 0." in done.stderr


def test_a_file_at_chance_costs_its_own_row_only(folder, tmp_path):
    files = [folder / f"{one}.tflite" for one in ("untrained", "plain")]
    words = ("--data", folder / "uint8.npz", "--out", tmp_path / "r.json", *FAST)
    done = call("benchmark", *files, *words)
    assert done.exit_code == 1
    for part in ("must be trained for `data`", "give `scale` (on the command line `--scale`)"):
        assert part in done.stdout
    found = {one.file: one for one in benchmark.load(tmp_path / "r.json")}
    assert found["untrained.tflite"].status == "failed"
    assert found["plain.tflite"].metric.value > 0.8
    done = call("benchmark", files[0], *words, "--force", "--scale", "0..1")
    assert done.exit_code == 0, done.output


@pytest.mark.filterwarnings("ignore:The file gets no class names")
def test_labels_of_another_kind_tell_nothing_and_the_user_hears_it(folder, tmp_path):
    source = folder / "other.npz"
    done = call("convert", folder / "plain.keras", tmp_path / "m.tflite", "--calibration", source)
    assert done.exit_code == 0, done.output
    assert "other.npz: pixels in 0..1, which no score confirms. `data` must have" in done.stderr
    words = ("--data", source, "--out", tmp_path / "r.json", *FAST)
    done = call("benchmark", folder / "plain.tflite", *words)
    assert done.exit_code == 0, done.output
    assert "pixels in 0..1, which no score confirms" in done.stdout
    assert "no score: `data` must have labels from 0 to 3" in done.stdout


@pytest.mark.parametrize(
    "words",
    [("convert", "plain.keras", "m.tflite"), ("pack", "fr.keras", "m.fr"),
     ("benchmark", "plain.tflite")],
    ids=["convert", "pack", "benchmark"],
)  # fmt: skip
def test_a_scale_needs_data(folder, tmp_path, words):
    command, network, *output = words
    done = call(command, folder / network, *(tmp_path / one for one in output), "--scale", "0..1")
    assert done.exit_code == 2
    assert "--scale" in done.stderr


def test_files_of_one_range_share_their_rows(folder):
    source = data.load(str(folder / "uint8.npz"))
    make = benchmark.Labelled(source, np.arange(100), scale="0..1")
    first, second = (make(folder / "plain.tflite") for _ in range(2))
    assert first.inputs[0] is second.inputs[0]
    assert len(first.y) == 100
    assert str(first.task) == f"classification, {CLASSES} classes (integers), probabilities"
    assert dataclasses.replace(first, task=None).score(first.reference)[0].value > 0.8
