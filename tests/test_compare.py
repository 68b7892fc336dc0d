import gzip
import json
import sys

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from examples import telling
from keras import layers as kl
from rich.progress import Progress
from solved_tasks import dataset, pictures
from test_data import arrays

import fr_archive
import fr_keras
from fr_bench import data, training
from fr_bench._words import conclusion
from fr_bench.candidates import USUAL
from fr_bench.compare import compare
from fr_bench.forms import ARCHIVES, SKELETON, Output
from fr_bench.training import Regime
from fr_keras_cli import main

# One epoch on noise: arg-maxes are close calls, and conversion says so.
pytestmark = [
    pytest.mark.filterwarnings("ignore::fr_keras.tflite.ConversionWarning"),
    pytest.mark.usefixtures("stepwise_module"),
]

QUICK = Regime(keep=0.05, epochs=2, truncation_epochs=1)


@pytest.fixture(scope="module")
def npz(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "small.npz"
    np.savez(path, **arrays(rows=60))
    return path


@pytest.fixture(scope="module")
def small(npz):
    return data.load(str(npz))


def train(name, model, dataset, regime=QUICK):
    with Progress(disable=True) as progress:
        return USUAL[name].train(model, dataset, regime, progress, name)


def kernels(model):
    return [weight.numpy() for weight in model.trainable_variables if weight.name == "kernel"]


# The candidates


def test_plain_and_fr_train_from_the_same_weights_and_leave_the_model(small):
    model = training.network(small, seed=3)
    before = model.get_weights()
    for name in ("plain", "FR"):
        trained = train(name, model, small)
        assert len(trained.history["val_accuracy"]) == QUICK.epochs
        assert trained.rows == QUICK.epochs * len(small.train)
        assert trained.seconds > 0
        assert trained.model is not model
        first = train(name, model, small, Regime(keep=0.05, epochs=2, truncation_epochs=1))
        for a, b in zip(trained.model.get_weights(), first.model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("keep", [0.05, 900])
def test_pruning_keeps_the_budget_and_leaves_the_model(small, keep):
    model = training.network(small, seed=3)
    before = model.get_weights()
    trained = train("pruning", model, small, Regime(keep=keep, epochs=2, truncation_epochs=1))
    nonzero = sum(np.count_nonzero(kernel) for kernel in kernels(trained.model))
    weights = sum(kernel.size for kernel in kernels(trained.model))
    assert trained.kept == nonzero == (keep if isinstance(keep, int) else round(keep * weights))
    assert len(trained.history["val_accuracy"]) == QUICK.epochs
    assert trained.rows == QUICK.epochs * len(small.train)
    assert trained.seconds > 0
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def branching() -> keras.Model:
    """Options away from their defaults, a shared layer, a residual, a concatenation."""
    image = keras.Input((20, 20, 1), name="image")
    x = kl.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="first")(image)
    shared = kl.Conv2D(4, 3, padding="same", use_bias=False, name="shared")
    y = kl.Add()([shared(x), shared(kl.LeakyReLU(negative_slope=0.3)(x))])
    y = kl.BatchNormalization(momentum=0.5, epsilon=0.1, scale=False)(y)
    y = kl.Concatenate()([y, kl.AveragePooling2D(3, strides=1, padding="same")(x)])
    y = kl.Dropout(0.2)(kl.Flatten()(y))
    return keras.Model(image, kl.Dense(4, activation="softmax", name="classifier")(y))


@keras.saving.register_keras_serializable("test_compare")
class Doubled(kl.Layer):
    def call(self, inputs):
        return 2 * inputs


def test_pruning_takes_every_model(small):
    image = keras.Input((20, 20, 1), name="image")
    attention = kl.MultiHeadAttention(1, 2)
    x = kl.Reshape((20, 20))(image)
    x = kl.Flatten()(attention(x, x, attention_mask=None))
    models = [
        branching(),
        keras.Model(image, branching()(image)),
        keras.Model(image, kl.Dense(4, activation="softmax")(Doubled()(x))),
    ]
    for model in models:
        trained = train("pruning", model, small, Regime(keep=200, epochs=1, truncation_epochs=1))
        assert trained.kept == 200
        assert trained.model is not model


# The comparison


@pytest.fixture(scope="module")
def compared(npz, tmp_path_factory):
    """A comparison by the command line: its folder and what it printed."""
    out = tmp_path_factory.mktemp("compared") / "out"
    keras.utils.set_random_seed(0)
    stack = [keras.Input((20, 20, 1)), kl.Conv2D(8, 3, strides=2, activation="relu"), kl.Flatten()]
    stack += [kl.Dense(60, activation="relu"), kl.Dense(4, activation="softmax")]
    keras.Sequential(stack).save(out.parent / "small.keras")
    arguments = [
        "compare",
        "--model",
        out.parent / "small.keras",
        "--data",
        npz,
        "--keep",
        "900",
        "--epochs",
        "1",
    ]
    arguments += ["--out", out, "--json"]
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return out, json.loads(done.stdout)


def check_score(form, outputs, test):
    score = form["score"]
    assert score["value"] == np.mean(outputs.argmax(-1) == test.y)
    assert score["low"] <= score["value"] <= score["high"]
    assert score["n"] == len(test)


@pytest.mark.slow
def test_every_row_says_what_its_file_is(compared, small):
    out, results = compared
    assert results == json.loads((out / "results.json").read_text())
    names = [one["title"] for one in results["trainings"]]
    # Comparisons of several budgets are in test_readme.py.
    assert names == ["plain", "FR 900", "pruning 900", "narrow 900"]
    modes = {name: ["float32", "dynamic", "int8"] for name in names}
    for name in names:
        modes[name] += ARCHIVES if name.startswith("FR") else (SKELETON,)
    assert [form["form"] for form in results["forms"]] == [
        f"{name} {mode}" for name in names for mode in modes[name]
    ]
    for form in results["forms"]:
        content = (out / form["file"]).read_bytes()
        if form["mode"] in ARCHIVES:
            assert form["download_bytes"] == len(content)
            continue
        assert form["device_bytes"] == len(content)
        assert form["download_bytes"] == len(gzip.compress(content, mtime=0))
        check_score(form, fr_keras.tflite.run(content, small.test.inputs()), small.test)
    kept = {form["form"]: form["kept"] for form in results["forms"]}
    assert kept["FR 900 int8"] == 900
    assert kept["pruning 900 int8"] == 900
    gzipped = {form["form"]: form["download_bytes"] for form in results["forms"]}
    assert gzipped["pruning 900 int8"] < 0.3 * gzipped["plain int8"]


@pytest.mark.slow
def test_archives_are_rows_of_all_networks(compared, small):
    out, results = compared
    rows = {form["form"]: form for form in results["forms"] if form["mode"] in ARCHIVES}
    alone, whole = (rows.pop(f"FR 900 {mode}") for mode in ARCHIVES)
    int8 = {one["form"]: one["download_bytes"] for one in results["forms"]}
    assert [one["mode"] for one in rows.values()] == [SKELETON] * 3
    for name, one in rows.items():
        assert one["download_bytes"] < int8[name.replace(SKELETON, "int8")]
    model = fr_keras.load_archive(out / alone["file"])
    check_score(alone, training.answers(model, small.test), small.test)
    assert alone["device_bytes"] is None
    content = fr_archive.expand(fr_archive.decode((out / whole["file"]).read_bytes()))
    check_score(whole, fr_keras.tflite.run(content, small.test.inputs()), small.test)
    assert whole["device_bytes"] == len(content)
    assert fr_keras.tflite.inspect(content).metadata["labels"] == list("0123")
    assert alone["download_bytes"] < whole["download_bytes"] < whole["device_bytes"]


@pytest.mark.slow
def test_the_networks_are_saved(compared, small):
    out, results = compared
    assert len([*out.glob("*.keras")]) == len(results["trainings"])
    scores = {form["form"]: form["score"]["value"] for form in results["forms"]}
    for one in results["trainings"]:
        model = keras.models.load_model(out / f"{one['title'].lower().replace(' ', '_')}.keras")
        right = training.answers(model, small.test).argmax(-1) == small.test.y
        assert np.mean(right) == pytest.approx(scores[f"{one['title']} float32"], abs=0.05)  # ties
    assert fr_keras.summary(keras.models.load_model(out / "fr_900.keras")).kept == 900


@pytest.mark.slow
def test_the_page_has_the_tables_and_the_plot(compared, small):
    out, results = compared
    page = (out / "compare.html").read_text()
    assert page.count("data:image/png;base64,") == 1
    assert all(form["form"] in page for form in results["forms"])
    assert page.count(results["conclusion"][0]) == 2  # above and below
    rows = len(small.train)
    for one in results["trainings"]:
        assert one["rows"] == rows  # of one epoch
        assert f"<td>{rows:,}</td>\n<td>{one['seconds']:,.1f} s</td>" in page
    assert "http" not in page


@pytest.mark.parametrize("methods", telling([("plain", "FR"), ("FR",)], ("FR",)), ids="-".join)
def test_a_model_of_the_users_is_compared(npz, tmp_path, methods):
    branching().save(tmp_path / "mine.keras")
    arguments = ["compare", "--model", tmp_path / "mine.keras", "--data", npz, "--epochs", "1"]
    arguments += [word for one in methods for word in ("--method", one)]
    arguments += ["--out", tmp_path / "out", "--quantize", "int8"]
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    assert "FR 0.01 int8" in done.stdout
    assert "The smallest download whose accuracy is not clearly below" in done.stdout
    assert "pruning" not in done.stdout
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [one["title"] for one in results["trainings"]] == [
        {"plain": "plain", "FR": "FR 0.01"}[one] for one in methods
    ]
    page = (tmp_path / "out" / "compare.html").read_text()
    assert all(form["form"] in page for form in results["forms"])
    loaded = keras.models.load_model(tmp_path / "out" / "fr_0.01.keras")
    assert fr_keras.summary(loaded).kept == results["forms"][-1]["kept"]


def call(small, tmp_path, model=None, **options):
    options = {"methods": ("plain", "FR"), **options}
    with Progress(disable=True) as progress:
        model = training.network(small, seed=0) if model is None else model
        return compare(model, small, Output(tmp_path / "out", "a test"), progress, **options)


def test_bad_arguments_are_refused_before_the_training(small, tmp_path):
    other = keras.Sequential([keras.Input((8, 8, 1)), kl.Flatten(), kl.Dense(4)])
    for options, message in (
        ({"methods": ("magic",)}, "`methods` must hold one or more different names"),
        ({"methods": ()}, "`methods` must hold one or more different names"),
        ({"methods": ("FR", "FR")}, "`methods` must hold one or more different names"),
        ({"keeps": ()}, "`keeps` must hold one or more different budgets"),
        ({"keeps": (0.1, 0.1)}, "`keeps` must hold one or more different budgets"),
        ({"model": other}, r"inputs that `model` takes, of shape \(8, 8, 1\)"),
        ({"model": fr_keras.regularize(other)}, "`model` must be a plain network"),
        ({"metric": "dice"}, "`metric` must be one of"),
        ({"scale": "0..2"}, "`scale` must be one of"),
    ):
        with pytest.raises(ValueError, match=message):
            call(small, tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_there_are_kept(small, tmp_path):
    (tmp_path / "out").mkdir()
    mine = tmp_path / "out" / "fr_0.01_int8.tflite"
    mine.write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="--force"):
        call(small, tmp_path)
    assert mine.read_bytes() == b"mine"
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_a_missing_extra_is_named_before_the_work(small, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ImportError, match=r"pip install 'fr-keras\[report\]'"):
        call(small, tmp_path, methods=tuple(USUAL))
    assert list(tmp_path.iterdir()) == []


# Other tasks


def drawing(last) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((12, 12, 1))
    x = kl.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    return keras.Model(inputs, last(x))


BARS, PLACES = pictures(60)
TASKS = {
    "masks": (lambda x: kl.Conv2D(2, 1)(x), (BARS[..., 0] > 100).astype("uint8"), "dice"),
    "several labels": (
        lambda x: kl.Dense(4, "sigmoid")(kl.GlobalMaxPooling2D()(x)),
        np.eye(4)[PLACES] + np.eye(4)[3 - PLACES],
        "f1",
    ),
    "numbers": (
        lambda x: kl.Dense(1)(kl.GlobalMaxPooling2D()(x)), BARS.mean((1, 2, 3)) / 255, "r2"
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "task",
    ["masks", *(pytest.param(one, marks=pytest.mark.slow) for one in TASKS if one[0] != "m")],
)
def test_every_task_is_compared(tmp_path, task):
    last, y, metric = TASKS[task]
    found = dataset(BARS, y, ())
    options = {"methods": ("FR",), "modes": ("int8",), "keeps": (0.5,), "scale": "0..255"}
    results = call(found, tmp_path, drawing(last), regime=QUICK, **options)
    assert results["metric"] == metric
    assert results["scaling"] == "pixels in 0..255"
    assert [form["mode"] for form in results["forms"]] == ["int8", *ARCHIVES]
    for form in results["forms"]:
        assert form["score"]["low"] <= form["score"]["high"]
        assert form["score"]["n"] == 15
    assert f"with {metric} " in results["conclusion"][0]
    stored = fr_keras.tflite.inspect(tmp_path / "out" / results["forms"][0]["file"]).metadata
    assert stored["normalization"] == {"scale": 1.0, "offset": 0.0}
    assert f"val_{metric}" in results["trainings"][0]["history"]


@keras.saving.register_keras_serializable("test_compare")
class Halved(kl.Dense):
    """A layer that archives do not know."""


def test_what_no_archive_can_hold_is_said(tmp_path):
    model = drawing(lambda x: Halved(4, activation="softmax")(kl.Flatten()(x)))
    found = dataset(*pictures(60))
    options = {"methods": ("FR",), "modes": ("int8",), "keeps": (0.5,), "regime": QUICK}
    results = call(found, tmp_path, model, **options)
    assert [form["mode"] for form in results["forms"]] == ["int8"]
    assert [one.partition(":")[0] for one in results["left_out"]] == [
        f"FR 0.5 {mode}" for mode in ARCHIVES
    ]
    assert "FR 0.5 archive+int8: " in (tmp_path / "out" / "compare.html").read_text()


# The conclusion


def row(method, size, value, device=True):
    score = {"value": value, "low": value - 0.01, "high": value + 0.01, "n": 9}
    device_bytes = 2 * size if device else None
    form = {"form": f"{method} {size}", "method": method, "download_bytes": size}
    return {**form, "device_bytes": device_bytes, "score": score}


CONCLUSIONS = {
    "a method": (
        [
            row("plain", 900, 0.95),
            row("FR", 90, 0.945),
            row("FR", 50, 0.9),
            row("narrow", 200, 0.96),
        ],
        "The smallest download whose dice is not clearly below that of plain 900 is FR 90, "
        "90 bytes with dice 0.9450: 10.0 times smaller as a download and 0.50 points below on the "
        "test rows. Of narrow networks it takes narrow 200, 200 bytes with dice 0.9600.",
    ),
    "narrow": (
        [row("plain", 900, 0.95), row("FR", 90, 0.945), row("narrow", 80, 0.96)],
        "1.00 points above on the test rows. It is a plain network with fewer channels: no method "
        "beat it.",
    ),
    "no narrow one": (
        [row("plain", 900, 0.95), row("FR", 90, 0.945), row("narrow", 80, 0.9)],
        "No narrow network reaches it; the best is narrow 80, 80 bytes with dice 0.9000.",
    ),
    "plain": (
        [
            row("plain", 900, 0.95),
            row("plain", 300, 0.949),
            row("FR", 90, 0.9),
            row("FR", 80, 0.93),
        ],
        "is plain 300, 300 bytes with dice 0.9490: 3.0 times smaller as a download and 0.10 points "
        "below on the test rows. No method paid here; FR 80 is nearest, 3.8 times smaller as a "
        "download and 1.90 points below on the test rows.",
    ),
    "plain is smallest": (
        [row("plain", 80, 0.95), row("FR", 90, 0.9)],
        "is plain 80, 80 bytes with dice 0.9500. No method gave a smaller file.",
    ),
    "no file of a device": (
        [row("plain", 900, 0.95), row("FR", 90, 0.95), row("FR", 20, 0.95, device=False)],
        "is FR 90, 90 bytes with dice 0.9500: 10.0 times smaller as a download and 0.00 points "
        "above on the test rows.",
    ),
    "no plain one": (
        [row("FR", 90, 0.95), row("pruning", 80, 0.945)],
        "not clearly below that of FR 90 is pruning 80, 80 bytes with dice 0.9450",
    ),
    "plain ones as good": (
        [row("plain", 900, 0.95), row("plain", 300, 0.95), row("FR", 90, 0.945)],
        "that of plain 300 is FR 90, 90 bytes with dice 0.9450: 3.3 times smaller",
    ),
    "one": ([row("FR", 90, 0.95)], "There is one file, and nothing to compare it with: FR 90, 90"),
}


@pytest.mark.parametrize("case", CONCLUSIONS)
def test_the_conclusion(case):
    rows, words = CONCLUSIONS[case]
    assert words in conclusion(rows, "dice")
