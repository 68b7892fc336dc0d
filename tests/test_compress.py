"""From a trained network to its best file: the run, its resumption, and its verdict."""

import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from examples import telling
from solved_tasks import CLASSES, classifier, dataset, features, pictures, solved

import fr_bench
from fr_bench._alone import alone
from fr_bench._runs import fingerprint
from fr_bench.candidates import Candidate, Trained, _table, register_candidate
from fr_bench.compression import _files, _plan, _result, _rounds, compress
from fr_bench.compression._folder import RunFolder
from fr_bench.compression._plan import Goal, best_narrow, cells, epochs, front, hopeless, survivors
from fr_bench.compression._trial import Cell, Trial
from fr_bench.compression._verdict import Row, verdict
from fr_bench.data import Split
from fr_bench.tasks import Scored
from fr_keras import load_archive, regularize, summary, tflite
from fr_keras_cli import main

pytestmark = pytest.mark.usefixtures("stepwise_module")

X, Y = pictures(320)
FILES = {"model.keras", "model.tflite", "result.json", "report.html", "MODEL_CARD.md", "Model.kt"}


class Copy(Candidate):
    """Gives the network back without training, and counts how often."""

    description = "The network as it came."
    needs = ()

    def __init__(self):
        self.calls = []

    def train(self, model, data, regime, progress, title):
        self.calls.append((regime.keep, len(data.train)))
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        return Trained(copy, round(1000 * regime.keep), {}, 0.5, 0)


@pytest.fixture
def copy(monkeypatch):
    monkeypatch.setattr(_table, "_candidates", dict(_table._candidates))
    register_candidate("copy", found := Copy())
    return found


@pytest.fixture(scope="module")
def network():
    return classifier(X, Y)


