"""Runs the worker in a process of its own, on this machine's Python or another one."""

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
#: Seconds that a worker may take.
LIMIT = 600


class WorkerError(RuntimeError):
    """A worker that ended without an answer; says how, with the last that it printed.

    Attributes:
        log: All that it wrote on stderr.
    """

    def __init__(self, message: str, log: str = ""):
        super().__init__(message)
        self.log = log


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a worker found.

    Attributes:
        facts: Its `answer.json`.
        outputs: Rows of each output, in the file's own types; `None` for one whose shape changes
            from row to row.
        log: What it wrote on stderr.
    """

    facts: dict
    outputs: list[np.ndarray | None]
    log: str


@dataclasses.dataclass(frozen=True)
class Single:
    """An op that stands alone.

    Attributes:
        name: Its kind.
        inputs: Which tensors of the whole file its inputs are.
        content: Its flatbuffer.
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
    limit: float = LIMIT,
) -> Answer:
    """Runs a flatbuffer on rows.

    Args:
        content: The flatbuffer.
        inputs: Rows for each input, in the file's own types.
        delegate: `none`, `xnnpack` or `gpu`.
        threads: CPU threads.
        runs: Inferences to time; 0 for none.
        warmup: Inferences before them.
        precision: `float32` or `float16`, in which a GPU computes.
        singles: Ops to time by themselves on the CPU, instead of the whole file, on the values
            that they get in it from the first row.
        command: A Python with numpy and LiteRT, perhaps behind an emulator.
        environment: Variables to set besides this process's.
        limit: Seconds after which it is ended.

    Raises:
        WorkerError: If it crashed, failed or took too long.
    """
    request = {
        "delegate": delegate,
        "precision": precision,
        "threads": threads,
        "runs": runs,
        "warmup": warmup,
    }
    with tempfile.TemporaryDirectory(prefix="fr_keras-") as name:
        folder = Path(name)
        if singles is not None:
            request["singles"] = put(folder, singles)
        fill(folder, content, inputs, request)
        log = _run([*command, str(WORKER), name], environment, limit)
        return read(folder, log)


def fill(folder: Path, content: bytes, inputs: Sequence[np.ndarray], request: dict) -> None:
    """Writes what a worker reads."""
    (folder / "model.tflite").write_bytes(content)
    np.savez(folder / "inputs.npz", **{str(n): part for n, part in enumerate(inputs)})
    (folder / "request.json").write_text(json.dumps(request))


def put(folder: Path, singles: Iterable[Single]) -> list[tuple[str, tuple[int, ...]]]:
    """Writes ops that stand alone, one after the other, and returns what is asked of each."""
    asked = []
    for number, one in enumerate(singles):
        (folder / f"op{number}.tflite").write_bytes(one.content)
        asked.append((one.name, one.inputs))
    return asked


def read(folder: Path, log: str) -> Answer:
    """Reads what a worker wrote."""
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
        raise WorkerError(f"it took more than {limit:g} seconds and was ended") from None
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
    """The end of what a process said; of a Python error what it says, not where it was."""
    _, traceback, said = text.rpartition("Traceback (most recent call last):")
    kept = said.splitlines() if traceback else text.splitlines()
    lines = [line for line in kept if line.strip() and not (traceback and line.startswith(" "))]
    return " / ".join(lines[-3:]) or "it said nothing"
