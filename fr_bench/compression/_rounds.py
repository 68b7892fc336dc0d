"""The rounds of training: each trial is run once, and what was run is found again."""

import dataclasses
import gc
import time
import warnings
from collections.abc import Callable, Iterator

import keras
from rich.progress import Progress

from fr_bench.candidates import Candidate
from fr_bench.compression._files import calibration, write_files
from fr_bench.compression._folder import RunFolder
from fr_bench.compression._plan import STEPS, Goal, best_narrow, hopeless, survivors
from fr_bench.compression._trial import WHOLE, Cell, Trial
from fr_bench.data import Dataset, Split
from fr_bench.training import Regime, answers
from fr_keras.interop import calibrate_batch_norm
from fr_keras.models.summaries import summary
from fr_keras.models.walk import all_layers

#: Why a trial did not run that had its turn too late.
OVER = "not trained: the time was over"
_FEW = 1_000  # validation rows that score a trial before the last round

#: What became of a trial: itself, or why there is none.
Outcome = Trial | str
#: Runs the trials of a round that are not known yet, and yields each outcome; see `_engines`.
Engine = Callable[["Rounds", list[Cell], int, dict[Cell, Outcome]], Iterator[tuple[Cell, Outcome]]]


@dataclasses.dataclass(frozen=True)
class Rounds:
    """Everything that a trial needs.

    Attributes:
        model: The trained network.
        data: The data set with its task.
        candidates: The methods by name.
        regime: How they train; `keep` is replaced.
        goal: What the chosen file must hold.
        chance: The score of the best answer that is always the same.
        folder: Where trials are kept.
        deadline: When no new trial begins, in seconds of `time.time`, which machines share.
        progress: Shows a bar for the running training.
        say: Tells the user a line.
    """

    model: keras.Model
    data: Dataset
    candidates: dict[str, Candidate]
    regime: Regime
    goal: Goal
    chance: float
    folder: RunFolder
    deadline: float
    progress: Progress
    say: Callable[[str], None]

    def whole(self) -> list[Trial]:
        """The network itself, as a float32 and as an int8 file."""
        kept = summary(self.model).to_dict()["kernel_weights"]
        return [self._done(name, -1) or self._whole(name, kept) for name in WHOLE]

    def run(self, cells: list[Cell], engine: Engine) -> tuple[list[Trial], list[str]]:
        """Runs the rounds on an engine.

        Returns:
            The trial of each cell in the last round that it took part in, and sentences about what
            was not run.
        """
        latest, left_out = {}, []
        for rung in range(len(STEPS)):
            trials, missing = self._round(cells, rung, engine)
            latest |= {one.name: one for one in trials}
            left_out += missing
            if rung == len(STEPS) - 1 or not trials:
                break
            going = self._with_narrow(survivors(trials, self.goal), trials)
            cells = [Cell(one.method, one.keep) for one in going]
            self.say(f"Round {rung + 2} of {len(STEPS)}: {', '.join(one.name for one in going)}")
        return list(latest.values()), left_out

    def _round(self, cells: list[Cell], rung: int, engine: Engine) -> tuple[list[Trial], list[str]]:
        known = {cell: self._done(cell.name, rung) for cell in cells}
        outcomes = {cell: found for cell, found in known.items() if found}
        bar = self.progress.add_task(f"round {rung + 1}", total=len(cells), completed=len(outcomes))
        for cell, outcome in engine(self, cells, rung, dict(outcomes)):
            outcomes[cell] = outcome
            if isinstance(outcome, Trial):
                self._tell(outcome, f"{len(outcomes)} of {len(cells)}, ")
            else:
                self.say(_left_out(cell, rung, outcome))
            self.progress.advance(bar)
        self.progress.remove_task(bar)
        # In the order of the plan, in whichever order they came.
        trials = [outcomes[cell] for cell in cells if isinstance(outcomes[cell], Trial)]
        missing = [(cell, outcomes[cell]) for cell in cells if isinstance(outcomes[cell], str)]
        return trials, [_left_out(cell, rung, why) for cell, why in missing]

    def attempt(self, cell: Cell, rung: int, is_first: bool, before: list[Outcome]) -> Outcome:
        """Runs a trial, unless the time is over or it is hopeless.

        It does not call `say`, and may run in another process, or a second time where
        that process died.

        Args:
            cell: What to train.
            rung: The number of the round.
            is_first: Whether it is the first of its round; one trial runs however late it is.
            before: What became of the trials that `awaited` names.
        """
        found = self.folder.done(cell.name, rung)
        if found is not None:  # the process died after the work
            return found
        if time.time() > self.deadline and (rung or not is_first):
            return OVER
        larger = [one for one in before if isinstance(one, Trial)]
        why = hopeless(cell, larger, self.goal, self.chance) if rung == 0 else None
        try:
            return why or self._trial(cell, rung)
        except (ValueError, RuntimeError) as error:  # the others may work
            return f"failed: {error}"

    def _trial(self, cell: Cell, rung: int) -> Trial:
        gc.collect()  # the models of the last trial; `clear_session` would reset the caller's names
        last = rung == len(STEPS) - 1
        title = f"{cell.name}, round {rung + 1}"
        regime = dataclasses.replace(self.regime, keep=cell.keep)
        thin, rows = self.data.thinned(STEPS[rung]), self._rows(last)
        trained = self.candidates[cell.method].train(self.model, thin, regime, self.progress, title)
        self._calibrate(trained.model, rows)
        folder = self.folder.of(cell.name, rung)
        files = write_files(trained.model, self.data, rows, folder, self.goal if last else None)
        trial = Trial(
            cell.name, cell.method, cell.keep, rung, trained.kept, files.device_bytes,
            files.download_bytes, files.download, files.score, trained.seconds, files.note,
        )  # fmt: skip
        self.folder.keep(trial)
        return trial

    def _calibrate(self, model: keras.Model, rows: Split) -> None:
        """Measures batch-norm statistics, which lag after a short training, if that is better."""
        if not any(isinstance(one, keras.layers.BatchNormalization) for one in all_layers(model)):
            return
        before, score = model.get_weights(), self._score(model, rows)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "calibration changed")
            calibrate_batch_norm(model, calibration(self.data))
        if self._score(model, rows) < score:
            model.set_weights(before)

    def _score(self, model: keras.Model, rows: Split) -> float:
        return self.data.task.value(rows.y, answers(model, rows), rows.sample_weight)

    def _whole(self, name: str, kept: int) -> Trial:
        folder = self.folder.of(name, -1)
        rows = self._rows(True)
        files = write_files(self.model, self.data, rows, folder, self.goal, WHOLE[name])
        trial = Trial(
            name, "plain", None, -1, kept, files.device_bytes, files.download_bytes,
            files.download, files.score, 0.0, files.note,
        )  # fmt: skip
        self.folder.keep(trial)
        self._tell(trial, "")
        return trial

    def _done(self, name: str, rung: int) -> Trial | None:
        found = self.folder.done(name, rung)
        if found is not None:
            self._tell(found, "found, ")
        return found

    def _tell(self, trial: Trial, place: str) -> None:
        note = f"; {trial.note}" if trial.note else ""
        self.say(
            f"{trial.name}: {trial.download_bytes:,} bytes, {self.data.task.metric_name} "
            f"{trial.score.value:.4f} ({place}{trial.seconds:,.0f} s){note}"
        )

    def _rows(self, last: bool) -> Split:
        rows = self.data.validation
        return rows if last else rows.thinned(-(-len(rows) // _FEW))

    @staticmethod
    def _with_narrow(going: list[Trial], trials: list[Trial]) -> list[Trial]:
        """The trials that go on, with the best narrow network: the others must beat it."""
        narrow = best_narrow(trials)
        return going if narrow is None or narrow in going else [*going, narrow]


def _left_out(cell: Cell, rung: int, why: str) -> str:
    return f"{cell.name}, round {rung + 1}: {why}"
