"""The grid: which cells there are, what each run does of them, and what a target tells."""

import itertools
import json

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from fakes_of_ray import fake_ray
from solved_tasks import classifier, dataset, pictures

from fr_bench import _cluster, report
from fr_bench._alone import alone
from fr_bench._fronts import on_front
from fr_bench.benchmark import Deviation, OpTime, Result, State, Times, run
from fr_bench.benchmark.devices import MissingDevice
from fr_bench.candidates import Candidate, Trained, _table, all_candidates, register_candidate
from fr_bench.grid import RATES, _run, _targets, grid
from fr_bench.grid._plan import cells
from fr_bench.preflight import preflight
from fr_keras.models.walk import plain_kernels
from fr_keras.tflite import MODES
from fr_keras_cli import main

pytestmark = pytest.mark.usefixtures("stepwise_module")

X, Y = pictures(320)


class Killed(BaseException):
    """What no code may catch."""


class Copy(Candidate):
    """Gives the network back without training, and counts how often."""

    description = "The network as it came."
    needs = ()
    modes = ("float32", "float16", "int8")
    fails = False

    def __init__(self):
        self.calls = []

    def holders(self, keep):
        return None

    def train(self, model, data, regime, progress, title):
        self.calls.append(regime.keep)
        if self.fails:
            raise ValueError("`model` must be another one. Received: this one")
        return Trained(model, round(1000 * regime.keep), {}, 0.5, 7)


@pytest.fixture
def copy(monkeypatch):
    monkeypatch.setattr(_table, "_candidates", dict(_table._candidates))
    register_candidate("copy", found := Copy())
    monkeypatch.setitem(_table._candidates, "plain", whole := Copy())
    found.whole = whole
    return found


@pytest.fixture(scope="module")
def network():
    return classifier(X, Y)


class Lab:
    """In place of the converter and the targets: counts what they do, and can break."""

    def __init__(self):
        self.written, self.measured, self.missing = [], [], {}
        self.breaks, self.archive, self.power = {}, None, 12.5

    def write_form(self, form, source, data, output):
        size = {"int8": 100, "archive+int8": self.archive}.get(form.mode, 400)
        if size is None:
            raise ValueError("an archive cannot hold it")
        self.written.append(form.name)
        (output.folder / form.file).write_bytes(b"x")
        score = {"value": 0.9, "low": 0.85, "high": 0.95, "n": 80}
        sizes = {"device_bytes": 2 * size, "download_bytes": size}
        facts = {"kept": source.kept, "score": score, "argmax_agreement": 1.0}
        return {"file": form.file, **sizes, **facts}, None

    def check(self, target, settings, phone=None):
        if target in self.missing:
            raise MissingDevice(self.missing[target])

    def on(self, target, subjects, settings, phone=None):
        self.measured.append((target, subjects[0]))
        if (error := self.breaks.get((target, len(self.measured)))) is not None:
            raise error
        yield result(target, 100.0, state=State(milliwatts=self.power))


def result(target="host", median=None, status="done", **fields):
    times = None if median is None else Times(50, median_us=median, p95_us=2 * median, cpu_use=0.9)
    return Result(
        "m.tflite", 100, "00", target, {"name": target}, "LiteRT", "xnnpack", status, 1,
        times=times, **fields,
    )  # fmt: skip


@pytest.fixture(scope="module")
def known(network):
    return preflight(network, dataset(X, Y))


@pytest.fixture
def lab(monkeypatch, known):
    found = Lab()
    monkeypatch.setattr("fr_bench.grid.preflight", lambda *_, **__: known)
    monkeypatch.setattr(_run, "write_form", found.write_form)
    monkeypatch.setattr(_run, "subject", lambda path, x: path.name)
    monkeypatch.setattr(run, "check", found.check)
    monkeypatch.setattr(run, "on", found.on)
    monkeypatch.setattr(report, "grid_page", lambda results: "a page")
    return found


def small(network, out, rates=(0.9, 0.0), methods=("copy",), modes=("float32", "int8"), **options):
    return grid(network, dataset(X, Y), out, rates, methods, modes, epochs=1, **options)


def states(results):
    return {one["name"]: one["state"] for one in results["cells"]}


# The plan


def some(*names):
    known = all_candidates()
    return {name: known[name] for name in ("plain", *names)}


