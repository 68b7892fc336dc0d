"""The work of a grid: each network is trained once, each file written, scored and measured."""

import dataclasses
import gc
from collections.abc import Callable

import keras
from rich.progress import Progress

from fr_bench._scoring import quiet
from fr_bench.benchmark import Subject, subject
from fr_bench.candidates import Candidate, Trained
from fr_bench.data import Dataset, spaced
from fr_bench.forms import SKELETON, Form, write_form
from fr_bench.grid._folder import DONE, FAILED, OPEN, GridFolder
from fr_bench.grid._plan import AFTER, Cell, Training
from fr_bench.grid._targets import Targets
from fr_bench.training import EpochProgress, Regime, fit
from fr_keras import tflite

# Rows that a target runs to show that it answers like the host, and the most for calibration.
_ROWS, _CALIBRATION_ROWS = 64, 2048
# Training with rounding takes this share of the epochs, at this share of the learning rate.
_AWARE_EPOCHS, _AWARE_RATE = 0.25, 0.1


def aware_epochs(epochs: int) -> int:
    """How long a network trains on with the rounding of its int8 file."""
    return max(1, round(epochs * _AWARE_EPOCHS))


@dataclasses.dataclass
class Run:
    """Everything that a cell needs.

    Attributes:
        model: The network that every training starts from.
        data: The data set with its task.
        candidates: The methods by name.
        regime: How they train; `keep` is replaced.
        folder: Where networks, files and cells are kept.
        targets: What measures the files.
        progress: Shows a bar for the running training, and one for all cells.
        say: Tells the user a line.
        failed: Why a training gave no network.
    """

    model: keras.Model
    data: Dataset
    candidates: dict[str, Candidate]
    regime: Regime
    folder: GridFolder
    targets: Targets
    progress: Progress
    say: Callable[[str], None]
    failed: dict[Training, str] = dataclasses.field(default_factory=dict)
    _held: tuple[Training, Trained] | None = None

    def run(self, cells: list[Cell]) -> None:
        """Fills all cells that are open."""
        bar = self.progress.add_task("cells", total=len(cells))
        self.folder.write()
        for number, cell in enumerate(cells, 1):
            row = self.folder.row(cell)
            place = f"{number} of {len(cells)}"
            if row["state"] == OPEN:
                self._fill(cell, row)
            else:
                place += ", found"
            self.say(f"{cell.name}: {_told(row, self.data.task.metric_name)} ({place})")
            self.progress.advance(bar)
            for task in self.progress.task_ids:  # of trainings that are over
                if task != bar:
                    self.progress.remove_task(task)
        self.progress.remove_task(bar)

    def _fill(self, cell: Cell, row: dict) -> None:
        try:
            if row["file"] is None or not (self.folder.output.folder / row["file"]).exists():
                self.folder.keep(cell, **self._file(cell))
            one = self._subject(row["file"])
        except (ValueError, RuntimeError) as error:  # the others may work
            self.folder.keep(cell, state=FAILED, why=str(error))
            return
        for name in self.targets.names:
            if row["measured"].get(name, {}).get("state", OPEN) == OPEN:
                row["measured"][name] = self.targets.measure(name, one)
        self.folder.keep(cell, **_state(row["measured"]))

    def _file(self, cell: Cell) -> dict:
        """Writes the file of a cell, and tells what it is."""
        trained = self.trained(cell.training)
        form = cell.training.form(cell.mode)
        with quiet():
            row, download = write_form(form, trained, self.data, self.folder.output)[0], "tflite.gz"
            if cell.mode == "int8" and cell.when == AFTER:
                packed = self._archive(form, trained)
                if packed is not None and packed["download_bytes"] < row["download_bytes"]:
                    row, packed, download = packed, row, "fr"
                if packed is not None:  # the larger one
                    (self.folder.output.folder / packed["file"]).unlink()
        sizes = {one: row[one] for one in ("file", "kept", "download_bytes", "device_bytes")}
        agreement = row["argmax_agreement"]
        return {**sizes, "download": download, "score": row["score"], "agreement": agreement}

    def _archive(self, form: Form, trained: Trained) -> dict | None:
        """The archive that makes an int8 file on the device, if it can hold the network."""
        try:
            packed = dataclasses.replace(form, mode=SKELETON)
            return write_form(packed, trained, self.data, self.folder.output)[0]
        except ValueError:
            return None

    def _subject(self, file: str) -> Subject:
        test = self.data.test
        rows = spaced(len(test), min(_ROWS, len(test)))
        inputs = test.inputs(rows)
        inputs = list(inputs) if isinstance(inputs, tuple) else inputs
        return subject(self.folder.output.folder / file, inputs)

    def trained(self, training: Training) -> Trained:
        """The network of a cell: the last one, one of an earlier run, or a new one.

        Raises:
            ValueError, RuntimeError: If the training fails, or failed before.
        """
        if training in self.failed:
            raise RuntimeError(self.failed[training])
        if self._held is None or self._held[0] != training:
            found = self.folder.trained(training)
            if found is None:
                try:
                    found = self._train(training)
                except (ValueError, RuntimeError) as error:
                    self.failed[training] = str(error)
                    raise
                self.folder.keep_trained(training, found)
            self._held = training, found
        return self._held[1]

    def _train(self, training: Training) -> Trained:
        self.say(f"Training {training.name}")
        if training.aware:
            return self._train_aware(training)
        gc.collect()  # the models of the last one; `clear_session` would reset the caller's names
        regime = dataclasses.replace(self.regime, keep=training.keep or 1.0)
        one = self.candidates[training.method]
        return one.train(self.model, self.data, regime, self.progress, training.name)

    def _train_aware(self, training: Training) -> Trained:
        """Trains a network on with the rounding of its int8 file."""
        base = self.trained(training.base)
        regime = dataclasses.replace(
            self.regime,
            epochs=aware_epochs(self.regime.epochs),
            learning_rate=self.regime.learning_rate * _AWARE_RATE,
        )
        keras.utils.set_random_seed(regime.seed)
        aware = tflite.quantization_aware(base.model, self.data.train.sample(_CALIBRATION_ROWS))
        holders = self.candidates[training.method].holders(training.keep or 1.0)
        bar = EpochProgress(self.progress, training.name, regime.epochs)
        fitted = fit(aware, self.data, regime, (*holders, bar))
        seconds, rows = base.seconds + fitted.seconds, base.rows + fitted.rows
        return Trained(aware, base.kept, fitted.history, seconds, rows)


def _state(measured: dict[str, dict]) -> dict:
    """What becomes of a cell whose file is there."""
    for state in (OPEN, FAILED):
        why = [f"{name}: {one['why']}" for name, one in measured.items() if one["state"] == state]
        if why:
            return {"state": state, "why": "; ".join(why)}
    return {"state": DONE, "why": ""}


def _told(row: dict, metric: str) -> str:
    """A cell in a line."""
    if row["score"] is None:
        return f"{row['state']}: {row['why']}"
    words = [f"{row['download_bytes']:,} bytes", f"{metric} {row['score']['value']:.4f}"]
    for name, one in row["measured"].items():
        median = one.get("median_us")
        words.append(f"{name} {one['state'] if median is None else f'{median:,.0f} us'}")
    return ", ".join(words)
