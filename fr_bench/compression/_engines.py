"""Where the trials of a round run: one after the other in this process, or on a Ray cluster."""

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
from rich.progress import Progress

from fr_bench.compression._plan import awaited
from fr_bench.compression._rounds import Engine, Outcome, Rounds
from fr_bench.compression._trial import Cell
from fr_bench.data import Arrays, Dataset, Split

ENGINES = ("local", "ray")
_RETRIES = 3  # how often Ray runs a trial again whose worker died


def check_engine(name: str) -> None:
    """Refuses an engine that is not known or not installed.

    Raises:
        ValueError: If the name is not one of `ENGINES`.
        ImportError: If the extra `ray` is not installed.
    """
    if name not in ENGINES:
        raise ValueError(f"`engine` must be one of {ENGINES}. Received: {name!r}")
    if name == "ray":
        _ray()


@contextlib.contextmanager
def started(name: str, folder: Path) -> Iterator[Engine]:
    """Gives the engine of this name, and stops what it started.

    Ray itself finds the cluster: the one that this process is connected to, else the one of the
    environment variable RAY_ADDRESS, else one that runs on this machine. If there is none, it
    starts one on this machine, which ends here.

    Args:
        name: One of `ENGINES`.
        folder: A folder that all machines see.
    """
    if name == "local":
        yield local
        return
    ray = _ray()
    mine = not ray.is_initialized()
    if mine:
        ray.init(logging_level="warning", log_to_driver=False)
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".network-") as shared:
            yield OnRay(ray, Path(shared))
    finally:
        if mine:
            ray.shutdown()


def local(
    rounds: Rounds, cells: list[Cell], rung: int, known: dict[Cell, Outcome]
) -> Iterator[tuple[Cell, Outcome]]:
    """Runs trials one after the other in this process."""
    outcomes = dict(known)
    for cell in cells:
        if cell not in outcomes:
            before = [outcomes[one] for one in awaited(cell, cells, rung)]
            outcomes[cell] = rounds.attempt(cell, rung, cell == cells[0], before)
            yield cell, outcomes[cell]