@pytest.mark.parametrize("rates", [RATES, (0.5,), (0.0,), (0.9, 0.35)])
@pytest.mark.parametrize("modes", [MODES, ("int8",), ("float32", "dynamic")])
def test_the_plan_is_every_combination_once(rates, modes):
    held = cells(rates, modes, some("pruning", "FR", "ternary"))
    found = [(c.training.method, c.training.rate, c.mode, c.when) for c in held]
    networks = [(m, r) for m in ("pruning", "FR") for r in rates if r > 0]
    networks += [("plain", 0.0)] if 0 in rates else []
    expected = set()
    for (method, rate), mode in itertools.product([*networks, ("ternary", None)], modes):
        expected.add((method, rate, mode, "never" if mode == "float32" else "after"))
        if mode == "int8" and method != "ternary":  # its levels would be lost
            expected.add((method, rate, mode, "during"))
    assert len(found) == len(expected)
    assert set(found) == expected
    for names in ({one.name for one in held}, {one.training.form(one.mode).file for one in held}):
        assert len(names) == len(held)
    trainings = [one.training for one in held]
    assert len(list(itertools.groupby(trainings))) == len(set(trainings))


@pytest.mark.parametrize(
    "methods", [("pruning", "channels", "FR"), ("narrow", "channels"), ("pruning",)]
)
def test_the_models_of_the_survey_are_18(methods):
    marked = [one for one in cells(RATES, MODES, some(*methods)) if one.survey]
    assert len(marked) == 18
    pruned = [one for one in marked if one.training.rate]
    counted = next(one for one in methods if one in ("pruning", "channels"))
    assert {one.training.method for one in pruned} == {counted}
    assert len([one for one in pruned if one.mode == "float32"]) == 3
    assert len([one for one in pruned if one.when == "after"]) == 12
    whole = {one.mode for one in marked if not one.training.rate}
    assert whole == {"float32", "float16", "int8"}
    assert [one.mode for one in marked if one.is_control] == ["float32"]


def test_kept_shares_are_not_off_by_rounding():
    held = {one.training.keep for one in cells(RATES, MODES, some("pruning"))}
    assert held == {None, 0.1, 0.2, 0.3}


def test_the_front_is_that_of_brute_force():
    rng = np.random.default_rng(0)
    points = [tuple(one) for one in rng.integers(0, 6, (40, 2)).tolist()]
    expected = []
    for cost, score in points:
        better = [(c, s) for c, s in points if c <= cost and s >= score]
        expected.append(set(better) == {(cost, score)})
    assert on_front(points) == expected
    assert 0 < sum(expected) < 40


# A run


def test_every_cell_is_trained_once_written_and_measured(network, tmp_path, copy, lab):
    results = small(network, tmp_path, rates=(0.9, 0.5, 0.0), targets=("host", "gpu"))
    expected = {
        f"{n} {m}" for n in ("plain", "copy 90 %", "copy 50 %") for m in ("float32", "int8")
    }
    assert states(results) == dict.fromkeys(expected, "done")
    assert copy.calls == [0.1, 0.5]
    assert copy.whole.calls == [1.0]
    assert [target for target, _ in lab.measured] == ["host", "gpu"] * 6
    assert json.loads((tmp_path / "grid.json").read_text()) == results
    assert (tmp_path / "grid.html").exists()
    assert [one["kept"] for one in results["trainings"]] == [1000, 100, 500]
    for one in results["cells"]:
        assert one["measured"]["gpu"]["p95_us"] == 200
        assert one["download"] == "tflite.gz"
        assert (tmp_path / "files" / one["file"]).exists()


def test_an_archive_is_the_download_where_it_is_smaller(network, tmp_path, copy, lab):
    lab.archive = 60
    found = {one["name"]: one for one in small(network, tmp_path)["cells"]}
    taken = found["plain int8"]
    assert (taken["file"], taken["download"]) == ("plain_archive+int8.fr", "fr")
    assert (taken["download_bytes"], taken["device_bytes"]) == (60, 120)
    assert found["plain float32"]["download"] == "tflite.gz"
    assert not (tmp_path / "files" / "plain_int8.tflite").exists()


def test_a_larger_archive_is_not_kept(network, tmp_path, copy, lab):
    lab.archive = 101
    found = {one["name"]: one for one in small(network, tmp_path)["cells"]}
    assert found["plain int8"]["file"] == "plain_int8.tflite"
    assert not list((tmp_path / "files").glob("*.fr"))


