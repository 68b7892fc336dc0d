"""The files of a trained network: the Keras model, the .tflite file and the archive."""

import dataclasses
import gzip
from pathlib import Path
from typing import NamedTuple

import keras

import fr_archive
from fr_archive.files import replacing, write_bytes
from fr_bench._scoring import about, quiet, score_of
from fr_bench.compression._plan import Goal
from fr_bench.data import Arrays, Dataset, Split
from fr_bench.tasks import Scored
from fr_keras import save_archive, tflite
from fr_keras.models.walk import frequency_layers

# The most and the least rows for calibration, and the numbers in them that are enough.
_MOST_ROWS, _LEAST_ROWS, _NUMBERS = 512, 64, 1 << 20


class Precision(NamedTuple):
    """How coarsely an archive rounds, as for `fr_keras.save_archive`.

    Attributes:
        step: The step of coefficients.
        error: The error of vectors.
        kernel_error: The error of kernels in space.
    """

    step: float
    error: float
    kernel_error: float


#: From coarse to the default, which keeps the function: for models with FR layers, for others, and
#: while trials compete.
FOR_FR = (
    Precision(0.005, 0.01, 0.1),
    Precision(0.0015, 0.0025, 0.03),
    Precision(0.0003, 0.0005, 0.01),
)
FOR_PLAIN = (Precision(0.005, 0.01, 0.2), *FOR_FR)
EARLY = FOR_FR[:1]
MODEL, TFLITE, ARCHIVE = "model.keras", "model.tflite", "model.fr"


@dataclasses.dataclass(frozen=True)
class Files:
    """What was written, and how well the .tflite file answers.

    Attributes:
        device_bytes: The size of the .tflite file.
        download_bytes: The size of the archive or of the gzipped .tflite file.
        download: `"fr"` or `"tflite.gz"`.
        score: The score of the .tflite file.
        note: What the user should know; may be empty.
    """

    device_bytes: int
    download_bytes: int
    download: str
    score: Scored
    note: str = ""


def calibration(data: Dataset) -> Arrays:
    """Training inputs for calibration: fewer of large pictures, each of which shows more."""
    enough = _NUMBERS // data.train.row_numbers
    return data.train.sample(min(max(enough, _LEAST_ROWS), _MOST_ROWS))


def write_files(
    model: keras.Model,
    data: Dataset,
    rows: Split,
    folder: Path,
    goal: Goal | None,
    mode: str | None = None,
) -> Files:
    """Writes the files of a network, and scores the .tflite file on some rows.

    Without a mode, the download is an archive that makes the int8 file; if an archive cannot hold
    the model, it is that file, gzipped.

    Args:
        model: A plain or FR model.
        data: The data set with its task.
        rows: The rows to score on.
        folder: The folder to write to, which exists.
        goal: If given, archives of several precisions are made, from coarse to fine, and the one
            is taken that the goal prefers; if `None`, only a coarse one.
        mode: The quantization of a .tflite file that is the download itself, gzipped.
    """
    with quiet():
        return _written(model, data, rows, folder, goal, mode)


def _written(
    model, data: Dataset, rows: Split, folder: Path, goal: Goal | None, mode: str | None
) -> Files:
    with replacing(folder / MODEL, overwrite=True) as path:
        model.save(path)
    if mode is not None:
        return _gzipped(model, data, rows, folder, mode)
    try:
        return _packed(model, data, rows, folder, goal, _precisions(model, goal))
    except ValueError as error:  # a layer that an archive cannot hold
        note = f"no archive: {error}"
        return dataclasses.replace(_gzipped(model, data, rows, folder, "int8"), note=note)


def _precisions(model: keras.Model, goal: Goal | None) -> tuple[Precision, ...]:
    if goal is None:
        return EARLY
    return FOR_FR if frequency_layers(model) else FOR_PLAIN


def _gzipped(model, data: Dataset, rows: Split, folder: Path, mode: str) -> Files:
    done = tflite.convert(model, quantize=mode, calibration=calibration(data), **about(data))
    write_bytes(folder / TFLITE, done.content, overwrite=True)
    small = len(gzip.compress(done.content, mtime=0))
    return Files(len(done.content), small, "tflite.gz", score_of(done.content, data, rows))


def _packed(
    model,
    data: Dataset,
    rows: Split,
    folder: Path,
    goal: Goal | None,
    precisions: tuple[Precision, ...],
) -> Files:
    found = {}
    for precision in precisions:
        files, *contents = _archive(model, data, rows, folder, precision)
        found[files] = contents
        if goal and goal.least is not None and goal.holds(files):
            break  # a finer one is larger
    files = goal.best(list(found)) if goal else next(iter(found))
    archive, content = found[files]
    write_bytes(folder / ARCHIVE, archive, overwrite=True)
    write_bytes(folder / TFLITE, content, overwrite=True)
    return files


def _archive(model, data: Dataset, rows: Split, folder: Path, precision: Precision) -> tuple:
    """The archive of a precision, with the .tflite file that it expands to, scored."""
    path = folder / f"partial.{ARCHIVE}"
    skeleton = {**about(data), "calibration": calibration(data)}
    save_archive(
        model, path, *precision, calibration=skeleton["calibration"], skeleton=skeleton,
        overwrite=True,
    )  # fmt: skip
    archive = path.read_bytes()
    path.unlink()
    content = fr_archive.expand(fr_archive.decode(archive))
    score = score_of(content, data, rows)
    return Files(len(content), len(archive), "fr", score), archive, content
