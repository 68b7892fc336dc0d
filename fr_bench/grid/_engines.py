"""The trainings of a grid on a Ray cluster, before the files are measured on this machine."""

import dataclasses

from rich.progress import Progress

from fr_bench._cluster import Cluster, Died, Received
from fr_bench.grid._folder import OPEN
from fr_bench.grid._plan import Cell, Training
from fr_bench.grid._run import Run


def train_on(cluster: Cluster, run: Run, cells: list[Cell]) -> None:
    """Trains the networks that open cells lack, as many at once as the cluster can.

    A network that trains on from another waits for it. Afterwards the run finds them in its folder;
    files are written and measured when no training disturbs the times.
    """
    missing = _missing(run, cells)
    if not missing:
        return
    run.say(f"Trainings on the cluster: {len(missing)}")
    bare = {"model": None, "data": None, "targets": None, "progress": None, "say": None}
    rest = dataclasses.replace(run, **bare, candidates={})
    cluster.store(run.model, run.data, run.candidates, rest)
    at_once = len({one.base for one in missing})
    start, running = cluster.task(_train, at_once), {}
    for one in missing:
        before = running.get(one.base)
        running[one] = start(one) if before is None else start(one, before)
    bar = run.progress.add_task("trainings", total=len(missing))
    for number, (training, outcome) in enumerate(cluster.finished(running), 1):
        why = _of_dead(outcome) if isinstance(outcome, Died) else outcome
        if why is not None:
            run.failed[training] = why
        told = "trained" if why is None else f"failed: {why}"
        run.say(f"{training.name}: {told} ({number} of {len(missing)})")
        run.progress.advance(bar)
    run.progress.remove_task(bar)


def _missing(run: Run, cells: list[Cell]) -> list[Training]:
    """The trainings of cells without a file; one that goes on from another comes after it."""
    rows = [(one, run.folder.row(one)) for one in cells]
    wanted = [one.training for one, row in rows if row["state"] == OPEN and row["file"] is None]
    needed = dict.fromkeys(two for one in wanted for two in (one.base, one))
    return [one for one in needed if not run.folder.has_trained(one)]


def _train(found: Received, training: Training, before: str | None = None) -> str | None:
    """Trains a network on a worker, and returns why there is none."""
    run = dataclasses.replace(
        found.rest, model=found.model, data=found.data, candidates=found.candidates,
        progress=Progress(disable=True), say=lambda line: None,
        failed={} if before is None else {training.base: before},
    )  # fmt: skip
    try:
        run.trained(training)
    except (ValueError, RuntimeError) as error:
        return str(error)
    return None


def _of_dead(outcome: Died) -> str:
    if outcome.waited_for:
        return "the worker of the network that it trains on from died"
    return f"its worker died each time: {outcome.why}"
