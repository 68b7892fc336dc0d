"""Trials in this process and on a Ray cluster: the same outcomes, and the same files."""

import dataclasses
import json
import os
import signal
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from fakes_of_ray import fake_ray
from rich.progress import Progress
from solved_tasks import classifier, dataset, pictures

from fr_bench._cluster import Cluster
from fr_bench.candidates import Candidate, Trained, _table, register_candidate
from fr_bench.compression import _plan, compress
from fr_bench.compression._engines import OnRay, local
from fr_bench.compression._folder import RunFolder
from fr_bench.compression._plan import Goal, awaited
from fr_bench.compression._rounds import OVER, Rounds
from fr_bench.compression._trial import Cell, Trial
from fr_bench.grid import grid
from fr_bench.tasks import Scored
from fr_bench.training import Regime, classification

X, Y = pictures(320)
METHODS, KEEPS = ("one", "two"), (0.5, 0.2, 0.1)


class Marking(Candidate):
    """Gives the network back without training, and leaves a mark for each call.

    `one` knows nothing at small budgets. If `dies`, the first two trials begin at the same time,
    and the process of `one` is killed in the first call.
    """

    description = "The network as it came."
    needs = ()

    def __init__(self, name: str, folder: Path, dies: bool = False):
        self.name, self.folder, self.dies = name, folder, dies

    def train(self, model, data, regime, progress, title):
        cell = f"{self.name}-{regime.keep}-{len(data.train)}"
        again = list(self.folder.glob(f"{cell}-*"))
        marks = [mapping(data.train.x), os.environ.get("TF_NUM_INTRAOP_THREADS")]
        (self.folder / f"{cell}-{os.getpid()}").write_text(json.dumps(marks))
        if self.dies and regime.keep == max(KEEPS) and not again and len(data.train) == 40:
            deadline = time.monotonic() + 120
            while len({one.name[:3] for one in self.folder.iterdir()}) < 2:
                assert time.monotonic() < deadline, "only one worker is at work"
                time.sleep(0.05)
            if self.name == "one":
                os.kill(os.getpid(), signal.SIGKILL)
        copy = keras.models.clone_model(model)
        weights = model.get_weights()
        if self.name == "one" and regime.keep < max(KEEPS):
            weights = [0 * one for one in weights]
        copy.set_weights(weights)
        return Trained(copy, round(1000 * regime.keep), {}, 0.5, 0)


def mapping(array: np.ndarray) -> str:
    """The file that memory of an array is mapped from, as Linux names it."""
    address = array.__array_interface__["data"][0]
    for line in Path("/proc/self/maps").read_text().splitlines():
        first, last = (int(one, 16) for one in line.split()[0].split("-"))
        if first <= address < last:
            return " ".join(line.split()[5:])
    return ""


@pytest.fixture(autouse=True)
def _one_epoch(monkeypatch):
    """One epoch for each trial, whatever the machine is doing."""
    monkeypatch.setattr(_plan, "_MOST_EPOCHS", 1)
    monkeypatch.setattr(_plan, "_FEWEST_EPOCHS", 1)


@pytest.fixture(scope="module")
def network():
    return classifier(X, Y)


def run(network, data, folder, engine, methods=METHODS, dies=False, **options):
    """Runs candidates that put their marks into `folder`, and compresses into `folder/out`."""
    (folder / "marks").mkdir(exist_ok=True)
    for name in methods:
        _table._candidates.pop(name, None)
        register_candidate(name, Marking(name, folder / "marks", dies))
    return compress(
        network, data, folder / "out", methods=methods, keeps=KEEPS, minutes=60, engine=engine,
        verbose=False, **options,
    )  # fmt: skip


def outcomes(found) -> tuple[list, list[str]]:
    """What does not depend on how busy the machine is, nor on the last digits of weights."""
    names = "name", "method", "keep", "rung", "kept", "device_bytes", "download"
    trials = [[one[name] for name in names] for one in found.results["trials"]]
    return trials, found.results["left_out"]


def files(folder: Path) -> set[str]:
    return {str(one.relative_to(folder)) for one in folder.rglob("*")}


# Without Ray


