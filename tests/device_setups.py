"""Targets without hardware for tests: set up where they can be, or a skip that says why not."""

import subprocess
import sys
from pathlib import Path

import pytest

from fr_keras.benchmark import devices

ROOT = Path(__file__).parents[1]
SETUP = ROOT / "tools" / "devices" / "setup.py"
MODELS = sorted((ROOT / "tflite_models").glob("*.tflite"))


def ready(target: str) -> None:
    """Sets a target up, unless it is."""
    done = subprocess.run([sys.executable, SETUP, target], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"`{devices.command(target)}` failed: {done.stderr.strip()}")


def mode(path: Path) -> str:
    """How a published file is quantized."""
    return path.stem.rpartition("_")[2]
