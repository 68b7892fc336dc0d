"""Describes the machine and the packages of a measurement."""

import contextlib
import os
import platform
from importlib.metadata import PackageNotFoundError, version

import keras

from fr_bench.benchmark import processor


def environment() -> dict:
    """Returns the machine's kind, its processor with the instruction sets that decide the speed of
    kernels, and the versions that decide a result; no host names, no paths."""
    return {
        "machine": platform.machine(),
        **processor.describe(),
        "cores": len(os.sched_getaffinity(0)),
        "device": device(),
        "backend": keras.backend.backend(),
        "python": platform.python_version(),
        **versions(*{"tensorflow", keras.backend.backend()}, "keras", "ai-edge-litert", "numpy"),
    }


def device() -> str:
    """Returns the name of the GPU that Keras computes with, or `CPU`."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        first = jax.devices()[0]
        return "CPU" if first.platform == "cpu" else first.device_kind
    if backend == "torch":
        import torch

        return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        return tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")
    return "CPU"


def versions(*names: str) -> dict[str, str]:
    """Returns the versions of those packages that are installed."""
    found = {}
    for name in names:
        with contextlib.suppress(PackageNotFoundError):  # without TensorFlow, or without LiteRT
            found[name] = version(name)
    return found
