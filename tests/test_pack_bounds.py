"""`pack` on many pictures: what it holds in memory, how long it takes, and what it says."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from keras import layers
from networks import images

import fr_keras
from fr_bench import data
from fr_keras import archive, regularize
from fr_keras_cli import _archives, main
from fr_keras_cli._loading import calibration_rows

pytestmark = pytest.mark.usefixtures("stepwise_module")

SHAPE = (12, 12, 1)


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    model = regularize(
        keras.Sequential(
            [
                keras.Input(SHAPE),
                layers.Conv2D(8, 3, name="conv"),
                layers.BatchNormalization(name="bn"),
                layers.Flatten(name="flat"),
                layers.Dense(6, name="logits"),
            ]
        ),
        start={"conv": 40, "logits": 100},
    )
    fr_keras.interop.calibrate_batch_norm(model, images(64, SHAPE, seed=1))
    return model


@pytest.fixture(scope="module")
def rows(network):
    x = images(80, SHAPE)
    return x, network.predict(x, verbose=0).argmax(-1)


def pictures(count: int, side: int) -> data.Split:
    """Pictures that take no memory until they are read; each holds its number."""
    numbers = np.arange(count, dtype=np.uint16)[:, None, None, None]
    return data.Split(np.broadcast_to(numbers, (count, side, side, 3)), np.arange(count) % 5)


@pytest.mark.parametrize(("count", "side"), [(10_000, 224), (10_000, 28), (50, 28), (3, 4000)])
def test_calibration_takes_rows_from_everywhere_within_a_bound(count, side):
    found = calibration_rows(pictures(count, side))
    assert found.nbytes <= max(1 << 26, found[0].nbytes)
    assert found.dtype == np.float32
    assert len(found) <= 2048
    assert found[0].max() == 0
    if len(found) > 1:
        assert found[-1].min() == count - 1
        assert np.ptp(np.diff(found[:, 0, 0, 0])) <= 1


def test_a_search_reads_a_batch_at_a_time(network, rows):
    class Read:
        def __init__(self):
            self.slices = []

        def __len__(self):
            return len(rows[0])

        def __getitem__(self, part):
            self.slices.append(len(rows[0][part]))
            return rows[0][part]

    x = Read()
    found = archive.search(network, x, rows[1], max_drop=0.1, batch_size=8, minutes=1e-9)
    assert max(x.slices) == 8
    again = archive.search(network, *rows, max_drop=0.1, minutes=1e-9)
    assert (again.bytes, again.reference_accuracy) == (found.bytes, found.reference_accuracy)


def test_a_search_out_of_time_gives_the_best_so_far_and_says_so(network, rows):
    trials = []
    found = archive.search(network, *rows, max_drop=0.5, minutes=1e-9, progress=trials.append)
    assert found.trials == len(trials) == 1
    assert not found.complete
    assert found.bytes == trials[0].bytes
    assert archive.search(network, *rows, max_bytes=10**5, minutes=1000).complete


def test_a_search_out_of_time_that_found_nothing_says_how_far_it_came(network, rows):
    with pytest.raises(ValueError, match=r"1 were tried, .* seconds each") as caught:
        archive.search(network, *rows, max_bytes=20, minutes=1e-9)
    assert "Received: 1e-09" in str(caught.value)
    for minutes in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="`minutes` must be positive"):
            archive.search(network, *rows, max_bytes=20, minutes=minutes)


def test_save_archive_tells_what_it_does(network, tmp_path):
    told = []
    x = images(300, SHAPE, seed=1)
    options = {
        "calibration": x,
        "skeleton": {"form": "dense"},
        "progress": lambda *one: told.append(one),
    }
    fr_keras.save_archive(network, tmp_path / "m.fr", **options)
    assert list(dict.fromkeys(text for text, _ in told)) == [
        "rounding kernels",
        "calibrating",
        "rounding other weights",
        "comparing outputs",
        "making the int8 file",
    ]
    shares = [share for text, share in told if text == "calibrating"]
    assert shares == sorted(shares)
    assert len(shares) == 3  # a batch each
    assert shares[-1] == 1


@pytest.fixture
def files(network, rows, tmp_path):
    model, npz = tmp_path / "m.keras", tmp_path / "d.npz"
    network.save(model)
    arrays = {"x_train": rows[0], "y_train": rows[1], "x_test": rows[0], "y_test": rows[1]}
    np.savez(npz, **arrays)
    return model, npz


def pack(*arguments):
    return CliRunner().invoke(main, ["pack", *map(str, arguments)])


def test_without_a_terminal_there_are_plain_lines_on_stderr(files, tmp_path):
    model, npz = files
    done = pack(model, tmp_path / "m.fr", "--data", npz, "--max-drop", 0.5, "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)["search"]
    lines = done.stderr.splitlines()
    trials = [line for line in lines if line.startswith("search: archive ")]
    assert len(trials) == report["trials"]
    assert trials[0].startswith("search: archive 1: ")
    assert "search: archives are tried for at most 10 minutes" in lines
    assert "pack: rounding kernels" in lines
    assert report["complete"]
    assert not any("ended after" in line for line in lines)


def test_the_time_is_up(files, tmp_path):
    model, npz = files
    goal = ("--data", npz, "--max-drop", 0.9, "--minutes", 1e-9)
    done = pack(model, tmp_path / "m.fr", *goal, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["search"]["trials"] == 1
    assert "The search ended after 1e-09 minutes and 1 archives" in done.stderr
    assert "--minutes" in done.stderr
    assert pack(model, tmp_path / "n.fr", "--minutes", 5).exit_code == 2


def test_batches_of_a_search_fit_the_size_of_a_picture(files, monkeypatch, tmp_path):
    given = {}

    def search(model, x, y, **options):
        given.update(options)
        raise ValueError("`x` must be left alone. Received: nothing")

    monkeypatch.setattr(archive, "search", search)
    for side, size in ((224, 6), (28, 128), (2000, 1)):
        one = pictures(100, side)
        dataset = data.Dataset("pictures", one, one, one, ("a", "b", "c", "d", "e"))
        monkeypatch.setattr(_archives, "load_checked", lambda *_, dataset=dataset: dataset)
        pack(files[0], tmp_path / "m.fr", "--data", "digits", "--max-drop", 0.1)
        assert given["batch_size"] == size


_LARGE = """
import re
import sys
from pathlib import Path

