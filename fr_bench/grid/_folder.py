"""The folder of a grid, from which it goes on after it was stopped."""

import dataclasses
import json
from pathlib import Path

import keras

from fr_archive.files import replacing, write_bytes
from fr_bench._runs import goes_on
from fr_bench.candidates import Trained
from fr_bench.forms import Output
from fr_bench.grid._plan import Cell, Training

#: What a run writes beside the networks and files.
RESULTS, PAGE = "grid.json", "grid.html"
#: What became of a cell: measured, impossible, or left for the next run.
DONE, FAILED, OPEN = "done", "failed", "open"
#: Why a cell is open that no run has begun.
NOT_REACHED = "no run has come to it yet"
_FORMAT = {"format": "fr-keras-grid", "version": 1}


class GridFolder:
    """The networks, files and cells of a grid.

    Args:
        path: The folder; it is made if it is not there.
        plan: What the cells depend on, as plain data.
        facts: What else the results say.
        cells: All cells.
        command: The command that makes the files; it is stored in them.
        overwrite: Whether cells of another plan may be replaced.

    Raises:
        FileExistsError: If the folder holds cells of another plan, or results of no run.
    """

    def __init__(
        self,
        path: Path,
        plan: dict,
        facts: dict,
        cells: list[Cell],
        command: str,
        overwrite: bool = False,
    ):
        self.path = path = path.absolute()  # a worker may be in another folder
        self._networks = path / "networks"
        stored = path / "plan.json"
        self.resumed = goes_on(path, stored, plan, (RESULTS, PAGE), overwrite)
        self._networks.mkdir(parents=True, exist_ok=True)
        (path / "files").mkdir(exist_ok=True)
        self.output = Output(path / "files", command, overwrite=True)
        before = self._before() if self.resumed else {}
        if not self.resumed:
            for one in self._networks.glob("*.json"):
                one.unlink()
            write_bytes(stored, json.dumps(plan, indent=1).encode(), overwrite=True)
        self._facts = {**_FORMAT, **facts}
        self._rows = {one.name: _new(one) | before.get(one.name, {}) for one in cells}
        self._planned = list(dict.fromkeys(one.training for one in cells))

    def _before(self) -> dict[str, dict]:
        path = self.path / RESULTS
        held = json.loads(path.read_text())["cells"] if path.exists() else []
        return {one["name"]: one for one in held}

    @property
    def results(self) -> dict:
        """The contents of `grid.json`."""
        return {**self._facts, "trainings": self._trainings(), "cells": list(self._rows.values())}

    def row(self, cell: Cell) -> dict:
        """A cell, as it stands in `grid.json`."""
        return self._rows[cell.name]

    def keep(self, cell: Cell, **changes: object) -> None:
        """Changes a cell, and writes all."""
        self._rows[cell.name] |= changes
        self.write()

    def write(self, **more: object) -> None:
        """Writes `grid.json`."""
        text = json.dumps({**self.results, **more}, indent=1)
        write_bytes(self.path / RESULTS, text.encode(), overwrite=True)

    def has_trained(self, training: Training) -> bool:
        """Whether a network was trained to its end."""
        return self._network(training).with_suffix(".json").exists()

    def trained(self, training: Training) -> Trained | None:
        """A network that was trained to its end."""
        if not self.has_trained(training):
            return None
        network = self._network(training)
        held = json.loads(network.with_suffix(".json").read_text())
        # The file is that of a network which was loaded or made here already.
        model = keras.saving.load_model(network, compile=False, safe_mode=False)
        return Trained(model, **{one: held[one] for one in _FIELDS})

    def keep_trained(self, training: Training, made: Trained) -> None:
        """Stores a network; it counts from when its facts are there."""
        network = self._network(training)
        with replacing(network, overwrite=True) as path:
            made.model.save(path)
        facts = {"title": training.name, "method": training.method, "rate": training.rate}
        facts |= {"in_training": training.aware, **{one: getattr(made, one) for one in _FIELDS}}
        text = json.dumps(facts, indent=1)
        write_bytes(network.with_suffix(".json"), text.encode(), overwrite=True)

    def _trainings(self) -> list[dict]:
        paths = [self._network(one).with_suffix(".json") for one in self._planned]
        held = [json.loads(path.read_text()) for path in paths if path.exists()]
        return [{k: v for k, v in one.items() if k != "history"} for one in held]

    def _network(self, training: Training) -> Path:
        return self._networks / training.form().model


_FIELDS = tuple(one.name for one in dataclasses.fields(Trained) if one.name != "model")


def _new(cell: Cell) -> dict:
    """A cell that no run has begun."""
    nothing = dict.fromkeys(
        ("file", "kept", "score", "download", "download_bytes", "device_bytes", "agreement")
    )
    return {**cell.to_dict(), "state": OPEN, "why": NOT_REACHED, **nothing, "measured": {}}
