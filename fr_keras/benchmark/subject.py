"""What is measured: a file, rows to run it on, and what they should give."""

import dataclasses
import functools
import hashlib
import os
from pathlib import Path

import numpy as np

import fr_archive
from fr_archive.container import load as load_archive_bytes
from fr_keras.benchmark import process
from fr_keras.benchmark.result import REFERENCE, Agreement, Metric
from fr_keras.tflite import Runner
from fr_keras.tflite.endpoints import by_input


@dataclasses.dataclass(frozen=True)
class Subject:
    """A file and rows for it.

    Attributes:
        file: Its name, without folders.
        bytes: Its size; of an archive that of the archive.
        content: The flatbuffer.
        inputs: Rows for each input, in the file's own types.
        y: Classes of the rows, or of their pixels; `None` without labels.
    """

    file: str
    bytes: int
    content: bytes
    inputs: tuple[np.ndarray, ...]
    y: np.ndarray | None

    @functools.cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @functools.cached_property
    def runner(self) -> Runner:
        """Knows the names and types of inputs and outputs."""
        return Runner(self.content)

    @functools.cached_property
    def reference(self) -> dict[str, np.ndarray]:
        """The real outputs of the CPU reference on the host, by name."""
        return self.runner.real(process.work(self.content, self.inputs, REFERENCE).outputs)

    @property
    def facts(self) -> dict:
        """What every result says of the file."""
        return {"file": self.file, "bytes": self.bytes, "sha256": self.sha256}

    def scores(self, outputs: list[np.ndarray]) -> dict:
        """What a result says of outputs, in the file's own types."""
        return {"agreement": self.agreement(outputs), "metric": self.metric(outputs)}

    def agreement(self, outputs: list[np.ndarray]) -> dict[str, Agreement]:
        """Compares outputs, in the file's own types, with the reference."""
        steps = self.runner.output_steps
        return {
            name: _agreement(found, self.reference[name], steps[name])
            for name, found in self.runner.real(outputs).items()
        }

    def metric(self, outputs: list[np.ndarray]) -> Metric | None:
        """The accuracy of the first output; `None` without labels."""
        if self.y is None:
            return None
        scores = next(iter(self.runner.real(outputs).values()))
        right = float(np.mean(scores.argmax(-1) == self.y))
        return Metric("accuracy", right, len(self.y))


def subject(
    path: str | os.PathLike, x=None, y: np.ndarray | None = None, rows: int = 16
) -> Subject:
    """Reads a file and makes it ready to be measured.

    Args:
        path: A `.tflite` file, or a `.fr` archive that was packed with a skeleton.
        x: Real inputs `(rows, *shape)`, as `tflite.run` takes them; `None` for random ones from
            0 to 1.
        y: The class of each row of `x`, or of each of its pixels.
        rows: How many rows are made where `x` is not given.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, an archive without a skeleton, or if `x` or `y` does not fit.
    """
    path = Path(path)
    content = _flatbuffer(path)
    try:
        runner = Runner(content)
    except ValueError as error:
        raise ValueError(f"'{path}' cannot be measured: {error}") from error
    if x is None:
        random = np.random.default_rng(0)
        x = {name: random.random((rows, *shape)) for name, shape in runner.inputs.items()}
    inputs = tuple(runner.own(by_input(x, list(runner.inputs), "x")))
    if y is not None and len(y) != len(inputs[0]):
        raise ValueError(
            f"`y` must have one class for each row of `x`. Received: {len(y)} for {len(inputs[0])}"
        )
    return Subject(path.name, path.stat().st_size, content, inputs, y)


def _flatbuffer(path: Path) -> bytes:
    if path.suffix != ".fr":
        return path.read_bytes()
    archive = fr_archive.decode(load_archive_bytes(path))
    if archive.skeleton is None:
        raise ValueError(
            f"'{path}' has no skeleton, so it makes no .tflite file by itself: pack it with "
            "`fr-keras pack --skeleton`, or convert the model that it holds"
        )
    return fr_archive.expand(archive)


def _agreement(found: np.ndarray, expected: np.ndarray, step: float | None) -> Agreement:
    largest = float(np.max(np.abs(found.astype(np.float64) - expected)))
    scale = float(np.ptp(expected)) or 1.0
    return Agreement(
        rows=len(expected),
        largest=largest,
        relative=largest / scale,
        steps=None if step is None else round(largest / step, 3),
        argmax=(
            float(np.mean(found.argmax(-1) == expected.argmax(-1)))
            if expected.ndim > 1 and expected.shape[-1] > 1
            else None
        ),
    )
