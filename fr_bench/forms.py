"""The files of a comparison: trained networks, converted in several modes and scored."""

import dataclasses
import gzip
from pathlib import Path

import numpy as np
from rich import box
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from fr_archive.files import check_target, write_bytes
from fr_bench.candidates import Trained
from fr_bench.data import Dataset
from fr_keras.tflite import Runner, convert

# The most rows for calibration, of which `convert` picks some; and how many are run at once.
_CALIBRATION_ROWS, _BATCH = 2048, 128


@dataclasses.dataclass(frozen=True)
class Output:
    """The folder for the files of a run.

    Attributes:
        folder: The folder; it is created if it does not exist.
        command: The command that made the files; it is stored in them.
        overwrite: Whether to replace existing files.
    """

    folder: Path
    command: str
    overwrite: bool = False

    def prepare(self, *names: str) -> None:
        """Creates the folder, and checks before the work that these files may be written.

        Raises:
            FileExistsError: If a file exists and must not be replaced.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            check_target(self.folder / name, self.overwrite)

    def write(self, name: str, content: str) -> None:
        """Writes a text file."""
        write_bytes(self.folder / name, content.encode(), self.overwrite)


@dataclasses.dataclass(frozen=True)
class Form:
    """One file of a comparison: its training method, its budget, and its quantization."""

    method: str
    mode: str
    keep: int | float | None = None

    @property
    def trained(self) -> str:
        """The name of the training, which all quantizations share."""
        return self.method if self.keep is None else f"{self.method} {self.keep}"

    @property
    def name(self) -> str:
        """The name in tables."""
        return f"{self.trained} {self.mode}"

    @property
    def file(self) -> str:
        """The name of the .tflite file."""
        return self.name.lower().replace(" ", "_") + ".tflite"


def write_forms(
    trained: dict[str, Trained],
    forms: list[Form],
    data: Dataset,
    output: Output,
    progress: Progress,
) -> tuple[list[dict], dict[str, np.ndarray]]:
    """Converts and scores all forms.

    Returns:
        A row for each form, and the outputs of each form on the test split.
    """
    task = progress.add_task("converting", total=len(forms))
    rows, outputs = [], {}
    for form in forms:
        progress.update(task, description=f"converting {form.name}")
        source = trained[form.trained]
        conversion = convert(
            source.model,
            output.folder / form.file,
            quantize=form.mode,
            calibration=data.train.sample(_CALIBRATION_ROWS),
            labels=data.labels,
            normalization=data.normalization,
            command=output.command,
            overwrite=output.overwrite,
        )
        runner = Runner(conversion.content)
        found = [runner.run(x) for x, *_ in data.test.batches(_BATCH)]
        found = outputs[form.name] = np.concatenate(found)
        rows.append(
            {
                "form": form.name,
                "method": form.method,
                "keep": form.keep,
                "mode": form.mode,
                "file": form.file,
                "kept": source.kept,
                "bytes": len(conversion.content),
                "gzip_bytes": len(gzip.compress(conversion.content, mtime=0)),
                "accuracy": float(np.mean(found.argmax(-1) == data.test.y)),
                "latency_us": runner.latency() * 1e6,
                "argmax_agreement": conversion.agreement.argmax,
                "largest_difference": conversion.agreement.largest,
            }
        )
        progress.advance(task)
    return rows, outputs


def costs(trainings: list[dict]) -> Table:
    """Returns the table of the trainings, with one row for each."""
    drawn = Table(box=box.SIMPLE, padding=0, pad_edge=False, show_edge=False)
    for name in ("training", "kept", "rows seen", "time"):
        drawn.add_column(name, justify="left" if name == "training" else "right", no_wrap=True)
    for one in trainings:
        kept, rows, seconds = (one[key] for key in ("kept", "rows", "seconds"))
        drawn.add_row(one["title"], f"{kept:,}", f"{rows:,}", f"{seconds:,.1f} s")
    return drawn


def table(title: str, forms: list[dict]) -> Table:
    """Returns the table of the forms, with one row for each file."""
    # Narrow: seven columns fit the 80 characters of a plain terminal.
    drawn = Table(title=escape(title), box=box.SIMPLE, padding=0, pad_edge=False, show_edge=False)
    for name in ("form", "kept", "bytes", "gzipped", "accuracy", "latency", "agrees"):
        drawn.add_column(name, justify="left" if name == "form" else "right", no_wrap=True)
    for form in forms:
        drawn.add_row(
            form["form"],
            f"{form['kept']:,}",
            f"{form['bytes']:,}",
            f"{form['gzip_bytes']:,}",
            f"{form['accuracy']:.2%}",
            f"{form['latency_us']:,.0f} us",
            f"{form['argmax_agreement']:.1%}",
        )
    return drawn
