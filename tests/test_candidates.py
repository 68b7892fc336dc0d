"""Candidates: what they say of themselves, and those from outside, registered or installed."""

import dataclasses
import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import keras
import networks
import numpy as np
import pytest
from click.testing import CliRunner
from rich.progress import Progress

import fr_bench
from fr_bench import Candidate, Need, Trained, register_candidate
from fr_bench.candidates import USUAL, _table, all_candidates
from fr_bench.compare import compare
from fr_bench.data import Dataset, Split
from fr_bench.forms import Output
from fr_bench.tasks import Head, Kind, Task
from fr_bench.training import Regime
from fr_keras import save_archive
from fr_keras.tflite import MODES
from fr_keras_cli import main

pytestmark = pytest.mark.usefixtures("stepwise_module")

ROOT = Path(__file__).parents[1]


class Own(Candidate):
    description = "The network as it came, without its last bits."
    needs = ()
    modes = ("float16", "float32")
    has_budget = False

    def train(self, model, data, regime, progress, title):
        return Trained(model, model.count_params(), history={}, seconds=0.5, rows=1234)


def variant(**attributes) -> Candidate:
    return type("Variant", (Own,), {"__module__": __name__, **attributes})()


def spots(rows: int = 40) -> Dataset:
    """Pictures of one pixel, whose place is the class."""
    y = np.arange(rows) % 4
    x = np.eye(4, dtype=np.float32)[y].reshape(rows, 2, 2, 1)
    split = Split(x, y.astype(np.int64))
    return Dataset("spots", split, split, split, tuple("0123"))


def classifier(gain: float) -> keras.Model:
    """Of a gain of 10 it knows the spots, of 0 it knows nothing."""
    stack = [keras.Input((2, 2, 1)), keras.layers.Flatten()]
    model = keras.Sequential([*stack, keras.layers.Dense(4, activation="softmax")])
    model.layers[-1].set_weights([gain * np.eye(4), np.zeros(4)])
    return model


def compared(folder: Path, *methods: str, gain: float = 10, **options) -> dict:
    regime = Regime(epochs=1, truncation_epochs=1)
    with Progress(disable=True) as progress:
        output = Output(folder / "out", "a test")
        return compare(
            classifier(gain), spots(), output, progress, methods, regime=regime, **options
        )


def test_a_registered_candidate_is_compared_in_its_modes(tmp_path):
    register_candidate("own", Own())
    modes = ("int8", "float32", "float16")
    results = compared(tmp_path, "own", "plain", modes=modes)
    assert [one["form"] for one in results["forms"]] == [
        *("own float32", "own float16"),  # in the order that was asked for
        *(f"plain {mode}" for mode in (*modes, "archive+int8")),
    ]
    own, plain = results["trainings"]
    assert (own["seconds"], own["rows"], own["history"]) == (0.5, 1234, {})
    assert plain["rows"] == len(spots().train)
    assert "<td>1,234</td>\n<td>0.5 s</td>" in (tmp_path / "out" / "compare.html").read_text()
    with pytest.raises(
        ValueError, match=r"`modes` must have at least one that makes sense for 'own', .*16"
    ):
        compared(tmp_path / "other", "own", modes=("int8",))
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("name", "candidate", "message"),
    [
        ("FR", Own(), "`name` must be free, but 'FR' is taken by Frequency"),
        (
            "fr",
            Own(),
            "`name` must be free, but 'FR' is taken by Frequency",
        ),  # its files
        ("a/b", Own(), "`name` must consist of letters, digits"),
        ("a b", Own(), "`name` must consist of letters, digits"),
        ("own_0.01", Own(), "`name` must consist of letters, digits"),  # as own at 0.01 is called
        ("", Own(), "`name` must consist of letters, digits"),
        (None, Own(), "`name` must consist of letters, digits"),
        ("own", Own, "`candidate` must be an instance of a subclass of fr_bench.Candidate"),
        ("own", lambda *_: None, "`candidate` must be an instance"),
        ("own", variant(description=None), r"`candidate.description` of 'own' must be one line"),
        ("own", variant(description=""), r"`candidate.description` of 'own' must be one line"),
        ("own", variant(description="a\nb"), r"`candidate.description` of 'own' must be one"),
        ("own", variant(needs=("money",)), r"`candidate.needs` of 'own' .*a trained network"),
        ("own", variant(needs="data"), r"`candidate.needs` of 'own' must be a collection"),
        ("own", variant(modes=("int3",)), r"`candidate.modes` of 'own' .*int16x8"),
        ("own", variant(modes=()), r"`candidate.modes` of 'own' must be a collection"),
    ],
)
def test_what_is_no_candidate_is_refused(name, candidate, message):
    before = all_candidates()
    with pytest.raises(ValueError, match=message):
        register_candidate(name, candidate)
    assert all_candidates() == before


