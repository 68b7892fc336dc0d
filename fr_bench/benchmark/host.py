"""The target `host`: this machine's CPU, with and without XNNPACK."""

import os
import platform
from importlib.metadata import version

import numpy as np

from fr_bench.benchmark import process, processor
from fr_bench.benchmark._subject import Subject
from fr_bench.benchmark.profile import profile
from fr_bench.benchmark.result import Ops, Result, State, Times

DELEGATES = ("none", "xnnpack")


def cores() -> int:
    """Returns the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def device() -> dict[str, str | int]:
    """Describes this machine, without its name."""
    return {
        "name": "host",
        "abi": platform.machine(),
        "os": platform.system(),
        "cores": cores(),
        **processor.describe(),
    }


def tool() -> str:
    """Returns the program that runs the files, with its version."""
    return f"LiteRT {version('ai-edge-litert')}"


def measure(subject: Subject, delegate: str, threads: int, runs: int, warmup: int) -> Result:
    """Runs a file on the CPU; a file that fails gives a result that says so."""
    common = {
        **subject.facts,
        "target": "host",
        "device": device(),
        "tool": tool(),
        "delegate": delegate,
        "threads": threads,
    }
    try:
        answer = process.work(
            subject.content, subject.inputs, delegate, threads=threads, runs=runs, warmup=warmup
        )
    except process.WorkerError as error:
        return Result(**common, status="failed", message=str(error))
    power = answer.facts["milliwatts"]
    found, notes = profile(subject.content, subject.inputs, delegate, threads)
    return Result(
        **common,
        times=times(answer.facts),
        peak_memory_bytes=answer.facts["peak_memory_bytes"],
        ops=Ops(**answer.facts["ops"]) if "ops" in answer.facts else None,
        profile=found,
        state=State(milliwatts=power) if power else None,
        **subject.scores(answer.outputs, notes),
    )


def times(facts: dict) -> Times:
    """Returns statistics of the times that a worker measured."""
    found = np.array(facts["times_us"])
    p5, median, p95 = np.percentile(found, [5, 50, 95]).round(1).tolist()
    return Times(
        runs=len(found),
        init_us=round(facts["init_us"], 1),
        first_us=round(facts["first_us"], 1),
        mean_us=round(float(found.mean()), 1),
        median_us=median,
        p5_us=p5,
        p95_us=p95,
        cpu_use=facts["cpu_use"],
    )
