"""The files of a trained network: the Keras model, the .tflite file and, for FR, the archive."""

import dataclasses
import gzip
from pathlib import Path

import keras

import fr_archive
from fr_archive.files import replacing, write_bytes
from fr_bench._scoring import about, quiet, score_of
from fr_bench.compression._plan import Goal
from fr_bench.data import Dataset, Split
from fr_bench.tasks import Scored
from fr_keras import save_archive, tflite
from fr_keras.models.walk import frequency_layers

#: Rows for calibration, as `fr-keras pack` takes them.
CALIBRATION_ROWS = 512
#: Rounding of an archive, relative, from a coarse one to the default, which keeps the function.
PRECISIONS = ((0.005, 0.01), (0.0015, 0.0025), (0.0003, 0.0005))
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


def write_files(
    model: keras.Model,
    data: Dataset,
    rows: Split,
    folder: Path,
    goal: Goal | None,
    mode: str = "int8",
) -> Files:
    """Writes the files of a network, and scores the .tflite file on some rows.

    Args:
        model: A plain or FR model.
        data: The data set with its task.
        rows: The rows to score on.
        folder: The folder to write to, which exists.
        goal: If given, archives of several precisions are made, from coarse to fine, and the one
            is taken that the goal prefers; if `None`, only the coarsest.
        mode: The quantization of the .tflite file, as for `fr_keras.tflite.convert`.
    """
    with quiet():
        return _written(model, data, rows, folder, goal, mode)


def _written(
    model, data: Dataset, rows: Split, folder: Path, goal: Goal | None, mode: str
) -> Files:
    with replacing(folder / MODEL, overwrite=True) as path:
        model.save(path)
    if frequency_layers(model):
        try:
            return _packed(model, data, rows, folder, goal)
        except ValueError as error:  # a layer that an archive cannot hold
            note = f"no archive: {error}"
            return dataclasses.replace(_plain(model, data, rows, folder, mode), note=note)
    return _plain(model, data, rows, folder, mode)


def _plain(model, data: Dataset, rows: Split, folder: Path, mode: str) -> Files:
    content = tflite.convert(model, quantize=mode, calibration=_calibration(data), **about(data))
    write_bytes(folder / TFLITE, content.content, overwrite=True)
    small = len(gzip.compress(content.content, mtime=0))
    score = score_of(content.content, data, rows)
    return Files(len(content.content), small, "tflite.gz", score)


def _packed(model, data: Dataset, rows: Split, folder: Path, goal: Goal | None) -> Files:
    found = {}
    for precision in PRECISIONS if goal else PRECISIONS[:1]:
        files, *contents = _archive(model, data, rows, folder, precision)
        found[files] = contents
        if goal and goal.least is not None and goal.holds(files):
            break  # a finer one is larger
    files = goal.best(list(found)) if goal else next(iter(found))
    archive, content = found[files]
    write_bytes(folder / ARCHIVE, archive, overwrite=True)
    write_bytes(folder / TFLITE, content, overwrite=True)
    return files


def _archive(model, data: Dataset, rows: Split, folder: Path, precision) -> tuple:
    """The archive of a precision, with the .tflite file that it expands to, scored."""
    path = folder / f"partial.{ARCHIVE}"
    skeleton = {**about(data), "calibration": _calibration(data)}
    save_archive(
        model, path, *precision, calibration=skeleton["calibration"], skeleton=skeleton,
        overwrite=True,
    )  # fmt: skip
    archive = path.read_bytes()
    path.unlink()
    content = fr_archive.expand(fr_archive.decode(archive))
    score = score_of(content, data, rows)
    return Files(len(content), len(archive), "fr", score), archive, content


def _calibration(data: Dataset):
    return data.train.sample(CALIBRATION_ROWS)