@pytest.fixture(scope="module", autouse=True)
def _one_epoch():
    """One epoch for each trial, whatever the machine is doing, and one round for most tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_plan, "_MOST_EPOCHS", 1)
        patch.setattr(_plan, "_FEWEST_EPOCHS", 1)
        for module in (_plan, _rounds, _result):
            patch.setattr(module, "STEPS", (2,))
        yield


def run(network, data, out, methods=("copy",), keeps=(0.5,), **options):
    return compress(
        network, data, out, methods=methods, keeps=keeps, minutes=60, verbose=False, **options
    )


def folder_of(done, trial):
    return done.folder / "trials" / f"{trial.name.lower().replace(' ', '_')}-{trial.rung}"


# The whole run


@pytest.fixture(scope="module")
def done(network, tmp_path_factory):
    out = tmp_path_factory.mktemp("compressed")
    before, first = network.get_weights(), keras.layers.Dense(2)
    # Any file holds such a goal: of each archive only the coarsest is made.
    options = {"max_drop": 0.99}
    found = run(network, dataset(X, Y), out, ("FR-ordered", "narrow"), (0.4,), **options)
    # The names of new layers go on: both can be in one model.
    keras.Sequential([keras.Input((3,)), first, keras.layers.Dense(2)])
    for a, b in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert all(layer.trainable for layer in network.layers)
    return found


def test_every_method_gives_files_and_all_is_written(done):
    names = {one["name"] for one in done.results["trials"]}
    methods = {"FR-ordered 0.4", "narrow 0.4"}
    assert names == {"plain float32", "plain int8", "plain archive", *methods}
    assert {one.name for one in done.folder.iterdir()} >= FILES
    assert json.loads((done.folder / "result.json").read_text()) == done.results
    assert done.results["left_out"] == []
    for one in done.results["trials"]:
        folder = folder_of(done, Trial.from_dict(one))
        assert (folder / "model.tflite").stat().st_size == one["device_bytes"]
        if one["download"] == "fr":
            assert (folder / "model.fr").stat().st_size == one["download_bytes"]
            loaded = load_archive(folder / "model.fr")
            if one["method"].startswith("FR"):
                assert summary(loaded).kept == one["kept"]


def test_the_score_of_a_row_is_that_of_its_file(done):
    x, y = X[240:].astype("float32") / 255, Y[240:]
    for row in done.rows:
        folder = (
            done.folder / "trials" / f"{row.trial.name.lower().replace(' ', '_')}-{row.trial.rung}"
        )
        right = tflite.run(folder / "model.tflite", x).argmax(-1) == y
        assert row.test.value == pytest.approx(right.mean())
        assert row.test.n == len(y)


def test_the_chosen_files_are_those_of_the_trial(done):
    trial = done.chosen.trial
    folder = folder_of(done, trial)
    assert (done.folder / "model.tflite").read_bytes() == (folder / "model.tflite").read_bytes()
    assert (done.folder / "model.fr").exists() == (trial.download == "fr")
    stored = tflite.inspect(done.folder / "model.tflite").metadata
    assert list(stored["labels"]) == ["a", "b", "c", "d"]
    assert stored["normalization"] == pytest.approx({"scale": 1 / 255, "offset": 0.0})


def test_the_texts_say_what_was_found(done):
    page = (done.folder / "report.html").read_text()
    card = (done.folder / "MODEL_CARD.md").read_text()
    for text in (page, card):
        assert done.verdict[0] in text
        assert f"{done.chosen.test.value:.4f}" in text
        assert f"{done.chosen.trial.download_bytes:,}" in text
    kotlin = (done.folder / "Model.kt").read_text()
    (taken,) = tflite.inspect(done.folder / "model.tflite").inputs
    assert f"/ {taken.scale}f" in kotlin
    assert f"+ {taken.zero_point}" in kotlin
    assert 'listOf(\n            "a",\n            "b",' in kotlin


# Stopped and started again


@pytest.fixture(scope="module")
def ended(network, tmp_path_factory):
    """The folder of a run of `copy` that ended."""
    folder = tmp_path_factory.mktemp("ended")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_table, "_candidates", dict(_table._candidates))
        register_candidate("copy", Copy())
        run(network, dataset(X, Y), folder)
    return folder


def test_a_run_that_was_killed_goes_on(network, copy, tmp_path, monkeypatch):
    data = dataset(X, Y)
    train, keeps = copy.train, (0.5, 0.2)

    def killed(model, data, regime, progress, title):
        if copy.calls:
            raise KeyboardInterrupt
        return train(model, data, regime, progress, title)

    monkeypatch.setattr(copy, "train", killed)
    with pytest.raises(KeyboardInterrupt):
        run(network, data, tmp_path, keeps=keeps)
    assert not FILES & {one.name for one in tmp_path.iterdir()}
    first, copy.calls[:] = list(copy.calls), []
    monkeypatch.setattr(copy, "train", train)
    found = run(network, data, tmp_path, keeps=keeps)
    assert [keep for keep, _ in first] == [0.5]
    assert copy.calls[0][0] == 0.2  # the second budget of the first round
    copy.calls[:] = []
    again = run(network, data, tmp_path, keeps=keeps)
    assert copy.calls == []
    assert again.chosen.trial == found.chosen.trial
    assert again.verdict == found.verdict


def test_two_runs_in_one_folder_are_refused(network, copy, tmp_path):
    with alone(tmp_path), pytest.raises(RuntimeError, match="no other run is at work"):
        run(network, dataset(X, Y), tmp_path)
    assert copy.calls == []
    assert {one.name for one in tmp_path.iterdir()} <= {".lock"}


@pytest.mark.slow
def test_a_trial_without_its_end_is_run_again(network, copy, ended, tmp_path):
    shutil.copytree(ended, tmp_path, dirs_exist_ok=True)
    (tmp_path / "trials" / "copy_0.5-0" / "trial.json").unlink()
    run(network, dataset(X, Y), tmp_path, keeps=(0.5,))
    assert [keep for keep, _ in copy.calls] == [0.5]


@pytest.mark.slow
def test_a_run_with_other_arguments_is_not_mixed_in(network, copy, ended, tmp_path):
    shutil.copytree(ended, tmp_path, dirs_exist_ok=True)
    with pytest.raises(FileExistsError, match=r"with another max_drop: .*`overwrite=True`"):
        run(network, dataset(X, Y), tmp_path, max_drop=0.3)
    assert not copy.calls


@pytest.mark.slow
def test_a_run_with_other_arguments_overwrites_if_asked(network, copy, ended, tmp_path):
    shutil.copytree(ended, tmp_path, dirs_exist_ok=True)
    run(network, dataset(X, Y), tmp_path, max_drop=0.3, overwrite=True)
    assert copy.calls


def test_the_plan_tells_networks_apart(network):
    twin = keras.models.clone_model(network)
    twin.set_weights(network.get_weights())
    assert fingerprint(network) == fingerprint(network)
    weights = network.get_weights()
    weights[-1][0] += 1e-3
    twin.set_weights(weights)
    assert fingerprint(network) != fingerprint(twin)


def test_a_folder_of_another_plan_is_emptied_only_when_asked(tmp_path):
    folder = RunFolder(tmp_path, {"seed": 0, "keeps": [0.5]})
    folder.keep(trial("fr 0.5", 500, 0.95))
    assert folder.value("speed", lambda: 1.5) == 1.5
    again = RunFolder(tmp_path, {"seed": 0, "keeps": [0.5]})
    assert again.done("fr 0.5", 0) == trial("fr 0.5", 500, 0.95)
    assert again.value("speed", lambda: 2.5) == 1.5
    assert again.done("fr 0.5", 1) is None
    with pytest.raises(FileExistsError, match=r"with another seed, keeps: "):
        RunFolder(tmp_path, {"seed": 1, "keeps": [0.2]})
    other = RunFolder(tmp_path, {"seed": 1, "keeps": [0.2]}, overwrite=True)
    assert other.done("fr 0.5", 0) is None
    assert other.value("speed", lambda: 2.5) == 2.5


@pytest.mark.slow
def test_each_round_sees_more_rows(network, copy, tmp_path, monkeypatch):
    for module in (_plan, _rounds, _result):
        monkeypatch.setattr(module, "STEPS", (4, 2))
    run(network, dataset(X, Y), tmp_path, keeps=(0.5,))
    rows = [rows for _, rows in copy.calls]
    assert rows == sorted(rows)
    assert {*rows} == {40, 80}


def test_a_method_that_fails_is_left_out_and_named(network, copy, tmp_path, monkeypatch):
    def failing(model, data, regime, progress, title):
        raise ValueError("`keep` must leave a channel. Received: 0.2")

    monkeypatch.setattr(copy, "train", failing)
    found = run(network, dataset(X, Y), tmp_path, keeps=(0.5, 0.2))
    assert found.results["left_out"] == [
        f"copy {keep}, round 1: failed: `keep` must leave a channel. Received: 0.2"
        for keep in (0.5, 0.2)
    ]
    assert found.chosen.trial.name in ("plain archive", "plain int8")
    assert "copy 0.2, round 1: failed" in (tmp_path / "report.html").read_text()


# Any task


def masks(x):
    """The pixels of the bar."""
    return (x[..., 0] > 100).astype("uint8")


def segmenting():
    body = features()
    up = keras.layers.UpSampling2D(2)(body.output)
    joined = keras.layers.Concatenate()([up, body.input])
    head = keras.layers.Conv2D(2, 1, activation="softmax", name="mask")
    model = keras.Model(body.input, head(joined))
    # The brightness of the pixel itself decides.
    kernel = np.zeros((1, 1, 9, 2))
    kernel[0, 0, 8] = -40, 40
    head.set_weights([kernel, np.array([16.0, -16.0])])
    return model


def two_inputs():
    body = features()
    extra = keras.Input((CLASSES,), name="hint")
    flat = keras.layers.Flatten()(body.output)
    head = keras.layers.Dense(CLASSES, "softmax", name="classes")
    number = keras.layers.Dense(1, name="number")
    joined = keras.layers.Concatenate()([flat, extra])
    model = keras.Model([body.input, extra], [head(joined), number(joined)])
    for layer, right in ((head, 8 * np.eye(CLASSES)), (number, np.arange(CLASSES)[:, None])):
        kernel = np.zeros(layer.kernel.shape)
        kernel[-CLASSES:] = right
        layer.set_weights([kernel, np.zeros(right.shape[1])])
    return model


HINTS = np.eye(CLASSES, dtype="float32")[Y]
LABELS = np.stack([Y % 2, Y // 2, Y == 3], 1)
TASKS = {
    "logits": (lambda: solved(X, 6 * np.eye(CLASSES)[Y]), X, Y, "accuracy"),
    "one-hot": (lambda: classifier(X, Y), X, np.eye(CLASSES)[Y], "accuracy"),
    "a sigmoid": (lambda: solved(X, 9.0 * (Y[:, None] > 1) - 4, "sigmoid"), X, Y > 1, "accuracy"),
    "labels": (lambda: solved(X, 9.0 * LABELS - 4, "sigmoid"), X, LABELS, "f1"),
    "masks": (segmenting, X, masks(X), "dice"),
    "masks of 255": (segmenting, X, 255 * masks(X)[..., None], "dice"),
    "numbers": (lambda: solved(X, Y[:, None]), X, Y.astype("float32"), "r2"),
    "two inputs and outputs": (
        two_inputs, (X.astype("float32") / 255, HINTS), (Y, Y.astype("float32") + 0.5),
        "accuracy+r2",
    ),
}  # fmt: skip


# `test_tasks.py` has every form of labels; the outputs of the last are classes and numbers.
@pytest.mark.parametrize("task", telling(TASKS, "two inputs and outputs"))
def test_any_task(copy, tmp_path, task):
    make, x, y, metric = TASKS[task]
    data = dataset(x, y, ("a", "b", "c", "d") if metric == "accuracy" else ())
    if isinstance(x, tuple):
        data = data.scaled(1.0, 0.0)
    found = run(make(), data, tmp_path, keeps=(0.5,))
    assert found.results["metric"] == metric
    assert all(row.test.value > 0.5 for row in found.rows)
    assert (tmp_path / "Model.kt").exists() == (not isinstance(x, tuple))
    assert metric in (tmp_path / "report.html").read_text().lower()


@pytest.mark.slow
def test_a_loss_and_a_metric_of_ones_own(network, tmp_path):
    seen = []

    def loss(y, outputs):
        seen.append(len(y.shape))
        return keras.losses.sparse_categorical_crossentropy(y, outputs)

    def worst(y, outputs):
        right = outputs.argmax(-1) == y
        return min(np.mean(right[y == one]) for one in np.unique(y))

    found = run(network, dataset(X, Y), tmp_path, ("channels",), (0.5,), loss=loss, metric=worst)
    assert seen
    assert found.results["metric"] == "worst"
    x, y = X[240:].astype("float32") / 255, Y[240:]
    assert found.chosen.test.value == worst(y, tflite.run(tmp_path / "model.tflite", x))


# Refusals


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"methods": ()}, "`methods` must hold"),
        ({"methods": ("copy", "copy")}, "`methods` must hold"),
        ({"methods": ("plain",)}, r"`methods` must hold.*Received: \('plain',\)"),
        ({"keeps": ()}, "`keeps` must hold"),
        ({"max_drop": 1.0}, "`max_drop` must be above 0 and below 1"),
        ({"budget": 0}, "`budget` must be at least one byte"),
        ({"minutes": 0}, "`minutes` must be above 0"),
    ],
    ids=range(7),
)
def test_bad_arguments_are_refused_before_any_work(network, copy, tmp_path, options, message):
    given = {"methods": ("copy",), "keeps": (0.5,), "verbose": False, **options}
    with pytest.raises(ValueError, match=message):
        compress(network, dataset(X, Y), tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()


def test_a_network_that_is_not_trained_is_refused(copy, tmp_path):
    network = solved(X, np.random.default_rng(0).normal(size=(len(X), CLASSES)), "softmax")
    with pytest.raises(ValueError, match="must be trained"):
        run(network, dataset(X, Y), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_fr_model_is_refused(network, copy, tmp_path):
    # Its "plain" file would be an archive of FR.
    with pytest.raises(ValueError, match=r"must be a plain network.*`fr_keras\.bake\(model\)`"):
        run(regularize(network), dataset(X, Y), tmp_path / "out")
    assert not (tmp_path / "out").exists()


# The plan, without any network


def trial(name, size, score, rung=0, device=None):
    method, _, keep = name.partition(" ")
    keep = float(keep) if keep and method != "plain" else None
    scored = Scored(score, score - 0.01, score + 0.01, 1000)
    return Trial(name, method, keep, rung, 10, device or size, size, "tflite.gz", scored, 1.0)


TRIALS = [
    trial("fr 0.5", 500, 0.95),
    trial("fr 0.2", 200, 0.90),
    trial("fr 0.1", 100, 0.80),
    trial("channels 0.5", 600, 0.94),
    trial("channels 0.2", 250, 0.91),
    trial("narrow 0.2", 240, 0.70),
]


def names(trials):
    return [one.name for one in trials]


def test_the_largest_budgets_come_first():
    assert cells(("a", "b"), (0.1, 0.5)) == [
        Cell("a", 0.5), Cell("b", 0.5), Cell("a", 0.1), Cell("b", 0.1),
    ]  # fmt: skip


def test_the_front_is_what_nothing_beats():
    assert names(front(TRIALS)) == ["fr 0.5", "fr 0.2", "fr 0.1", "channels 0.2"]
    twins = [trial("a 1", 5, 0.5), trial("b 1", 5, 0.5)]
    assert front(twins) == twins


@pytest.mark.parametrize(
    ("least", "going"),
    [
        (0.94, ["fr 0.5", "channels 0.2", "fr 0.2"]),  # the smallest that holds, then the nearest
        (0.90, ["fr 0.2", "fr 0.1"]),  # nothing larger than what holds already
        (0.99, ["fr 0.5", "channels 0.5", "channels 0.2"]),  # none holds: the best half
        (0.50, ["fr 0.1"]),
    ],
)
def test_what_goes_on_with_a_goal_in_score(least, going):
    assert names(survivors(TRIALS, Goal(least, None))) == going


def test_only_what_is_clearly_better_keeps_a_trial_from_going_on():
    """The last one is smaller, but far from the goal."""
    near = [trial("a 0.5", 400, 0.71), trial("b 0.5", 401, 0.70), trial("c 0.1", 100, 0.30)]
    assert names(survivors(near, Goal(0.9, None))) == ["a 0.5", "b 0.5"]
    clear = [trial("a 0.5", 400, 0.73), *near[1:]]
    assert names(survivors(clear, Goal(0.9, None))) == ["a 0.5", "c 0.1"]


def test_what_goes_on_with_a_goal_in_bytes():
    assert names(survivors(TRIALS, Goal(None, 250))) == ["channels 0.2", "fr 0.2", "fr 0.1"]
    assert names(survivors(TRIALS, Goal(None, 50))) == ["fr 0.1"]


@pytest.mark.parametrize(
    ("goal", "name"),
    [
        (Goal(0.9, None), "fr 0.2"),
        (Goal(0.99, None), "fr 0.5"),
        (Goal(None, 260), "channels 0.2"),
        (Goal(None, 10), "fr 0.1"),
    ],
    ids=range(4),
)
def test_the_best(goal, name):
    assert goal.best(TRIALS).name == name


def test_a_file_that_is_hardly_larger_is_taken_if_it_scores_better():
    alike = [trial("a 1", 1000, 0.91), trial("b 1", 1020, 0.93), trial("c 1", 1021, 0.95)]
    assert Goal(0.9, None).best(alike).name == "b 1"
    assert names(survivors(alike, Goal(0.9, None))) == ["b 1", "a 1"]
    assert Goal(0.94, None).best(alike).name == "c 1"


def test_small_budgets_of_a_method_that_failed_are_not_trained():
    goal = Goal(0.9, None)
    assert "narrow 0.2 had only 0.7000" in hopeless(Cell("narrow", 0.1), TRIALS, goal, 0.6)
    assert hopeless(Cell("narrow", 0.1), TRIALS, goal, 0.1) is None
    assert hopeless(Cell("narrow", 0.5), TRIALS, goal, 0.6) is None
    assert hopeless(Cell("fr", 0.05), TRIALS, goal, 0.6) is None
    assert hopeless(Cell("narrow", 0.1), TRIALS, Goal(None, 100), 0.6) is None
    assert best_narrow(TRIALS).name == "narrow 0.2"
    assert best_narrow([]) is None


def test_epochs_fit_the_time(monkeypatch):
    monkeypatch.setattr(_plan, "_MOST_EPOCHS", 40)
    monkeypatch.setattr(_plan, "_FEWEST_EPOCHS", 3)
    few, many = (epochs(minutes, 1e-3, 2_000, 12) for minutes in (10, 20))
    assert many == pytest.approx(2 * few, abs=1)
    assert few > 3
    assert epochs(0.01, 1e-3, 2_000, 12) == 3
    assert epochs(1e5, 1e-3, 2_000, 12) == 40


@pytest.mark.parametrize(
    ("goal", "size", "made"),
    [
        (None, 100, 1),  # before the last round, the coarsest is enough
        (Goal(0.90, None), 100, 1),  # nothing finer is made
        (Goal(0.93, None), 200, 2),
        (Goal(0.99, None), 300, 3),  # none holds it: the nearest
        (Goal(None, 250), 200, 3),  # the best that fits
        (Goal(None, 50), 100, 3),
    ],
    ids=range(6),
)
def test_the_precision_of_an_archive_is_that_which_the_goal_prefers(
    monkeypatch, tmp_path, goal, size, made
):
    seen = []

    def archive(model, data, rows, folder, precision):
        seen.append(precision)
        number = len(seen)
        score = Scored((0.91, 0.94, 0.95)[number - 1], 0, 1, 10)
        return _files.Files(1000, 100 * number, "fr", score), bytes([number]), b"tflite"

    monkeypatch.setattr(_files, "_archive", archive)
    precisions = _files.FOR_FR if goal else _files.EARLY
    files = _files._packed(None, None, None, tmp_path, goal, precisions)
    assert (files.download_bytes, len(seen)) == (size, made)
    assert seen == sorted(seen, reverse=True)  # from coarse to fine
    assert (tmp_path / "model.fr").read_bytes() == bytes([size // 100])


# The verdict, without any network


def row(name, size, score, *, on_front=False, device=None):
    one = trial(name, size, score, device=device)
    return Row(one, Scored(score, score - 0.01, score + 0.01, 1000), 100.0, on_front)


WHOLE = [row("plain float32", 4000, 0.92), row("plain int8", 1000, 0.92)]
REFERENCE = Scored(0.92, 0.91, 0.93, 1000)


def said(rows, chosen, goal):
    return " ".join(verdict([*WHOLE, *rows], chosen, goal, REFERENCE))


def test_a_method_that_wins():
    rows = [row("fr 0.2", 200, 0.915), row("narrow 0.5", 400, 0.8)]
    text = said(rows, rows[0], Goal(0.91, None))
    assert "Take fr 0.2: 200 bytes as a download" in text
    assert "5.0 times smaller as a download and 0.50 points below on the test rows" in text
    assert "which does not hold the goal (narrow 0.5, 400 bytes, 0.8000)" in text
    rows[1] = row("narrow 0.5", 400, 0.912)
    assert "which holds the goal, too (narrow 0.5" in said(rows, rows[0], Goal(0.91, None))


def test_narrow_wins():
    rows = [row("fr 0.2", 200, 0.8), row("narrow 0.5", 400, 0.915)]
    text = said(rows, rows[1], Goal(0.91, None))
    assert "no method of compression beat it" in text


def test_nothing_wins():
    rows = [row("fr 0.2", 200, 0.8, on_front=True), row("narrow 0.5", 400, 0.7)]
    text = said(rows, WHOLE[1], Goal(0.91, None))
    assert "training a smaller network did not pay" in text
    assert "The nearest is fr 0.2: 5.0 times smaller as a download and 12.00 points below" in text


def test_nothing_holds_the_goal():
    rows = [row("fr 0.2", 200, 0.8)]
    assert "No file keeps the validation score above 0.9900" in said(
        rows, rows[0], Goal(0.99, None)
    )
    assert "No file fits into 50 bytes; the smallest is" in said(rows, rows[0], Goal(None, 50))


def test_a_file_that_is_larger_on_the_device_is_named():
    rows = [row("fr 0.2", 200, 0.915, device=1200)]
    assert "On the device, fr 0.2 is larger than plain int8" in said(rows, rows[0], Goal(0.9, None))


# The command


@pytest.fixture
def files(network, tmp_path):
    network.save(tmp_path / "model.keras")
    # Without rows for validation: some are drawn.
    parts = {"x_train": X[:240], "y_train": Y[:240], "x_test": X[240:], "y_test": Y[240:]}
    np.savez(tmp_path / "bars.npz", **parts)
    return tmp_path


def test_the_command_tells_the_verdict(files, copy):
    words = ["compress", str(files / "model.keras"), "--data", str(files / "bars.npz")]
    words += ["--method", "copy", "--keep", "0.5", "--out", str(files / "out"), "--minutes", "1"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    for part in ("The network: classification", "copy 0.5: ", "Take ", "download", "report.html"):
        assert part in done.output
    again = CliRunner().invoke(main, [*words, "--json"])
    results = json.loads(again.stdout)
    assert results["command"].startswith("fr-keras compress model.keras --data bars.npz")
    assert "The validation rows were drawn at random" in results["verdict"][-1]
    assert "drawn at random" in (files / "out" / "MODEL_CARD.md").read_text()
    other = CliRunner().invoke(main, [*words, "--max-drop", "0.5"])
    assert other.exit_code == 2
    assert "holds the work of another run, with another max_drop" in other.output


def test_it_is_a_function_of_the_package():
    assert fr_bench.compress is compress


def test_thinned_splits_take_rows_at_even_intervals():
    split = Split((X, X), Y, sample_weight=np.arange(len(Y)))
    thin = split.thinned(4)
    np.testing.assert_array_equal(thin.y, Y[::4])
    np.testing.assert_array_equal(thin.sample_weight, np.arange(len(Y))[::4])
    assert np.shares_memory(thin.x[0], X)
    assert dataclasses.replace(split).thinned(1).x[0].shape == X.shape


@pytest.mark.parametrize(("rows", "size"), [(1, 8), (384, 8), (1_000, 20), (50_000, 32)])
def test_few_rows_are_trained_in_small_batches(rows, size):
    """Three epochs of 384 tiles in batches of 32 were 36 steps."""
    assert _plan.batch_size(rows) == size
