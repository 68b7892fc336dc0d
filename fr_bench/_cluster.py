"""A Ray cluster, on which trainings that do not depend on each other run at the same time."""

import contextlib
import dataclasses
import functools
import tempfile
from collections.abc import Callable, Hashable, Iterator, Mapping
from pathlib import Path

import keras
import numpy as np

from fr_bench.candidates import Candidate
from fr_bench.data import Arrays, Dataset, Split

ENGINES = ("local", "ray")
_RETRIES = 3  # how often Ray runs a task again whose worker died


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


@dataclasses.dataclass(frozen=True)
class Died:
    """What a task gives whose worker died each time.

    Attributes:
        why: What Ray says of it.
        waited_for: Whether it was the worker of a task that this one waited for.
    """

    why: str
    waited_for: bool


class Cluster:
    """Runs functions as tasks of Ray, which runs a task again if its worker dies.

    Data and candidates go into Ray's object store once. Workers of a machine share them there, and
    map the arrays of the data into memory instead of copying them. The network is a file.

    The CPUs of a machine are shared out among the tasks that can run at once, and TensorFlow gets
    as many threads as its task has CPUs. That takes variables of TensorFlow: Ray sets
    OMP_NUM_THREADS, which TensorFlow's own pools do not heed, so each worker would use every core.

    Args:
        ray: The module, connected to a cluster.
        folder: An empty folder that all machines see.
    """

    def __init__(self, ray, folder: Path):
        self._ray, self._network = ray, folder / "network.keras"
        self._stored = ()

    def store(
        self, model: keras.Model, data: Dataset, candidates: Mapping[str, Candidate], rest
    ) -> None:
        """Puts what every task gets, as a `Received`, where workers find it.

        Raises:
            ValueError: If Python cannot pickle some of it.
        """
        model.save(self._network)
        self._stored = tuple(
            self._put(what, value)
            for what, value in (
                ("the candidates of `methods`", candidates),
                ("`loss` and `metric`", data.task),
                ("the layers and functions of `model`", keras.saving.get_custom_objects()),
                ("`data`", _plain(dataclasses.replace(data, task=None))),
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

    def task(self, function: Callable, at_once: int) -> Callable:
        """Returns what starts a task and gives what stands for its result.

        Args:
            function: What the task calls, with a `Received` and what the task was started with.
                What stands for results of other tasks is awaited.
            at_once: How many tasks may run at the same time.
        """
        task = self._ray.remote(_call).options(**self._resources(at_once))
        return functools.partial(task.remote, function, str(self._network), *self._stored)

    def _resources(self, at_once: int) -> dict:
        """What a task takes: its part of a machine, and threads to match."""
        machines = [one["Resources"] for one in self._ray.nodes() if one["Alive"]]
        cpus = [int(one["CPU"]) for one in machines if one.get("CPU", 0) >= 1]
        share = max(1, min(cpus, default=1) // -(-at_once // max(1, len(cpus))))
        names = "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"
        threads = dict.fromkeys(names, str(share))
        return {
            "num_cpus": share, "max_retries": _RETRIES, "runtime_env": {"env_vars": threads},
        }  # fmt: skip

    def finished(self, running: Mapping[Hashable, object]) -> Iterator[tuple[Hashable, object]]:
        """Yields what tasks give as they end, by their keys; a `Died` where nothing comes.

        Raises:
            ImportError: If a worker lacks a module.
        """
        left = {task: key for key, task in running.items()}
        try:
            while left:
                (done,), _ = self._ray.wait(list(left), num_returns=1)
                yield left[done], self._result(done)
                del left[done]
        finally:  # after an error or Ctrl-C the others must not go on
            for one in left:
                self._ray.cancel(one, force=True)

    def _result(self, done):
        errors = self._ray.exceptions
        try:
            return self._ray.get(done)
        except (errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError) as error:
            # The others may work. As a `RayTaskError` it was given with what the task awaits.
            why = str(error).strip().splitlines()[0]
            return Died(why, isinstance(error, errors.RayTaskError))
        except errors.RaySystemError as error:  # what it was sent does not arrive
            raise ImportError(
                "a task could not begin. Modules of candidates, layers, losses and metrics must be "
                "installed on all machines of the cluster, or be in PYTHONPATH when it starts. "
                f"Received: {str(error).strip().splitlines()[-1]}"
            ) from error


@contextlib.contextmanager
def connected(folder: Path) -> Iterator[Cluster]:
    """Gives the cluster, and stops what it started.

    Ray itself finds it: the one that this process is connected to, else the one of the environment
    variable RAY_ADDRESS, else one that runs on this machine. If there is none, it starts one on
    this machine, which ends here.

    Args:
        folder: A folder that all machines see.
    """
    ray = _ray()
    mine = not ray.is_initialized()
    if mine:
        ray.init(logging_level="warning", log_to_driver=False)
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".network-") as shared:
            yield Cluster(ray, Path(shared))
    finally:
        if mine:
            ray.shutdown()


@dataclasses.dataclass(frozen=True)
class Received:
    """What a task gets of what `Cluster.store` put away.

    Attributes:
        model: The network.
        data: The data set with its task.
        candidates: The methods by name.
        rest: What else was put away.
    """

    model: keras.Model
    data: Dataset
    candidates: dict[str, Candidate]
    rest: object


def _call(function: Callable, network: str, candidates, task, objects, data, rest, *given):
    """Calls a function on a worker."""
    known = keras.saving.get_custom_objects()
    for name, one in objects.items():
        if name not in known:  # a layer of the user's script
            package, _, short = name.rpartition(">")
            keras.saving.register_keras_serializable(package, short)(one)
    # The file is that of a network which was loaded or made on the user's machine already.
    model = keras.saving.load_model(network, compile=False, safe_mode=False)
    data = dataclasses.replace(data, task=task)
    return function(Received(model, data, candidates, rest), *given)


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
