"""What the tests are under JAX and PyTorch: the conformance suite, and what it needs of each.

`KERAS_BACKEND=jax pytest tests` collects the files of `FILES` alone. Run as a program, this module
does that for each of the two that is installed.
"""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import ops

from fr_keras._backends import backend

BACKEND = keras.backend.backend()

#: The files, without `test_` and `.py`, that run under every backend.
FILES = (
    "activation_pruning",
    "archive_agreement",
    "archive_biases",
    "archive_configs",
    "archive_cosines",
    "archive_keras",
    "archive_kernels",
    "archive_layers",
    "archive_quantization",
    "archive_search",
    "archive_seeds",
    "backends",
    "bands",
    "batch_norm",
    "calibration",
    "capacity",
    "chain_costs",
    "channel_surgery",
    "channels",
    "compact",
    "criteria",
    "elm",
    "factored",
    "float_bits",
    "freqnet",
    "goldens",
    "interop",
    "joins",
    "layers",
    "load_freqnet",
    "magnitude",
    "magnitude_fits",
    "metrics",
    "nest",
    "odd_graphs",
    "order_suggested",
    "ordering",
    "own_layers",
    "quantize_kernels",
    "quantizers",
    "rank_shares",
    "ranking",
    "ranking_refusals",
    "rate_training",
    "regularize_bake",
    "relevance",
    "ridge",
    "rounding",
    "schedules",
    "seeded_signs",
    "selection",
    "soft_filters",
    "sparse_low_rank",
    "spectral",
    "splits",
    "summary",
    "truncation",
    "truncation_end",
    "tucker",
    "tucker_ranks",
    "twins",
    "whole_steps",
    "zigzag",
    "zoo",
)


def not_under(backend: str, reason: str) -> pytest.MarkDecorator:
    """Marks a test, or a parameter of one, that cannot run under one backend."""
    return pytest.mark.skipif(backend == BACKEND, reason=f"not under {backend}: {reason}")


def tensorflow_alone(reason: str) -> pytest.MarkDecorator:
    """Marks a test that cannot run under another backend."""
    return pytest.mark.skipif(BACKEND != "tensorflow", reason=f"TensorFlow alone: {reason}")


no_executions = not_under("torch", "Keras has only `steps_per_execution=1` there")
float64 = tensorflow_alone("JAX has no float64, and Keras multiplies in float32 under PyTorch")


def compiled(function: Callable) -> Callable:
    """The function, compiled by XLA; PyTorch computes as it is called."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=True)
    if BACKEND == "jax":
        import jax

        return jax.jit(function)
    return function


def batched(arrays, size: int):
    """A data set of the backend's own kind; JAX has none, and takes that of TensorFlow or this."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.data.Dataset.from_tensor_slices(arrays).batch(size)
    if BACKEND == "torch":
        import torch

        arrays = arrays if isinstance(arrays, tuple) else (arrays,)
        rows = torch.utils.data.TensorDataset(*map(torch.tensor, arrays))
        return torch.utils.data.DataLoader(rows, batch_size=size)
    rows = len(keras.tree.flatten(arrays)[0])
    return [
        keras.tree.map_structure(lambda one, start=start: one[start : start + size], arrays)
        for start in range(0, rows, size)
    ]


def gradients(function: Callable, *inputs, upstream=1.0) -> tuple[np.ndarray, list[np.ndarray]]:
    """The values of a function, and the gradients of `sum(values * upstream)` by its inputs."""
    values, back = backend.pullback(function, [ops.convert_to_tensor(one) for one in inputs])
    above = np.broadcast_to(upstream, values.shape)
    found = back(ops.convert_to_tensor(above, keras.backend.standardize_dtype(values.dtype)))
    return ops.convert_to_numpy(values), [ops.convert_to_numpy(one) for one in found]


if __name__ == "__main__":
    for name in ("jax", "torch"):
        if importlib.util.find_spec(name) is None:
            print(f"{name} is not installed: the tests do not run under it")
            continue
        command = [sys.executable, "-m", "pytest", "tests", "-m", "not slow", *sys.argv[1:]]
        environment = {**os.environ, "KERAS_BACKEND": name}
        subprocess.run(command, env=environment, check=True)
