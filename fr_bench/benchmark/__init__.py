"""Measures files where they run: on this machine, on ARM64 kernels, on GPUs and on phones."""

from fr_bench.benchmark._capacities import capacity_profile
from fr_bench.benchmark._labelled import Labelled
from fr_bench.benchmark._subject import Subject, Unfit, subject, subjects
from fr_bench.benchmark.result import (
    Deviation,
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

__all__ = [
    "Deviation",
    "Labelled",
    "Metric",
    "OpTime",
    "Ops",
    "Result",
    "State",
    "Subject",
    "Times",
    "Unfit",
    "capacity_profile",
    "document",
    "load",
    "save",
    "subject",
    "subjects",
]