import keras
import numpy as np
from keras import layers

from fr_bench import data
from fr_keras import regularize
from fr_keras_cli import _loading, main

x = np.broadcast_to(np.arange(10_000, dtype=np.uint8)[:, None, None, None], (10_000, 224, 224, 3))
split = data.Split(x, np.arange(10_000) % 5, scale=1 / 255)
dataset = data.Dataset("pictures", split, split, split, tuple("abcde"))
_loading.load_for = lambda *_: dataset


def largest():
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) * 1024


before = largest()
inputs = keras.Input((224, 224, 3))
hidden = layers.BatchNormalization()(layers.Conv2D(16, 3, strides=4)(inputs))
outputs = layers.Dense(5)(layers.GlobalAveragePooling2D()(hidden))
model, archive, *options = sys.argv[1:]
regularize(keras.Model(inputs, outputs)).save(model)
main(["pack", model, archive, "--scale", "0..1", *options], standalone_mode=False)
print(largest() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ("--calibration", "digits", "--skeleton"),
        ("--data", "digits", "--max-drop", "0.9", "--minutes", "0.1"),
    ],
    ids=["calibration", "search"],
)
def test_ten_thousand_pictures_fit_into_a_gigabyte(options, tmp_path):
    """TensorFlow alone takes two thirds of it, on some processors a little more."""
    files = [str(tmp_path / name) for name in ("m.keras", "m.fr")]
    command = [sys.executable, "-c", _LARGE, *files, *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) < 10**9 / 3, done.stdout
