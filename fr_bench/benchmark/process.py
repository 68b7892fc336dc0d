"""Runs the worker in a process of its own, with this machine's Python or another one."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

WORKER = Path(__file__).with_name("_worker.py")
#: Seconds that a worker may take, and seconds more for each row.
LIMIT, LIMIT_PER_ROW = 600, 1


class WorkerError(RuntimeError):
    """Raised if a worker ended without an answer; says how, with the last lines that it printed.

    Attributes:
        log: Everything that it wrote to stderr.
    """

    def __init__(self, message: str, log: str = ""):
        super().__init__(message)
        self.log = log


@dataclasses.dataclass(frozen=True)
class Answer:
    """The answer of a worker.

    Attributes:
        facts: Its `answer.json`.
        outputs: Rows of each output, in the file's own types; `None` for an output whose shape
            changes from row to row.
        log: Everything that it wrote to stderr.
    """

    facts: dict
    outputs: list[np.ndarray | None]
    log: str


@dataclasses.dataclass(frozen=True)
class Single:
    """An op in a file of its own.

    Attributes:
        name: The kind of the op.
        inputs: The tensors of the whole file that are its inputs.
        content: The flatbuffer with only this op.
    """

    name: str
    inputs: tuple[int, ...]
    content: bytes


def work(
    content: bytes,
    inputs: Sequence[np.ndarray],
    delegate: str,
    *,
    threads: int = 1,
    runs: int = 0,
    warmup: int = 0,
    precision: str | None = None,
    singles: Iterable[Single] | None = None,
    command: Sequence[str] = (sys.executable,),
    environment: Mapping[str, str] | None = None,
    limit: float | None = None,
) -> Answer:
    """Runs a flatbuffer on rows.

    Args:
        content: The flatbuffer.
        inputs: Rows for each input, in the file's own types.
        delegate: `none`, `xnnpack` or `gpu`.
        threads: The number of CPU threads.
        runs: The number of inferences to time; 0 for no times.
        warmup: The number of inferences before them.
        precision: The precision in which a GPU computes, `float32` or `float16`.
        singles: Ops to time by themselves on the CPU instead of the whole file; each gets the
            values that it gets in the file from the first row.
        command: A Python with numpy and LiteRT, possibly in an emulator.
        environment: Environment variables to set in addition to those of this process.
        limit: The time limit in seconds, after which the worker is stopped; `None` for 10 minutes
            and a second for each row.

    Raises:
        WorkerError: If the worker crashed, failed or took too long.
    """
    request = {
        "delegate": delegate,
        "precision": precision,
        "threads": threads,
        "runs": runs,
        "warmup": warmup,
    }
    if limit is None:
        limit = LIMIT + LIMIT_PER_ROW * len(inputs[0])
    with tempfile.TemporaryDirectory(prefix="fr_keras-") as name:
        folder = Path(name)
        if singles is not None:
            request["singles"] = put(folder, singles)
        fill(folder, content, inputs, request)
        log = _run([*command, str(WORKER), name], environment, limit)
        return read(folder, log)


def fill(folder: Path, content: bytes, inputs: Sequence[np.ndarray], request: dict) -> None:
    """Writes the files that a worker reads."""
    (folder / "model.tflite").write_bytes(content)
    np.savez(folder / "inputs.npz", **{str(n): part for n, part in enumerate(inputs)})
    (folder / "request.json").write_text(json.dumps(request))


def put(folder: Path, singles: Iterable[Single]) -> list[tuple[str, tuple[int, ...]]]:
    """Writes ops in files of their own, one after another, and returns the request for each."""
    asked = []
    for number, one in enumerate(singles):
        (folder / f"op{number}.tflite").write_bytes(one.content)
        asked.append((one.name, one.inputs))
    return asked


def read(folder: Path, log: str) -> Answer:
    """Reads the files that a worker wrote."""
    facts = json.loads((folder / "answer.json").read_text())
    with np.load(folder / "outputs.npz") as held:
        numbers = map(str, range(facts["outputs"]))
        outputs = [held[n] if n in held.files else None for n in numbers]
    return Answer(facts, outputs, log)


def _run(command: list[str], environment: Mapping[str, str] | None, limit: float) -> str:
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, **(environment or {})},
        start_new_session=True,
    )
    try:
        _, log = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        raise WorkerError(f"it took more than {limit:g} seconds and was stopped") from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    text = log.decode(errors="replace")
    if process.returncode:
        raise WorkerError(f"{_end(process.returncode)}: {_last(text)}", text)
    return text


def _end(code: int) -> str:
    return f"it was killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _last(text: str) -> str:
    """The last lines of a process; of a Python error the message, without the traceback."""
    _, traceback, said = text.rpartition("Traceback (most recent call last):")
    kept = said.splitlines() if traceback else text.splitlines()
    lines = [line for line in kept if line.strip() and not (traceback and line.startswith(" "))]
    return " / ".join(lines[-3:]) or "it printed nothing"