def test_a_killed_run_goes_on(network, tmp_path, copy, lab):
    lab.breaks = {("host", 4): Killed()}
    with pytest.raises(Killed):
        small(network, tmp_path)
    held = json.loads((tmp_path / "grid.json").read_text())
    done = ["plain float32", "plain int8", "copy 90 % float32"]
    assert [name for name, state in states(held).items() if state == "done"] == done
    last = held["cells"][-1]
    assert last["state"] == "open"
    assert last["file"] == "copy_0.1_int8.tflite"
    assert (tmp_path / "grid.html").read_text() == "a page"
    assert held["answers"]
    written, trained = list(lab.written), list(copy.calls)
    results = small(network, tmp_path)
    assert set(states(results).values()) == {"done"}
    assert lab.written == written
    assert copy.calls == trained
    assert len(lab.measured) == 5


def test_networks_of_a_killed_run_are_found_again(network, tmp_path, copy, lab, monkeypatch):
    monkeypatch.setattr(_run, "write_form", lambda *_: (_ for _ in ()).throw(Killed()))
    with pytest.raises(Killed):
        small(network, tmp_path)
    monkeypatch.setattr(_run, "write_form", lab.write_form)
    small(network, tmp_path)
    assert copy.whole.calls == [1.0]


def test_another_request_is_refused_in_the_folder(network, tmp_path, copy, lab):
    small(network, tmp_path, rates=(0.9,))
    with pytest.raises(FileExistsError, match="with another rates: choose another folder"):
        small(network, tmp_path)
    results = small(network, tmp_path, overwrite=True)
    assert set(states(results).values()) == {"done"}
    assert copy.calls == [0.1, 0.1]


def test_results_of_no_run_are_not_replaced(network, tmp_path, copy, lab):
    (tmp_path / "grid.html").write_text("mine")
    with pytest.raises(FileExistsError, match=r"holds grid\.html, which no earlier run wrote"):
        small(network, tmp_path)
    assert copy.calls == []
    assert (tmp_path / "grid.html").read_text() == "mine"


def test_two_runs_in_one_folder_are_refused(network, tmp_path, copy, lab):
    with alone(tmp_path), pytest.raises(RuntimeError, match="no other run is at work"):
        small(network, tmp_path)
    assert copy.calls == []
    small(network, tmp_path)


@pytest.fixture
def fake(monkeypatch):
    found = fake_ray()
    monkeypatch.setattr(_cluster, "_ray", lambda: found)
    return found


def test_the_cells_do_not_depend_on_the_engine(network, tmp_path, copy, lab, fake):
    here = small(network, tmp_path / "here")
    copy.calls[:] = copy.whole.calls[:] = []
    there = small(network, tmp_path / "there", engine="ray")
    assert there["cells"] == here["cells"]
    assert there["trainings"] == here["trainings"]
    assert (copy.calls, copy.whole.calls) == ([0.1], [1.0])
    assert fake.calls[0]["num_cpus"] == 4  # two trainings share eight
    # Either goes on with a run of the other: nothing is left to train.
    small(network, tmp_path / "here", engine="ray")
    small(network, tmp_path / "there")
    assert len(fake.stored) == 5
    assert (copy.calls, copy.whole.calls) == ([0.1], [1.0])


def test_on_a_cluster_a_network_waits_for_the_one_that_it_goes_on_from(
    network, tmp_path, copy, lab, fake, monkeypatch
):
    def train_aware(self, training):
        order.append(training.name)
        return self.trained(training.base)

    order = []
    monkeypatch.setattr(Copy, "holders", lambda self, keep: ())
    monkeypatch.setattr(_run.Run, "_train_aware", train_aware)
    results = small(network, tmp_path, engine="ray")
    assert order == ["copy 90 %, int8 in training", "plain, int8 in training"]
    assert (copy.calls, copy.whole.calls) == ([0.1], [1.0])
    assert {*states(results).values()} == {"done"}
    # Where the first is there from an earlier run, nobody waits.
    for one in tmp_path.rglob("copy_aware*.json"):
        one.unlink()
    row = json.loads((tmp_path / "grid.json").read_text())
    for one in row["cells"]:
        if one["method"] == "copy" and one["quantized"] == "during":
            one |= {"state": "open", "file": None}
    (tmp_path / "grid.json").write_text(json.dumps(row))
    small(network, tmp_path, engine="ray")
    assert order[2:] == ["copy 90 %, int8 in training"]
    assert copy.calls == [0.1]


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_all_files_of_a_training_that_failed_have_failed(
    network, tmp_path, copy, lab, fake, engine, monkeypatch
):
    monkeypatch.setattr(Copy, "holders", lambda self, keep: ())
    copy.fails = True
    results = small(network, tmp_path, (0.9,), engine=engine)
    why = "`model` must be another one. Received: this one"
    assert {(one["state"], one["why"]) for one in results["cells"]} == {("failed", why)}
    assert copy.calls == [0.1]


