"""Where the trials of a round run: one after the other in this process, or on a Ray cluster."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

from rich.progress import Progress

from fr_bench._cluster import Cluster, Died, Received, connected
from fr_bench.compression._plan import awaited
from fr_bench.compression._rounds import Engine, Outcome, Rounds
from fr_bench.compression._trial import Cell


@contextlib.contextmanager
def started(name: str, folder: Path) -> Iterator[Engine]:
    """Gives the engine of this name, and stops what it started.

    Args:
        name: One of `fr_bench._cluster.ENGINES`.
        folder: A folder that all machines see.
    """
    if name == "local":
        yield local
        return
    with connected(folder) as cluster:
        yield OnRay(cluster)


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
    """Runs each trial as a task of a cluster."""

    def __init__(self, cluster: Cluster):
        self._cluster, self._is_ready = cluster, False

    def __call__(
        self, rounds: Rounds, cells: list[Cell], rung: int, known: dict[Cell, Outcome]
    ) -> Iterator[tuple[Cell, Outcome]]:
        """Runs trials at once, and yields their outcomes as they come.

        A trial waits for those whose outcome decides whether it is run: see `awaited`. So a cluster
        runs the same trials as one process, unless the time is over.
        """
        self._prepare(rounds)
        # Those of one method wait for each other in the first round.
        at_once = len(cells) if rung else len({cell.method for cell in cells})
        start = self._cluster.task(_attempt, at_once)
        outcomes, running = dict(known), {}
        for cell in cells:
            if cell not in known:
                before = [outcomes[one] for one in awaited(cell, cells, rung)]
                running[cell] = start(cell, rung, cell == cells[0], *before)
                outcomes[cell] = running[cell]
        for cell, outcome in self._cluster.finished(running):
            yield cell, _of_dead(outcome) if isinstance(outcome, Died) else outcome

    def _prepare(self, rounds: Rounds) -> None:
        if not self._is_ready:
            bare = {"model": None, "data": None, "progress": None, "say": None}
            rest = dataclasses.replace(rounds, **bare, candidates={})
            self._cluster.store(rounds.model, rounds.data, rounds.candidates, rest)
            self._is_ready = True


def _of_dead(outcome: Died) -> str:
    if outcome.waited_for:
        return "not trained: the worker of a larger budget died"
    return f"failed: its worker died each time: {outcome.why}"


def _attempt(found: Received, cell: Cell, rung: int, is_first: bool, *before) -> Outcome:
    """Runs a trial on a worker."""
    rounds = dataclasses.replace(
        found.rest, model=found.model, data=found.data, candidates=found.candidates,
        progress=Progress(disable=True),
    )  # fmt: skip
    return rounds.attempt(cell, rung, is_first, list(before))
