"""Measuring files where they run: on this machine, ARM64 kernels, GPUs and phones."""

from fr_bench.benchmark.result import (
    Agreement,
    Metric,
    Ops,
    OpTime,
    Result,
    State,
    Times,
    document,
    load,
    save,
)
from fr_bench.benchmark.subject import Subject, Unfit, subject, subjects

__all__ = [
    "Agreement",
    "Metric",
    "OpTime",
    "Ops",
    "Result",
    "State",
    "Subject",
    "Times",
    "Unfit",
    "document",
    "load",
    "save",
    "subject",
    "subjects",
]
