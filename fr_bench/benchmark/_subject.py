"""The subject of a measurement: a file, rows to run it on, and the outputs to expect."""

import dataclasses
import functools
import gzip
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

import fr_archive
from fr_archive.container import load as load_archive_bytes
from fr_bench.benchmark import process
from fr_bench.benchmark.result import REFERENCE, Deviation, Metric, deviation
from fr_bench.data import Arrays, taken
from fr_bench.tasks import Task, UnfitLabels, find_task
from fr_keras.tflite.runner import Ends
from fr_keras.tflite.signature import by_input

# Kinds of outputs that cannot be subtracted.
_KINDS = {"S": "strings", "c": "complex numbers"}


@dataclasses.dataclass(frozen=True)
class Subject:
    """A file and the rows to run it on.

    Attributes:
        file: The name of the file, without folders.
        bytes: The size of the file, or of the archive that it comes from.
        content: The flatbuffer.
        inputs: Rows for each input, in the file's own types.
        y: The labels of the rows, as they came; `None` without labels.
        task: What the file solves, if it is known; else it is found in labels and outputs.
        notes: What a reader of the results must know.
        download_bytes: The size of the file in a download, gzipped if that is smaller.
    """

    file: str
    bytes: int
    content: bytes
    inputs: tuple[np.ndarray, ...]
    y: Arrays | None
    task: Task | None = None
    notes: tuple[str, ...] = ()
    download_bytes: int | None = None

    @functools.cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @functools.cached_property
    def ends(self) -> Ends:
        """The names and types of the inputs and outputs."""
        return Ends(self.content)

    @functools.cached_property
    def reference(self) -> list[np.ndarray | None] | str:
        """The outputs of the CPU reference on the host, in the file's own types, or the reason why
        there are none."""
        try:
            return process.work(self.content, self.inputs, REFERENCE).outputs
        except process.WorkerError as error:
            return str(error)

    @property
    def facts(self) -> dict:
        """The fields that describe the file in every result."""
        return {
            "file": self.file,
            "bytes": self.bytes,
            "sha256": self.sha256,
            **self.sizes,
        }

    @property
    def sizes(self) -> dict:
        """The fields for the bytes in a download and on the device."""
        return {"download_bytes": self.download_bytes, "device_bytes": len(self.content)}

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The full shape of each input in one run."""
        return [
            part.shape[1:] if part.ndim - 1 == rank else (1, *part.shape[1:])
            for part, rank in zip(self.inputs, self.ends.input_ranks, strict=True)
        ]

    def scores(self, outputs: list[np.ndarray | None], notes: Sequence[str] = ()) -> dict:
        """Returns the fields of a result for outputs in the file's own types, with further
        `notes`."""
        without = [f"output '{k}' is not compared: {v}" for k, v in self._apart(outputs).items()]
        score, unscored = self.score(outputs)
        return {
            "agreement": self.agreement(outputs) or None,
            "metric": score,
            "notes": (*self.notes, *notes, *without, *filter(None, [unscored])),
        }

    def agreement(self, outputs: list[np.ndarray | None]) -> dict[str, Deviation]:
        """Compares outputs, in the file's own types, with the reference where possible."""
        apart, found = self._apart(outputs), {}
        for position, (name, step) in enumerate(self.ends.output_steps.items()):
            if name not in apart:
                pair = (outputs[position], self.reference[position])
                real = (self.ends.real_one(name, one) for one in pair)
                found[name] = deviation(*real, step)
        return found

    def score(self, outputs: list[np.ndarray | None]) -> tuple[Metric | None, str | None]:
        """Returns the score of outputs, or the reason why there is none although there are labels.

        What a file solves is found in its labels and outputs, unless it is known.
        """
        if self.y is None:
            return None, None
        if any(one is None for one in outputs):
            return None, "no score: the shape of an output changes from row to row"
        real = tuple(self.ends.real(outputs).values())
        answers = real if isinstance(self.y, tuple) or len(real) > 1 else real[0]
        try:
            task = self.task or find_task(self.y, answers)
        except UnfitLabels as error:
            return None, f"no score: {error}"
        found = task.score(task.prepared(self.y), answers)
        return Metric(task.metric_name, found.value, found.n, (found.low, found.high)), None

    def on_fewer(self, rows: int) -> "Subject":
        """The same file with at most so many rows, evenly spaced, and a note if these are fewer."""
        count = len(self.inputs[0])
        if rows >= count:
            return self
        chosen = np.linspace(0, count - 1, rows).astype(int)
        note = f"compared on {rows} of the {count:,} rows, because this target is slow"
        return dataclasses.replace(
            self,
            inputs=tuple(part[chosen] for part in self.inputs),
            y=None if self.y is None else taken(self.y, chosen),
            notes=(*self.notes, note),
        )

    def _apart(self, outputs: list[np.ndarray | None]) -> dict[str, str]:
        """The outputs that are not compared, and the reasons."""
        names = self.ends.output_steps
        if isinstance(self.reference, str):
            return dict.fromkeys(names, f"on the CPU reference {self.reference}")
        whys = map(_incomparable, outputs, self.reference)
        return {name: why for name, why in zip(names, whys, strict=True) if why}


