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


@dataclasses.dataclass(frozen=True)
class Output:
    """Where the files of a run go.

    Attributes:
        folder: Made where it is missing.
        command: What made the files, stored in them.
        overwrite: Whether files that are there are replaced.
    """

    folder: Path
    command: str
    overwrite: bool = False

    def prepare(self, *names: str) -> None:
        """Makes the folder, and refuses before the work what could not be written after it.

        Raises:
            FileExistsError: If a file is there and is not to be replaced.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            check_target(self.folder / name, self.overwrite)

    def write(self, name: str, content: str) -> None:
        """Writes a text file."""
        write_bytes(self.folder / name, content.encode(), self.overwrite)


@dataclasses.dataclass(frozen=True)
class Form:
    """One file of a comparison: how it was trained, with what budget, and how it is quantized."""

    method: str
    mode: str
    keep: int | float | None = None

    @property
    def trained(self) -> str:
        """Name of the training, which every quantization shares."""
        return self.method if self.keep is None else f"{self.method} {self.keep}"

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{self.trained} {self.mode}"

    @property
    def file(self) -> str:
        """Name of the .tflite file."""
        return self.name.lower().replace(" ", "_") + ".tflite"


def write_forms(
    trained: dict[str, Trained],
    forms: list[Form],
    data: Dataset,
    output: Output,
    progress: Progress,
) -> tuple[list[dict], dict[str, np.ndarray]]:
    """Converts and scores; returns a row for each form, and the outputs on the test split."""
    task = progress.add_task("converting", total=len(forms))
    rows, outputs = [], {}
    for form in forms:
        progress.update(task, description=f"converting {form.name}")
        source = trained[form.trained]
        conversion = convert(
            source.model,
            output.folder / form.file,
            quantize=form.mode,
            calibration=data.train.x,
            labels=data.labels,
            normalization=data.normalization,
            command=output.command,
            overwrite=output.overwrite,
        )
        runner = Runner(conversion.content)
        found = outputs[form.name] = runner.run(data.test.x)
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
    """The table of the trainings, one row each."""
    drawn = Table(box=box.SIMPLE, padding=0, pad_edge=False, show_edge=False)
    for name in ("training", "kept", "rows seen", "time"):
        drawn.add_column(name, justify="left" if name == "training" else "right", no_wrap=True)
    for one in trainings:
        kept, rows, seconds = (one[key] for key in ("kept", "rows", "seconds"))
        drawn.add_row(one["title"], f"{kept:,}", f"{rows:,}", f"{seconds:,.1f} s")
    return drawn


def table(title: str, forms: list[dict]) -> Table:
    """The table of the forms, one row a file."""
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