def test_a_candidate_registers_twice_as_itself_alone():
    own = Own()
    register_candidate("own", own)
    register_candidate("own", own)
    with pytest.raises(ValueError, match="`name` must be free, but 'own' is taken by Own"):
        register_candidate("own", Own())


def test_a_candidate_without_description_is_refused():
    class Silent(Candidate):
        def train(self, model, data, regime, progress, title):
            raise NotImplementedError

    with pytest.raises(ValueError, match=r"`candidate.description` of 'own' must be one line"):
        register_candidate("own", Silent())


def test_a_trained_network_is_asked_for(tmp_path):
    register_candidate("own", variant(needs=(Need.TRAINED,)))
    with pytest.raises(
        ValueError, match=r"`model` must be trained before own can use it: .*0.2500"
    ):
        compared(tmp_path, "plain", "own", gain=0)
    assert list(tmp_path.iterdir()) == []
    assert compared(tmp_path, "own", gain=10)["forms"][0]["score"]["value"] == 1


def test_what_a_candidate_does_wrong_is_said_with_its_name(tmp_path):
    register_candidate("own", variant(train=lambda self, model, *_: model))
    with pytest.raises(ValueError, match=r"`train` of the candidate 'own' must return .*Trained"):
        compared(tmp_path, "own")

    def fails(self, model, data, regime, progress, title):
        raise ValueError("too narrow")

    register_candidate("fails", variant(train=fails))
    message = r"the candidate 'fails' of test_candidates failed: ValueError: too narrow"
    with pytest.raises(RuntimeError, match=message):
        compared(tmp_path, "fails")


def test_the_usual_candidates_say_what_they_are():
    for name, one in USUAL.items():
        assert all_candidates()[name] is one
        assert {*one.needs} == {Need.DATA, Need.LABELS}
        assert tuple(one.modes) == MODES
        assert type(one).__doc__
        assert name in ("plain", "narrow") or re.search(
            r"\(.* \d{4}, arXiv \d{4}\.\d{5}\)", one.description
        )


def test_the_face_needs_no_keras():
    code = (
        "import sys, fr_bench\n"
        "assert not {'keras', 'tensorflow', 'fr_keras'} & set(sys.modules)\n"
        "assert not hasattr(fr_bench, 'nothing')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    assert all(getattr(fr_bench, name).__name__ for name in fr_bench.__all__)


# Installed packages

PLUGINS = {
    "good": "good_package:CANDIDATE",
    "absent": "good_package:NOTHING",
    "wrong": "good_package:Good",
    "FR": "good_package:CANDIDATE",
    "missing": "no_such_package:CANDIDATE",
    "raises": "raising_package:CANDIDATE",
    "ends": "ending_package:CANDIDATE",
}
MODULES = {
    "good_package": """
        from fr_bench import Candidate, Trained

        class Good(Candidate):
            description = "From an installed package."
            has_budget = False
            modes = ("int8",)

            def train(self, model, data, regime, progress, title):
                return Trained(model, 7, history={}, seconds=1.5, rows=99)

        CANDIDATE = Good()
    """,
    "raising_package": "raise RuntimeError('a bad day')",
    "ending_package": "import sys; sys.exit(3)",
}
BROKEN = {
    "absent": "AttributeError",
    "wrong": "must be an instance of a subclass",
    "FR": "'FR' is taken by FrequencyRegularization",
    "missing": "No module named 'no_such_package'",
    "raises": "RuntimeError: a bad day",
    "ends": "SystemExit: 3",
}


@pytest.fixture
def installed(tmp_path) -> Path:
    """A folder with a distribution, as `pip install` leaves it."""
    site = tmp_path / "site"
    info = site / "some_plugins-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-plugins\nVersion: 1.0\n")
    rows = [f"{name} = {place}" for name, place in PLUGINS.items()]
    (info / "entry_points.txt").write_text("\n".join(["[fr_keras.candidates]", *rows, ""]))
    for name, code in MODULES.items():
        (site / f"{name}.py").write_text(textwrap.dedent(code))
    return site