@pytest.fixture
def rounds(network, tmp_path, monkeypatch):
    """Rounds that train nothing: `one` knows nothing at small budgets."""

    def trial(self, cell, rung):
        assert self.model is not None
        assert self.candidates
        right = 0.2 if cell.method == "one" and cell.keep < max(KEEPS) else 0.9
        score = Scored(right, right - 0.01, right + 0.01, 80)
        done = Trial(cell.name, cell.method, cell.keep, rung, 9, 9, 9, "tflite.gz", score, 0.0)
        self.folder.keep(done)
        return done

    monkeypatch.setattr(Rounds, "_trial", trial)
    data = dataset(X, Y)
    data = dataclasses.replace(data, task=classification(data))
    return Rounds(
        network, data, dict.fromkeys(METHODS, "candidate"), Regime(), Goal(0.8, None), 0.25,
        RunFolder(tmp_path, {}), time.time() + 1000, Progress(disable=True), lambda line: None,
    )  # fmt: skip


CELLS = _plan.cells(METHODS, KEEPS)


@pytest.fixture
def folder(tmp_path):
    (found := tmp_path / "shared").mkdir()
    return found


def test_the_outcomes_do_not_depend_on_the_engine(rounds, folder):
    ray = fake_ray()
    trials, left_out = rounds.run(CELLS, OnRay(Cluster(ray, folder)))
    assert left_out == ["one 0.1, round 1: not trained: one 0.2 had only 0.2000 already"]
    assert [one.name for one in trials] == [one.name for one in CELLS if one != Cell("one", 0.1)]
    # All that is large is put away once, and two methods share eight CPUs in the first round.
    assert len(ray.stored) == 5
    assert ray.calls[0]["num_cpus"] == 4
    assert ray.calls[0]["runtime_env"]["env_vars"]["TF_NUM_INTRAOP_THREADS"] == "4"
    # Either engine goes on with what the other one did, and finds the same when it starts anew.
    assert rounds.run(CELLS, local) == (trials, left_out)
    for one in rounds.folder.path.rglob("trial.json"):
        one.unlink()
    assert rounds.run(CELLS, local) == (trials, left_out)


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_when_the_time_is_over_one_trial_runs(rounds, folder, engine):
    late = dataclasses.replace(rounds, deadline=time.time() - 1)
    trials, left_out = late.run(
        CELLS, local if engine == "local" else OnRay(Cluster(fake_ray(), folder))
    )
    assert [(one.name, one.rung) for one in trials] == [("one 0.5", 0)]
    assert left_out[:5] == [f"{one.name}, round 1: {OVER}" for one in CELLS[1:]]


def test_a_worker_that_dies_again_and_again_leaves_out_its_trial(rounds, folder):
    ray = fake_ray()
    get, crashed = ray.get, ray.exceptions.WorkerCrashedError
    given = type("", (ray.exceptions.RayTaskError, crashed), {})  # to the task that awaits it

    def dying(ref):
        found = get(ref)
        if found.name == "two 0.2":
            raise crashed("it was killed\nby something")
        if found.name == "two 0.1":
            raise given("ray::task")
        return found

    ray.get = dying
    trials, left_out = rounds.run(
        [one for one in CELLS if one.method == "two"], OnRay(Cluster(ray, folder))
    )
    assert left_out == [
        "two 0.2, round 1: failed: its worker died each time: it was killed",
        "two 0.1, round 1: not trained: the worker of a larger budget died",
    ]
    assert [one.name for one in trials] == ["two 0.5"]


def test_an_error_stops_the_other_trials(rounds, folder):
    def broken(ref):
        raise OSError("the disk is full")

    ray = fake_ray(get=broken)
    with pytest.raises(OSError, match="the disk is full"):
        rounds.run(CELLS, OnRay(Cluster(ray, folder)))
    assert len(ray.cancelled) == len(CELLS)


def test_what_workers_cannot_import_is_named(rounds, folder):
    def get(ref):
        raise ray.exceptions.RaySystemError("traceback:\nNo module named 'mine'\n")

    ray = fake_ray()
    ray.get = get
    with pytest.raises(ImportError, match=r"must be installed on .* Received: No module named"):
        rounds.run(CELLS, OnRay(Cluster(ray, folder)))


def test_what_cannot_be_sent_is_named(rounds, folder):
    def put(value):
        raise TypeError("cannot pickle '_thread.lock' object")

    with pytest.raises(ValueError, match=r"the candidates of `methods` must .*'_thread.lock'"):
        rounds.run(CELLS, OnRay(Cluster(fake_ray(put=put), folder)))


