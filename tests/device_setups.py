"""Targets without hardware for tests, set up where they can be, and files to run on them."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import loopback
import numpy as np
import pytest

from fr_bench import benchmark
from fr_bench.benchmark import devices

ROOT = Path(__file__).parents[1]
SETUP = ROOT / "tools" / "devices" / "setup.py"
MODELS = sorted((ROOT / "tflite_models").glob("*.tflite"))


def ready(target: str) -> None:
    """Sets a target up, unless it is, or skips and says why not."""
    done = subprocess.run([sys.executable, SETUP, target], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"`{devices.command(target)}` failed: {done.stderr.strip()}")


@contextlib.contextmanager
def network(folder: Path) -> Iterator[loopback.Network]:
    """A network of loopback devices, with the ARM64 kernels set up."""
    for target in ("adb", "arm64"):
        ready(target)
    with contextlib.ExitStack() as stack:
        try:
            found = stack.enter_context(loopback.Network(folder))
        except devices.MissingDevice as error:
            pytest.skip(str(error))
        yield found


def is_idle(phone: loopback.Phone) -> bool:
    """Soon nothing runs there: a shell may be in its last moment of sleep."""
    end = time.monotonic() + 5
    while phone.processes() and time.monotonic() < end:
        time.sleep(0.1)
    return phone.processes() == []


def mode(path: Path) -> str:
    """How a published file is quantized."""
    return path.stem.rpartition("_")[2]


def converted(function, shape=(1, 8, 8, 4)) -> benchmark.Subject:
    """A file of TensorFlow ops, with random rows."""
    import tensorflow as tf

    traced = tf.function(function, input_signature=[tf.TensorSpec(shape, tf.float32)])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([traced.get_concrete_function()])
    content = converter.convert()
    rows = np.random.default_rng(0).random((2, *shape[1:]), np.float32)
    return benchmark.Subject("made.tflite", len(content), content, (rows,), None)
