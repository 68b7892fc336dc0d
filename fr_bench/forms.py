"""The files of a comparison: trained networks, converted in several modes and scored."""

import dataclasses
import gzip
from pathlib import Path

import keras
from rich import box
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

import fr_archive
from fr_archive.files import check_target, write_bytes
from fr_bench._scoring import THREADS, about, file_answers, quiet
from fr_bench.candidates import Trained
from fr_bench.data import Arrays, Dataset
from fr_bench.training import answers, classification
from fr_keras import load_archive, save_archive
from fr_keras.models.walk import frequency_layers
from fr_keras.tflite import Runner, convert

# The most rows for calibration, of which `convert` picks some.
_CALIBRATION_ROWS = 2048
#: The modes of archives: alone, and with a skeleton, from which a device makes its int8 file.
ARCHIVE, SKELETON = ARCHIVES = "archive", "archive+int8"


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
    """One file of a comparison: its training method, its budget, and its mode.

    The mode is a quantization, or one of `ARCHIVES`.
    """

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
        """The name of the .tflite file or archive."""
        return _stem(self.name) + (".fr" if self.mode in ARCHIVES else ".tflite")

    @property
    def model(self) -> str:
        """The name of the Keras file of the training."""
        return _stem(self.trained) + ".keras"


def _stem(name: str) -> str:
    return name.lower().replace(" ", "_")


def write_forms(
    trained: dict[str, Trained],
    forms: list[Form],
    data: Dataset,
    output: Output,
    progress: Progress,
) -> tuple[list[dict], dict[str, Arrays]]:
    """Converts and scores all forms.

    Args:
        trained: The networks by `Form.trained`.
        forms: The files to write.
        data: The data set. Without a task it is taken for classification into integer classes.
        output: The folder.
        progress: Shows a bar.

    Returns:
        A row for each form, and the outputs of each form on the test split.
    """
    data = dataclasses.replace(data, task=data.task or classification(data))
    bar = progress.add_task("converting", total=len(forms))
    rows, outputs = [], {}
    for form in forms:
        progress.update(bar, description=f"converting {form.name}")
        row, outputs[form.name] = write_form(form, trained[form.trained], data, output)
        rows.append(row)
        progress.advance(bar)
    return rows, outputs


def write_archives(
    trained: dict[str, Trained],
    forms: list[Form],
    data: Dataset,
    output: Output,
    progress: Progress,
) -> tuple[list[dict], list[str]]:
    """Writes and scores archives.

    Args:
        trained: The networks by `Form.trained`.
        forms: Forms whose modes are of `ARCHIVES`. Of networks that are not FR, an archive without
            a skeleton is left out: it is smaller by no more than the skeleton.
        data: The data set with its task.
        output: The folder.
        progress: Shows a bar.

    Returns:
        A row for each archive, and why there are others not, in words.
    """
    forms = [
        form
        for form in forms
        if form.mode == SKELETON or frequency_layers(trained[form.trained].model)
    ]
    bar = progress.add_task("packing", total=len(forms))
    rows, left_out = [], []
    for form in forms:
        progress.update(bar, description=f"packing {form.name}")
        try:
            rows.append(write_form(form, trained[form.trained], data, output)[0])
        except ValueError as error:  # a layer that an archive cannot hold
            left_out.append(f"{form.name}: {error}")
        progress.advance(bar)
    return rows, left_out


def write_form(form: Form, source: Trained, data: Dataset, output: Output) -> tuple[dict, Arrays]:
    """Writes a file, and returns its row and its outputs on the test split.

    Args:
        form: What to write.
        source: Its network.
        data: The data set with its task.
        output: The folder.

    Raises:
        ValueError: If it is an archive that cannot hold the network.
    """
    write = _write_archive if form.mode in ARCHIVES else _write_tflite
    found, measured = write(form, source.model, data, output)
    score = data.task.score(data.test.y, found, data.test.sample_weight)
    named = {"form": form.name, **dataclasses.asdict(form), "file": form.file}
    scored = {"kept": source.kept, "score": dataclasses.asdict(score)}
    return {**named, **scored, **measured}, found


def _write_tflite(
    form: Form, model: keras.Model, data: Dataset, output: Output
) -> tuple[Arrays, dict]:
    """Writes a .tflite file, and returns what `_write_archive` does."""
    conversion = convert(
        model,
        output.folder / form.file,
        quantize=form.mode,
        calibration=data.train.sample(_CALIBRATION_ROWS),
        **about(data),
        command=output.command,
        overwrite=output.overwrite,
    )
    return file_answers(Runner(conversion.content, THREADS), data.test), {
        "device_bytes": len(conversion.content),
        "download_bytes": len(gzip.compress(conversion.content, mtime=0)),
        "latency_us": Runner(conversion.content).latency() * 1e6,
        "argmax_agreement": conversion.agreement.argmax,
        "largest_difference": conversion.agreement.largest,
    }


def _write_archive(
    form: Form, model: keras.Model, data: Dataset, output: Output
) -> tuple[Arrays, dict]:
    """Writes a .fr archive, and returns the outputs on the test split and what else its row has.

    The outputs are those of the int8 file that the skeleton makes on the device; without a skeleton
    those of the Keras model that the archive gives back.

    Raises:
        ValueError: If the archive cannot hold the model.
    """
    path, calibration = output.folder / form.file, data.train.sample(_CALIBRATION_ROWS)
    skeleton = {**about(data), "command": output.command} if form.mode == SKELETON else None
    with quiet():
        save_archive(
            model, path, calibration=calibration, skeleton=skeleton, overwrite=output.overwrite
        )
    archive, content = path.read_bytes(), None
    if skeleton is not None:
        content = fr_archive.expand(fr_archive.decode(archive))
        found = file_answers(Runner(content, THREADS), data.test)
    else:
        found = answers(load_archive(path), data.test)
    return found, {
        "device_bytes": None if content is None else len(content),
        "download_bytes": len(archive),
        "latency_us": None if content is None else Runner(content).latency() * 1e6,
        "argmax_agreement": None,
        "largest_difference": None,
    }


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
    for name in ("form", "score", "95 % interval", "download", "on device", "latency", "kept"):
        drawn.add_column(name, justify="left" if name == "form" else "right", no_wrap=True)
    for form in forms:
        score, device, latency = (form[key] for key in ("score", "device_bytes", "latency_us"))
        drawn.add_row(
            form["form"],
            f"{score['value']:.4f}",
            f"{score['low']:.3f}-{score['high']:.3f}",
            f"{form['download_bytes']:,}",
            "-" if device is None else f"{device:,}",
            "-" if latency is None else f"{latency:,.0f} us",
            f"{form['kept']:,}",
        )
    return drawn