def test_the_files_of_a_training_whose_worker_dies_have_failed(network, tmp_path, copy, lab, fake):
    def dying(task):
        raise fake.exceptions.WorkerCrashedError("it was killed\nby something")

    fake.get = dying
    results = small(network, tmp_path, (0.9,), engine="ray")
    why = "its worker died each time: it was killed"
    assert {(one["state"], one["why"]) for one in results["cells"]} == {("failed", why)}


def test_a_method_that_fails_is_tried_once_and_the_others_go_on(network, tmp_path, copy, lab):
    copy.fails = True
    results = small(network, tmp_path)
    failed = [one for one in results["cells"] if one["method"] == "copy"]
    assert {(one["state"], one["why"]) for one in failed} == {
        ("failed", "`model` must be another one. Received: this one")
    }
    assert copy.calls == [0.1]
    assert states(results)["plain int8"] == "done"
    small(network, tmp_path)
    assert copy.calls == [0.1]


# Targets


def test_a_target_that_drops_out_leaves_its_cells_open(network, tmp_path, copy, lab, capsys):
    targets = ("host", "gpu")
    lab.breaks = {("gpu", 4): RuntimeError("the cable is out")}
    results = small(network, tmp_path, targets=targets)
    assert list(states(results).values()) == ["done", "open", "open", "open"]
    assert results["cells"][3]["why"] == "gpu: it dropped out: the cable is out"
    assert all(one["measured"]["host"]["state"] == "done" for one in results["cells"])
    assert [one for one, _ in lab.measured] == ["host", "gpu"] * 2 + ["host"] * 2
    assert "'gpu' dropped out; its cells stay open: the cable is out" in capsys.readouterr().err
    lab.measured = []
    again = small(network, tmp_path, targets=targets)
    assert set(states(again).values()) == {"done"}
    assert [one for one, _ in lab.measured] == ["gpu"] * 3


def test_a_target_that_is_not_there_leaves_its_cells_open(network, tmp_path, copy, lab, capsys):
    lab.missing = {"arm64": "there is no set-up"}
    results = small(network, tmp_path, targets=("arm64", "host"))
    assert set(states(results).values()) == {"open"}
    assert {one["why"] for one in results["cells"]} == {"arm64: there is no set-up"}
    assert "'arm64' is not there, so its cells stay open" in capsys.readouterr().err


def test_without_any_target_nothing_is_done(network, tmp_path, copy, lab):
    lab.missing = {"arm64": "there is no set-up", "gpu": "there is no driver"}
    with pytest.raises(
        RuntimeError, match="'gpu': there is no driver; 'arm64': there is no set-up"
    ):
        small(network, tmp_path / "out", targets=("gpu", "arm64"))
    assert copy.whole.calls == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("power", [None, 0.0, -3.0, float("nan")])
def test_a_power_that_cannot_be_is_absent(network, tmp_path, copy, lab, power):
    lab.power = power
    (one,) = small(network, tmp_path, (0.0,), modes=("float32",))["cells"]
    assert one["measured"]["host"]["milliwatts"] is None
    assert one["state"] == "done"


