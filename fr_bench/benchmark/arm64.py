"""The target `arm64`: LiteRT's AArch64 kernels, on this machine under qemu.

It shows whether a file runs there and whether its numbers agree. Times and peak memory under
emulation would mean nothing, so there are none.
"""

from collections.abc import Sequence

import numpy as np

from fr_bench.benchmark import devices, process
from fr_bench.benchmark._subject import Subject
from fr_bench.benchmark.result import Ops, Result

DELEGATES = ("none", "xnnpack")


def device(setup: devices.Setup) -> dict[str, str | int]:
    """Describes the emulator."""
    line = setup.programs["python"]
    return {
        "name": f"qemu {line[line.index('-cpu') + 1]}",
        "abi": "aarch64",
        "os": "Linux",
        "emulator": f"qemu-user {setup.version('qemu-user')}",
    }


def tool(setup: devices.Setup) -> str:
    """Returns the program that runs the files, with its version."""
    return f"LiteRT {setup.version('ai-edge-litert')}"


def measure(subject: Subject, delegate: str, threads: int) -> Result:
    """Runs a file under emulation; a file that fails gives a result that says so.

    Args:
        subject: The file and its rows.
        delegate: One of `DELEGATES`.
        threads: CPU threads.

    Raises:
        MissingDevice: If the target is not set up.
    """
    setup = devices.find("arm64")
    common = {
        **subject.facts,
        "target": "arm64",
        "device": device(setup),
        "tool": tool(setup),
        "delegate": delegate,
        "threads": threads,
    }
    try:
        answer = run(subject.content, subject.inputs, delegate, threads)
    except process.WorkerError as error:
        return Result(**common, status="failed", message=str(error))
    return Result(
        **common,
        ops=Ops(**answer.facts["ops"]) if "ops" in answer.facts else None,
        **subject.scores(answer.outputs),
    )


def run(
    content: bytes, inputs: Sequence[np.ndarray], delegate: str, threads: int = 1
) -> process.Answer:
    """Runs a flatbuffer on rows in its own types; see `process.work` for arguments and errors."""
    setup = devices.find("arm64")
    return process.work(
        content,
        inputs,
        delegate,
        threads=threads,
        command=setup.programs["python"],
        environment=setup.environment,
    )
