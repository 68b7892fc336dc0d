"""Do patterns of zeros pay? Bytes and latency of files at the same number of kept weights.

    python benchmarks/sparse_patterns.py

A pattern says which weights of a random kernel are kept: the largest ones anywhere, the largest 2
or 1 of every 4 neighbours along the inputs or the outputs (2:4, 1:4), or whole blocks of 4
neighbours. Each network is stored densely and with TensorFlow's sparse tensors
(`Optimize.EXPERIMENTAL_SPARSITY`), in float32 and in int8. Archives hold FR layers, so a pruned
network has none; `mask_bytes` is what an ideal coder needs for the places of the kept weights.

XNNPACK has sparse kernels for 1x1 convolutions of float networks that begin with a 3x3 convolution
of stride 2 and end in a mean; `pointwise` is such a network. LiteRT also has some for dense layers.
All files of one network and mode run in turn, with 2 threads, and a ratio of latencies compares
medians from the same time. A file that LiteRT refuses has the reason instead.
"""

import argparse
import gzip
import json
import math
import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from environment import environment
from keras import layers as kl
from timing import median_seconds

from fr_keras import tflite

GROUP = 4
FILES = ("dense", "sparse")  # how tensors are stored


def pointwise(width: int) -> keras.Model:
    # An odd size, so that "same" pads one pixel on each side, as the sparse kernels want it.
    image = x = keras.Input((97, 97, 3), batch_size=1)
    x = kl.Conv2D(32, 3, strides=2, padding="same", activation="relu")(x)
    for number in range(4):
        x = kl.DepthwiseConv2D(3, padding="same", activation="relu")(x)
        x = kl.Conv2D(width, 1, activation="relu", name=f"pruned_{number}")(x)
    return keras.Model(image, kl.GlobalAveragePooling2D()(x))


def dense(width: int) -> keras.Model:
    vector = x = keras.Input((width,), batch_size=1)
    for number in range(3):
        x = kl.Dense(width, activation="relu", name=f"pruned_{number}")(x)
    return keras.Model(vector, x)


NETWORKS = {"pointwise": pointwise, "dense": dense}


def anywhere(sizes: np.ndarray, density: float) -> np.ndarray:
    return sizes >= np.quantile(sizes, 1 - density)


def of_each_group(sizes: np.ndarray, density: float) -> np.ndarray:
    """Keeps as many of every 4 neighbours along the first axis."""
    grouped = sizes.reshape(-1, GROUP, sizes.shape[-1])
    order = np.argsort(np.argsort(-grouped, axis=1), axis=1)
    return (order < round(density * GROUP)).reshape(sizes.shape)


def blocks(sizes: np.ndarray, density: float) -> np.ndarray:
    """Keeps whole blocks of 4 neighbours along the first axis."""
    sums = sizes.reshape(-1, GROUP, sizes.shape[-1]).sum(axis=1)
    return np.repeat(anywhere(sums, density), GROUP, axis=0)


def along_outputs(pattern: Callable) -> Callable:
    return lambda sizes, density: pattern(sizes.T, density).T


#: name -> (mask of a matrix of inputs and outputs, the densities that it has)
PATTERNS = {
    "whole": (anywhere, (1.0,)),
    "anywhere": (anywhere, (0.5, 0.25, 0.2, 0.1)),
    "n:4 of the inputs": (of_each_group, (0.5, 0.25)),
    "n:4 of the outputs": (along_outputs(of_each_group), (0.5, 0.25)),
    "blocks of 4 inputs": (blocks, (0.5, 0.25, 0.2, 0.1)),
    "blocks of 4 outputs": (along_outputs(blocks), (0.5, 0.25, 0.2, 0.1)),
}


def mask_bits(pattern: str, density: float) -> float:
    """The bits per weight that tell which weights are kept."""
    if pattern.startswith("n:4"):
        return math.log2(math.comb(GROUP, round(density * GROUP))) / GROUP
    shares = [share for share in (density, 1 - density) if share]
    entropy = -sum(share * math.log2(share) for share in shares)
    return entropy / GROUP if pattern.startswith("blocks") else entropy


def pruned(network: str, width: int, pattern: Callable, density: float) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = NETWORKS[network](width)
    for layer in model.layers:
        if layer.name.startswith("pruned"):
            kernel = layer.kernel.numpy()
            matrix = kernel.reshape(-1, kernel.shape[-1])
            mask = pattern(np.abs(matrix), density)
            layer.kernel.assign(np.where(mask, matrix, 0).reshape(kernel.shape))
    return model


def converted(model: keras.Model, mode: str, stored: str) -> bytes:
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = []
    if mode == "int8":
        rows = np.random.default_rng(0).random((8, *model.input_shape), np.float32)
        converter.optimizations.append(tf.lite.Optimize.DEFAULT)
        converter.representative_dataset = lambda: ([row] for row in rows)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    if stored == "sparse":
        converter.optimizations.append(tf.lite.Optimize.EXPERIMENTAL_SPARSITY)
    return converter.convert()


def measure(network: str, mode: str, width: int, rounds: int) -> list[dict]:
    rows, runners = [], {}
    for name, (pattern, densities) in PATTERNS.items():
        for density in densities:
            model = pruned(network, width, pattern, density)
            row = {"network": network, "mode": mode, "pattern": name, "density": density}
            kernels = [x.kernel.numpy() for x in model.layers if x.name.startswith("pruned")]
            row["kept"] = sum(int(np.count_nonzero(one)) for one in kernels)
            size = sum(one.size for one in kernels)
            row["mask_bytes"] = round(size * mask_bits(name, density) / 8)
            for stored in FILES:
                content = converted(model, mode, stored)
                row[stored] = {"bytes": len(content), "gzip_bytes": len(gzip.compress(content))}
                try:
                    runners[len(rows), stored] = tflite.Runner(content, threads=2)
                except ValueError as error:
                    row[stored]["does_not_run"] = str(error)
            rows.append(row)
    return timed(rows, runners, rounds)


def timed(rows: list[dict], runners: dict, rounds: int) -> list[dict]:
    seconds = median_seconds({k: lambda r=r: r.latency(5, 1) for k, r in runners.items()}, rounds)
    whole = seconds[0, "dense"]
    for number, row in enumerate(rows):
        for stored in FILES:
            if (number, stored) in seconds:
                row[stored]["latency_of_whole"] = seconds[number, stored] / whole
        print(row, flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--width", type=int, default=256, help="channels, a multiple of 4")
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    rows = [
        row
        for network in NETWORKS
        for mode in ("float32", "int8")
        for row in measure(network, mode, arguments.width, arguments.rounds)
    ]
    result = {
        "benchmark": "sparse_patterns",
        "environment": environment(),
        "width": arguments.width,
        "rows": rows,
    }
    (arguments.out / "sparse_patterns.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