def test_the_fastest_result_of_a_target_counts():
    slow, none = result(median=90.0), result()
    state = State(milliwatts=750.0)
    ops = (OpTime("CONV_2D", 2, 30.0), OpTime("ADD", 1, 10.0))
    agreement = {"a": Deviation(4, 0.1, 0.1, argmax=0.75), "b": Deviation(4, 0.1, 0.1)}
    fast = result(median=30.0, state=state, profile=ops, agreement=agreement)
    found = _targets._measured([slow, fast, none, result(median=1.0, status="failed")])
    assert (found["median_us"], found["p95_us"], found["milliwatts"]) == (30, 60, 750)
    assert (found["longest_op"], found["agrees"]) == (["CONV_2D", 0.75], 0.75)
    mean = Result(**{**vars(slow), "times": Times(5, mean_us=40.0)})
    assert _targets._measured([slow, mean])["median_us"] == 40  # an older tool gives no median
    emulated = _targets._measured([none])
    assert (emulated["state"], emulated["median_us"]) == ("done", None)


def test_a_file_that_a_target_does_not_take_has_failed_there():
    refused = [result(status="refused", message="no GELU"), result(status="failed", message="died")]
    found = _targets._measured(refused)
    assert found == {"state": "failed", "why": "xnnpack: no GELU; xnnpack: died"}


# Arguments


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rates": ()}, "`rates` must hold one or more"),
        ({"rates": (1.0,)}, r"`rates` must .* to below 1\. Received: \(1\.0,\)"),
        ({"rates": (0.5, 0.500000001)}, "`rates` must hold"),
        ({"methods": ("plain",)}, "`methods` must hold .* Received: \\('plain',\\)"),
        ({"modes": ("int4",)}, "`modes` must hold"),
        ({"modes": ("dynamic",)}, "`modes` must have at least one that makes sense for 'plain'"),
        ({"targets": ("toaster",)}, "`targets` must hold"),
        ({"targets": ("android",)}, "need `phone` with a tool"),
        ({"epochs": 0}, "`epochs` must be at least 1"),
    ],
)
def test_wrong_arguments_are_refused(network, tmp_path, copy, lab, options, message):
    given = {"rates": (0.9,), "methods": ("copy",), "modes": ("int8",), "epochs": 1, **options}
    with pytest.raises(ValueError, match=message):
        grid(network, dataset(X, Y), tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()


# The command


def test_the_command_measures_real_files(network, tmp_path):
    network.save(tmp_path / "model.keras")
    parts = {"x_train": X[:240], "y_train": Y[:240], "x_test": X[240:], "y_test": Y[240:]}
    np.savez(tmp_path / "bars.npz", **parts)
    out = tmp_path / "out"
    words = ["grid", str(tmp_path / "model.keras"), "--data", str(tmp_path / "bars.npz")]
    words += ["--rate", "0.8", "--method", "pruning", "--quantize", "int8", "--epochs", "1"]
    done = CliRunner().invoke(main, [*words, "--out", str(out)])
    assert done.exit_code == 0, done.output
    for part in (
        "Training pruning 80 %",
        "(2 of 2)",
        "Is it fast enough?",
        "2 of 2 cells are done",
    ):
        assert part in done.output
    again = CliRunner().invoke(main, [*words, "--out", str(out), "--json"])
    results = json.loads(again.stdout)
    assert results["command"].startswith("fr-keras grid model.keras --data bars.npz --rate 0.8")
    for one in results["cells"]:
        held = one["measured"]["host"]
        assert held["p95_us"] >= held["median_us"] > 0
        assert held["cpu_use"] > 0
        assert one["score"]["low"] <= one["score"]["value"] <= one["score"]["high"]
        assert one["score"]["n"] == 80
        assert one["device_bytes"] > one["download_bytes"] > 0
    aware = keras.saving.load_model(out / "networks" / "pruning_aware_0.2.keras")
    kernels = [one for one in aware.trainable_variables if len(one.shape) > 1]
    left = sum(int(np.count_nonzero(keras.ops.convert_to_numpy(one))) for one in kernels)
    whole = sum(kernel.shape.num_elements() for _, kernel in plain_kernels(network).values())
    assert 0 < left <= round(0.2 * whole) + 1
    other = CliRunner().invoke(main, [*words, "--out", str(out), "--seed", "1"])
    assert other.exit_code == 2
    assert "with another seed" in other.output


def test_android_needs_a_tool(network, tmp_path):
    network.save(tmp_path / "model.keras")
    words = ["grid", str(tmp_path / "model.keras"), "--data", "digits", "--on", "android"]
    found = CliRunner().invoke(main, words)
    assert found.exit_code == 2
    assert "--on android needs --tool" in found.output
