"""The folder of a run, from which it goes on after it was stopped."""

import json
from pathlib import Path

from fr_archive.files import write_bytes
from fr_bench._runs import goes_on
from fr_bench.compression._files import ARCHIVE, MODEL, TFLITE
from fr_bench.compression._trial import Trial

_PLAN = "plan.json"
_TRIAL = "trial.json"
#: What a run writes at its end, beside the trials.
WRITTEN = (MODEL, TFLITE, ARCHIVE, "result.json", "report.html", "MODEL_CARD.md", "Model.kt")


class RunFolder:
    """The trials of a run, and the plan that they belong to.

    Args:
        path: The folder; it is made if it is not there.
        plan: What the trials depend on, as plain data.
        overwrite: Whether trials of another plan may be replaced.

    Raises:
        FileExistsError: If the folder holds trials of another plan, or files with the names of
            those that a run writes and that are of no run.
    """

    def __init__(self, path: Path, plan: dict, overwrite: bool = False):
        self.path = path.absolute()  # a worker may be in another folder
        self._trials = self.path / "trials"
        stored = self._trials / _PLAN
        self.resumed = goes_on(path, stored, plan, WRITTEN, overwrite)
        self._trials.mkdir(parents=True, exist_ok=True)
        if not self.resumed:
            for one in self._trials.rglob(_TRIAL):
                one.unlink()
            write_bytes(stored, json.dumps(plan, indent=1).encode(), overwrite=True)

    def of(self, name: str, rung: int) -> Path:
        """The folder of a trial, which is made if it is not there."""
        path = self._trials / f"{name.lower().replace(' ', '_')}-{rung}"
        path.mkdir(exist_ok=True)
        return path

    def done(self, name: str, rung: int) -> Trial | None:
        """The trial if it was run to its end."""
        path = self.of(name, rung) / _TRIAL
        return Trial.from_dict(json.loads(path.read_text())) if path.exists() else None

    def keep(self, trial: Trial) -> None:
        """Stores a trial, whose files are written."""
        path = self.of(trial.name, trial.rung) / _TRIAL
        write_bytes(path, json.dumps(trial.to_dict(), indent=1).encode(), overwrite=True)

    def value(self, name: str, make) -> object:
        """A number that is measured once in a run."""
        path = self._trials / f"{name}.json"
        if self.resumed and path.exists():
            return json.loads(path.read_text())
        found = make()
        write_bytes(path, json.dumps(found).encode(), overwrite=True)
        return found
