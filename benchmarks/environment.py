"""Describes the machine and the packages of a measurement."""

import os
import platform
from importlib.metadata import version

from fr_bench.benchmark import processor


def environment() -> dict:
    """Returns the machine's kind, its processor with the instruction sets that decide the speed of
    kernels, and the versions that decide a result; no host names, no paths."""
    return {
        "machine": platform.machine(),
        **processor.describe(),
        "cores": len(os.sched_getaffinity(0)),
        "device": "CPU",
        "python": platform.python_version(),
        **{name: version(name) for name in ("tensorflow", "keras", "ai-edge-litert", "numpy")},
    }