def warned(name: str) -> str:
    return f"the candidate '{name}' of the package 'some-plugins' is left out: "


@pytest.mark.slow
def test_the_command_line_compares_what_a_package_registers(installed, tmp_path):
    data = spots()
    arrays = {f"{a}_{split}": getattr(data.train, a) for a in "xy" for split in ("train", "test")}
    np.savez(tmp_path / "spots.npz", **arrays)
    classifier(10).save(tmp_path / "model.keras")
    command = [sys.executable, "-m", "fr_keras_cli", "compare", "--model", "model.keras"]
    command += ["--data", "spots.npz", "--method", "good", "--json"]
    path = os.pathsep.join(map(str, (installed, ROOT)))
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert [one["form"] for one in results["forms"]] == ["good int8", "good archive+int8"]
    assert (tmp_path / "compare_output" / "good_int8.tflite").is_file()
    assert (results["trainings"][0]["seconds"], results["trainings"][0]["rows"]) == (1.5, 99)
    warnings = done.stderr.splitlines()
    for name, reason in BROKEN.items():
        (line,) = [one for one in warnings if warned(name) in one]
        assert reason in line


@pytest.fixture
def fresh(installed, monkeypatch):
    """This process, as if it had not looked for packages yet."""
    monkeypatch.syspath_prepend(installed)
    monkeypatch.setattr(_table, "_load_installed", _table._load_installed.__wrapped__)
    yield
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.mark.filterwarnings("ignore:the candidate")
def test_candidates_are_listed(fresh):
    assert CliRunner().invoke(main, ["compare", "--help"]).exit_code == 0
    assert not {*MODULES} & {*sys.modules}  # nothing is loaded before somebody looks
    done = CliRunner().invoke(main, ["compare", "--list", "--json"])
    found = {one["method"]: one for one in json.loads(done.stdout)}
    others = ["FR-ordered", "channels", "elm", "freqnet", "ternary", "tucker", "good"]
    assert list(found) == [*USUAL, *others]
    assert found["good"] == {
        "method": "good",
        "description": "From an installed package.",
        "needs": ["data", "labels"],
        "has_budget": False,
        "modes": ["int8"],
    }
    shown = CliRunner().invoke(main, ["compare", "--list"]).stdout
    assert all(one.description in shown for one in all_candidates().values())
    refused = CliRunner().invoke(main, ["compare", "--method", "absent"])
    assert refused.exit_code == 2
    assert (
        "--method must be one of plain, FR, pruning, narrow, FR-ordered, channels, elm, "
        "freqnet, ternary, tucker, good. Received: absent" in refused.stderr
    )


def colours() -> tuple[Dataset, keras.Model]:
    x, y = networks.colours(96)
    data = Dataset("colours", *(Split(x, y),) * 3, labels=tuple("abcde"))
    inputs = keras.Input((12, 12, 3))
    z = keras.layers.Conv2D(16, 3, activation="relu", name="conv")(inputs)
    z = keras.layers.GlobalAveragePooling2D()(z)
    z = keras.layers.Dense(40, activation="relu", name="hidden")(z)
    return data, keras.Model(inputs, keras.layers.Dense(5, activation="softmax", name="classes")(z))