class OnRay:
    """Runs each trial as a task of Ray, which runs it again if its worker dies.

    Data and candidates go into Ray's object store once. Workers of a machine share them there, and
    map the arrays of the data into memory instead of copying them. The network is a file.

    The CPUs of a machine are shared out among the trials that can run at once, and TensorFlow gets
    as many threads as its trial has CPUs. That takes variables of TensorFlow: Ray sets
    OMP_NUM_THREADS, which TensorFlow's own pools do not heed, so each worker would use every core.

    Args:
        ray: The module, connected to a cluster.
        folder: An empty folder that all machines see.
    """

    def __init__(self, ray, folder: Path):
        self._ray, self._network = ray, folder / "network.keras"
        self._stored = ()

    def __call__(
        self, rounds: Rounds, cells: list[Cell], rung: int, known: dict[Cell, Outcome]
    ) -> Iterator[tuple[Cell, Outcome]]:
        """Runs trials at once, and yields their outcomes as they come.

        A trial waits for those whose outcome decides whether it is run: see `awaited`. So a cluster
        runs the same trials as one process, unless the time is over.
        """
        self._stored = self._stored or self._store(rounds)
        outcomes, running = dict(known), {}
        task = self._ray.remote(_attempt).options(**self._resources(cells, rung))
        for cell in cells:
            if cell not in known:
                before = [outcomes[one] for one in awaited(cell, cells, rung)]
                outcomes[cell] = task.remote(
                    *self._stored, str(self._network), cell, rung, cell == cells[0], *before
                )
                running[outcomes[cell]] = cell
        try:
            while running:
                (done,), _ = self._ray.wait(list(running), num_returns=1)
                yield running[done], self._outcome(done)
                del running[done]
        finally:  # after an error or Ctrl-C the others must not go on
            for one in running:
                self._ray.cancel(one, force=True)

    def _outcome(self, done) -> Outcome:
        errors = self._ray.exceptions
        try:
            return self._ray.get(done)
        except (errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError) as error:
            # The others may work.
            if isinstance(error, errors.RayTaskError):  # it was given with what the trial awaits
                return "not trained: the worker of a larger budget died"
            return f"failed: its worker died each time: {str(error).strip().splitlines()[0]}"
        except errors.RaySystemError as error:  # what it was sent does not arrive
            raise ImportError(
                "modules of candidates, layers, losses and metrics must be installed on all "
                "machines of the cluster, or be in PYTHONPATH when it starts. "
                f"Received: {str(error).strip().splitlines()[-1]}"
            ) from error

    def _store(self, rounds: Rounds) -> tuple:
        """Puts what every trial needs where workers find it."""
        rounds.model.save(self._network)
        task, data = rounds.data.task, dataclasses.replace(rounds.data, task=None)
        bare = {"model": None, "data": None, "progress": None, "say": None}
        rest = dataclasses.replace(rounds, **bare, candidates={})
        return tuple(
            self._put(what, value)
            for what, value in (
                ("the candidates of `methods`", rounds.candidates),
                ("`loss` and `metric`", task),
                ("the layers and functions of `model`", keras.saving.get_custom_objects()),
                ("`data`", _plain(data)),
                ("the run", rest),
            )
        )

    def _put(self, what: str, value):
        try:
            return self._ray.put(value)
        except Exception as error:  # pickle raises what the object raises
            raise ValueError(
                f"{what} must be such that Python can pickle them, because `engine='ray'` sends "
                f"them to other processes: mend it, or take `engine='local'`. Received: {error}"
            ) from error

    def _resources(self, cells: list[Cell], rung: int) -> dict:
        """What a trial takes: its part of a machine, and threads to match."""
        machines = [one["Resources"] for one in self._ray.nodes() if one["Alive"]]
        cpus = [int(one["CPU"]) for one in machines if one.get("CPU", 0) >= 1]
        # Those of one method wait for each other in the first round.
        at_once = len(cells) if rung else len({cell.method for cell in cells})
        share = max(1, min(cpus, default=1) // -(-at_once // max(1, len(cpus))))
        names = "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"
        threads = dict.fromkeys(names, str(share))
        return {
            "num_cpus": share, "max_retries": _RETRIES, "runtime_env": {"env_vars": threads},
        }  # fmt: skip


def _attempt(
    candidates, task, objects, data, rest, network: str, cell: Cell, rung: int, is_first, *before
) -> Outcome:
    """Runs a trial on a worker."""
    known = keras.saving.get_custom_objects()
    for name, one in objects.items():
        if name not in known:  # a layer of the user's script
            package, _, short = name.rpartition(">")
            keras.saving.register_keras_serializable(package, short)(one)
    # The file is that of a network which was loaded or made on the user's machine already.
    model = keras.saving.load_model(network, compile=False, safe_mode=False)
    data = dataclasses.replace(data, task=task)
    rounds = dataclasses.replace(
        rest, model=model, data=data, candidates=candidates, progress=Progress(disable=True)
    )
    return rounds.attempt(cell, rung, is_first, list(before))


def _plain(data: Dataset) -> Dataset:
    """The same rows in arrays that Ray stores without pickling them: no memory maps, no steps."""
    splits = {one: _plain_split(getattr(data, one)) for one in ("train", "validation", "test")}
    return dataclasses.replace(data, **splits)


def _plain_split(split: Split) -> Split:
    weight = split.sample_weight
    return dataclasses.replace(
        split,
        x=_plain_arrays(split.x),
        y=_plain_arrays(split.y),
        sample_weight=None if weight is None else np.ascontiguousarray(weight),
    )


def _plain_arrays(arrays: Arrays) -> Arrays:
    if isinstance(arrays, tuple):
        return tuple(map(np.ascontiguousarray, arrays))
    return np.ascontiguousarray(arrays)


def _ray():
    """The module, or an ImportError that names the extra."""
    try:
        import ray
    except ImportError as error:
        raise ImportError(
            f"`engine='ray'` needs the extra `ray`: pip install 'fr-keras[ray]' ({error})"
        ) from error
    return ray