@dataclasses.dataclass(frozen=True)
class Unfit:
    """A file that cannot be measured.

    Attributes:
        file: The name of the file, without folders.
        bytes: Its size.
        sha256: The SHA-256 of its content.
        message: The reason.
    """

    file: str
    bytes: int
    sha256: str
    message: str


def subjects(
    paths: Sequence[Path], make: Callable[[Path], Subject] | None = None
) -> list[Subject | Unfit]:
    """Does the same as `subject` for several files; an unfit file does not stop the others.

    Args:
        paths: The files.
        make: Makes the subject of a file, by default with random inputs.

    Raises:
        FileNotFoundError: If a file does not exist.
    """
    return [_subject_or_why(path, make or subject) for path in paths]


def _subject_or_why(path: Path, make: Callable[[Path], Subject]) -> Subject | Unfit:
    try:
        return make(path)
    except ValueError as error:
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        return Unfit(path.name, len(content), digest, str(error))


def subject(
    path: str | os.PathLike,
    x=None,
    y: Arrays | None = None,
    rows: int = 16,
    task: Task | None = None,
    notes: tuple[str, ...] = (),
) -> Subject:
    """Reads a file and prepares it for measurement.

    Args:
        path: A `.tflite` file, or a `.fr` archive that was packed with a skeleton.
        x: Real inputs `(rows, *shape)`, as `tflite.run` takes them; `None` for random inputs from
            0 to 1, in which open axes have length 1.
        y: Labels of the rows of `x`, as they came; a tuple for several outputs.
        rows: The number of random rows if `x` is `None`.
        task: What the file solves, found by `fr_bench.tasks.find_task`; by default it is found in
            the labels and outputs of the rows.
        notes: What a reader of the results must know.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is damaged or is an archive without a skeleton, or if `x` or `y`
            does not fit.
    """
    path = Path(path)
    content = flatbuffer_of(path)
    try:
        ends = Ends(content)
    except ValueError as error:
        raise ValueError(f"'{path}' cannot be measured: {error}") from error
    if x is None:
        random = np.random.default_rng(0)
        x = {name: random.random((rows, *shape)) for name, shape in ends.inputs.items()}
        notes += tuple(
            f"input '{name}' has open axes, {shape}, which have length 1 here. Give rows of data "
            "to measure other lengths"
            for name, shape in ends.open_inputs.items()
        )
    inputs = tuple(ends.own(by_input(x, list(ends.inputs), "x")))
    counts = [len(part) for part in (y if isinstance(y, tuple) else (y,)) if part is not None]
    if any(count != len(inputs[0]) for count in counts):
        raise ValueError(
            "`y` must have labels for each row of `x`. "
            f"Received: {counts[0]} for {len(inputs[0])} rows"
        )
    whole = path.read_bytes()
    download = min(len(whole), len(gzip.compress(whole, mtime=0)))
    return Subject(path.name, len(whole), content, inputs, y, task, notes, download)


def flatbuffer_of(path: Path) -> bytes:
    """The .tflite file of a path, or that which an archive expands to."""
    if path.suffix != ".fr":
        return path.read_bytes()
    archive = fr_archive.decode(load_archive_bytes(path))
    if archive.skeleton is None:
        raise ValueError(
            f"'{path}' has no skeleton, so it cannot make a .tflite file by itself: pack it with "
            "`fr-keras pack --skeleton`, or convert the model that it contains"
        )
    return fr_archive.expand(archive)


def _incomparable(found: np.ndarray | None, expected: np.ndarray | None) -> str | None:
    """The reason why two outputs cannot be compared."""
    if found is None or expected is None:
        return "its shape changes from row to row"
    if found.shape != expected.shape:
        return f"its shape is {found.shape}, but that of the reference is {expected.shape}"
    if expected.dtype.kind not in "fiub":
        return f"it holds {_KINDS.get(expected.dtype.kind, expected.dtype.name)}"
    return None if expected.size else "it is empty"