def test_the_ternary_network_is_plain_and_has_three_values_in_a_kernel():
    data, model = colours()
    before = [one.copy() for one in model.get_weights()]
    with Progress(disable=True) as progress:
        ternary = all_candidates()["ternary"]
        trained = ternary.train(model, data, Regime(epochs=1), progress, "ternary")
    kernels = {one.path: one.numpy() for one in trained.model.weights if one.name == "kernel"}
    assert {path: len(np.unique(one)) for path, one in kernels.items()}["hidden/kernel"] == 3
    assert sum(np.count_nonzero(one) for one in kernels.values()) == trained.kept
    assert type(trained.model.get_layer("hidden")) is keras.layers.Dense
    assert trained.rows == 96
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("high", "activation"), [(1, "softmax"), (255, None)])
def test_the_elm_takes_the_inputs_of_the_network_and_gives_its_outputs(high, activation, tmp_path):
    pytest.importorskip("scipy")
    x, y = networks.colours(96)
    data = Dataset("colours", *(Split(x * high, y),) * 3, labels=tuple("abcde"))
    head = Head(Kind.CLASSES, "integers", 5, logits=activation is None)
    data = dataclasses.replace(data, task=Task((head,)))
    model = keras.Sequential(
        [keras.Input((12, 12, 3)), keras.layers.Flatten(), keras.layers.Dense(5, activation)]
    )
    with Progress(disable=True) as progress:
        trained = all_candidates()["elm"].train(model, data, Regime(keep=200), progress, "elm")
    assert (trained.kept, trained.rows) == (200, 96)
    found = trained.model.predict(x * high, verbose=0)
    assert np.mean(found.argmax(-1) == y) > 0.9
    assert np.allclose(found.sum(-1), 1, atol=1e-5) == (activation is not None)
    packing = save_archive(trained.model, tmp_path / "elm.fr")
    assert "seed 0" in str(packing)  # also of the scaled kernel


def test_the_elm_has_all_outputs_of_the_network_where_rows_lack_a_class():
    pytest.importorskip("scipy")
    data, model = colours()
    few = Split(data.train.x[data.train.y < 4], data.train.y[data.train.y < 4])
    data = dataclasses.replace(data, train=few, validation=few)
    with Progress(disable=True) as progress, pytest.warns(UserWarning, match=r"1 of 5 classes: 4"):
        trained = all_candidates()["elm"].train(model, data, Regime(keep=100), progress, "elm")
    assert trained.model.output_shape == model.output_shape == (None, 5)
    assert trained.kept == 100


def test_the_elm_has_no_more_neurons_than_rows():
    pytest.importorskip("scipy")
    data, model = colours()
    with Progress(disable=True) as progress:
        trained = all_candidates()["elm"].train(model, data, Regime(keep=0.9), progress, "elm")
    assert trained.model.get_layer("hidden").units == 96
    assert trained.kept == 96 * 5


@pytest.mark.parametrize("flaw", ["keep", "two inputs", "masks", "weights"])
def test_what_an_elm_cannot_take_is_refused(flaw):
    data, model = colours()
    regime, message = Regime(keep=4), r"`keep` must be at least 5 numbers for 'elm'.*Received: 4"
    if flaw == "two inputs":
        other = keras.Input((2,))
        body = keras.layers.Concatenate()([keras.layers.Flatten()(model.inputs[0]), other])
        model = keras.Model([*model.inputs, other], keras.layers.Dense(5)(body))
        message = r"one input, and one output .* Received: 2 inputs"
    elif flaw == "masks":
        task = Task((Head(Kind.MASKS, "integers", 5, logits=False),))
        data, message = dataclasses.replace(data, task=task), r"Received: 1 inputs .*segmentation"
    elif flaw == "weights":
        weighted = dataclasses.replace(data.train, sample_weight=np.ones(96, np.float32))
        data, message = dataclasses.replace(data, train=weighted), "no weights of rows for 'elm'"
    with Progress(disable=True) as progress, pytest.raises(ValueError, match=message):
        all_candidates()["elm"].train(model, data, regime, progress, "elm")


def test_the_narrow_network_and_the_cut_ones_keep_to_the_budget():
    data, model = colours()
    before = [one.copy() for one in model.get_weights()]
    with Progress(disable=True) as progress:
        for name in ("narrow", "channels", "freqnet", "tucker"):
            regime = Regime(keep=300, epochs=1, truncation_epochs=1)
            trained = all_candidates()[name].train(model, data, regime, progress, name)
            assert 200 < trained.kept <= 300
            kernels = [one for one in trained.model.weights if one.name == "kernel"]
            assert sum(np.size(one) for one in kernels) == trained.kept
            assert trained.rows == 96 + (96 if name in ("channels", "tucker") else 0)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    for name in ("channels", "tucker"):
        assert Need.TRAINED in all_candidates()[name].needs