@pytest.mark.parametrize(
    ("cpus", "at_once", "share"),
    [((2,), 2, 1), ((8,), 2, 4), ((8,), 6, 1), ((2, 16), 6, 1), ((4, 4, 4), 6, 2), ((), 2, 1)],
)
def test_the_cpus_of_a_machine_are_shared_out(tmp_path, cpus, at_once, share):
    nodes = [{"Alive": True, "Resources": {"CPU": float(one)}} for one in cpus]
    nodes += [{"Alive": False, "Resources": {"CPU": 1.0}}, {"Alive": True, "Resources": {}}]
    ray = fake_ray(nodes=lambda: nodes)
    Cluster(ray, tmp_path).task(print, at_once)
    assert ray.calls[0]["num_cpus"] == share


def test_only_larger_budgets_of_its_method_are_awaited():
    assert awaited(Cell("one", 0.1), CELLS, 0) == [Cell("one", 0.5), Cell("one", 0.2)]
    assert awaited(Cell("one", 0.5), CELLS, 0) == []
    assert awaited(Cell("one", 0.1), CELLS, 1) == []


def test_engines_that_are_not_there(network, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"`engine` must be one of .*Received: 'spark'"):
        run(network, dataset(X, Y), tmp_path, "spark")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"extra `ray`: pip install 'fr-keras\[ray\]'"):
        run(network, dataset(X, Y), tmp_path, "ray")
    assert not (tmp_path / "out").exists()


# With Ray


@pytest.fixture
def cluster(monkeypatch):
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    # As what is defined in a script or a notebook; workers cannot import this module.
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    ray.init(address="local", num_cpus=2, logging_level="warning", log_to_driver=False)
    yield ray
    ray.shutdown()
    ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.mark.slow
def test_a_cluster_of_which_a_worker_is_killed(network, cluster, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    for one in (here, there):
        one.mkdir()
    mapped = np.memmap(tmp_path / "x", X.dtype, "w+", shape=X.shape)
    mapped[:] = X
    found = run(network, dataset(X, Y), here, "local")
    spread = run(network, dataset(mapped, Y), there, "ray", dies=True)
    assert outcomes(spread) == outcomes(found)
    assert files(there / "out") == files(here / "out")
    marks = [one.name for one in (there / "marks").iterdir()]
    assert str(os.getpid()) not in {one.split("-")[-1] for one in marks}
    assert len([one for one in marks if one.startswith("one-0.5-40-")]) == 2  # killed, and again
    for one in (there / "marks").iterdir():
        place, threads = json.loads(one.read_text())
        assert "plasma" in place  # Ray's object store
        assert threads == ("1" if "-40-" in one.name else threads)


@pytest.mark.slow
def test_a_metric_of_ones_own_and_a_layer_of_ones_own(cluster, tmp_path):
    @keras.saving.register_keras_serializable("test_engines")
    class Twice(keras.layers.Layer):
        def call(self, inputs):
            return 2 * inputs

    def worst(y, outputs):
        right = outputs.argmax(-1) == y
        return min(np.mean(right[y == one]) for one in np.unique(y))

    body = classifier(X, Y)
    model = keras.Sequential([body.inputs[0], body, Twice()])
    found = run(model, dataset(X, Y), tmp_path, "ray", ("two",), metric=worst)
    assert found.results["metric"] == "worst"
    trained = [one for one in found.results["trials"] if one["method"] == "two"]
    assert [one["keep"] for one in trained] == [*KEEPS]


@pytest.mark.slow
def test_the_networks_of_a_grid_are_trained_on_a_cluster(network, cluster, tmp_path):
    facts, found = ("name", "state", "why", "kept", "download"), []
    for engine in ("local", "ray"):
        results = grid(
            network, dataset(X, Y), tmp_path / engine, (0.5, 0.0), ("channels",),
            ("float32", "int8"), epochs=1, engine=engine, verbose=False,
        )  # fmt: skip
        cells = [[one[fact] for fact in facts] for one in results["cells"]]
        found.append((cells, [one["title"] for one in results["trainings"]]))
    assert found[0] == found[1]
    assert {one["state"] for one in results["cells"]} == {"done"}
