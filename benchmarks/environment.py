"""What a result was measured on."""

import os
import platform
from importlib.metadata import version


def environment() -> dict:
    """Returns the machine's kind and the versions that decide a result; no host names, no paths."""
    return {
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "device": "CPU",
        "python": platform.python_version(),
        **{name: version(name) for name in ("tensorflow", "keras", "ai-edge-litert", "numpy")},
    }
