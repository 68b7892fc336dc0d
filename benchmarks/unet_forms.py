"""Measures bytes, latency and memory of the forms of the paper's U-Net.

    python benchmarks/unet_forms.py

The network has 33 random coefficients per layer, and images have 640x960 pixels. Each file runs
with LiteRT in processes of its own, and the files run in turn, so that a ratio compares runs from
the same time. Memory is the peak resident set of the process minus that of one that only imports
LiteRT. The coefficients are random, because accuracy is not the subject. `traffic_megabytes` counts
the activations that the ops read and write. `copy_seconds` is the time for copying as much in
blocks of 16 MB, which a large cache may hold. Rows with `memory` are files that `convert` made for
less memory; they are compared with the same form without.
"""

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SHAPE = (640, 960, 3)
KEPT = 33
THREADS = 2
# (form, mode, memory) -> inferences a round
FILES = {
    ("dense", "float32", None): 1,
    ("dense", "int8", None): 3,
    ("factored", "float32", None): 5,
    ("factored", "float32", "auto"): 5,
    ("factored", "float16", None): 5,
    ("factored", "int8", None): 10,
    ("factored", "int8", "auto"): 10,
}


def network(shape: tuple[int, int, int] = SHAPE):
    import keras

    from fr_keras import interop, regularize, zoo
    from fr_keras.models.walk import frequency_layers

    keras.utils.set_random_seed(0)
    plain = zoo.unet(shape)
    kernels = [layer.name for layer in plain.layers if hasattr(layer, "kernel")]
    model = regularize(plain, start=dict.fromkeys(kernels, KEPT))
    rng = np.random.default_rng(0)
    for layer in frequency_layers(model):
        layer.set_coefficients(rng.normal(size=layer.coefficients.shape))
    interop.calibrate_batch_norm(model, (images(1, seed, shape) for seed in range(2)))
    return model


def images(rows: int, seed: int, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).random((rows, *shape), np.float32)


def convert_all(folder: Path) -> dict[tuple[str, str, str | None], Path]:
    from fr_keras import tflite

    model, paths = network(), {}
    for key in FILES:
        form, mode, memory = key
        paths[key] = folder / f"{form}_{mode}_{memory}.tflite"
        done = tflite.convert(
            model,
            paths[key],
            quantize=mode,
            calibration=images(4, 9),
            form=form,
            memory=memory,
        )
        print(f"{form}, memory {memory}: {done}", flush=True)
    return paths


def worker(path: str, runs: int) -> dict:
    """Seconds of each inference and peak megabytes of this process."""
    from ai_edge_litert.interpreter import Interpreter

    baseline = peak_megabytes()
    interpreter = Interpreter(model_path=path, num_threads=THREADS)
    interpreter.allocate_tensors()
    times = []
    for run in range(1 + runs):
        begin = time.perf_counter()
        interpreter.invoke()
        if run:
            times.append(time.perf_counter() - begin)
    return {"seconds": times, "peak_megabytes": peak_megabytes() - baseline}


def traffic(content: bytes) -> float:
    """Megabytes of activations that the ops of a file read and write."""
    from fr_keras.tflite.file import flatbuffer

    model, total = flatbuffer.read(content), 0
    graph = model.subgraphs[0]
    widths = {0: 4, 1: 2, 2: 4, 9: 1}  # float32, float16, int32, int8
    for op in graph.operators:
        for tensor in (
            graph.tensors[number] for number in (*op.inputs, *op.outputs) if number >= 0
        ):
            if model.buffers[tensor.buffer].data is None:
                total += int(np.prod(tensor.shape)) * widths[tensor.type]
    return total / 1e6


def copy_seconds(megabytes: float) -> float:
    """Seconds to read and write as much in all: each thread copies a block."""
    import concurrent.futures

    block = np.ones(16_000_000, np.uint8)
    targets = [np.empty_like(block) for _ in range(THREADS)]
    times = []
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        for _ in range(20):
            begin = time.perf_counter()
            list(pool.map(lambda target: np.copyto(target, block), targets))
            times.append(time.perf_counter() - begin)
    return float(np.median(times)) * megabytes / (THREADS * 32)


def peak_megabytes() -> float:
    # Not getrusage: its peak is that of the parent where the parent was larger.
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1000


def measured(paths: dict, runs: dict, rounds: int) -> dict[object, list[dict]]:
    """What the workers of each file say, a round after another."""
    found = {key: [] for key in paths}
    for _ in range(rounds):
        for key, path in paths.items():
            command = [sys.executable, __file__, "--worker", str(path), str(runs[key])]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found[key].append(json.loads(done.stdout.splitlines()[-1]))
    return found


def measure(paths: dict, rounds: int) -> list[dict]:
    found = measured(paths, FILES, rounds)
    return [row(key, paths, found) for key in paths]


def row(key: tuple[str, str, str | None], paths: dict, found: dict) -> dict:
    """The measurements of one file, beside those of the files that it is compared with."""
    from fr_keras import tflite

    form, mode, memory = key
    content = paths[key].read_bytes()
    before, dense = (form, mode, None), ("dense", mode, None)
    result = {
        "form": form,
        "mode": mode,
        "memory": memory,
        "bytes": len(content),
        "gzip_bytes": len(gzip.compress(content, mtime=0)),
        "seconds": seconds(found[key]),
        "peak_megabytes": float(np.median([one["peak_megabytes"] for one in found[key]])),
        "expected_peak_megabytes": round(tflite.inspect(content).memory.total / 1e6, 1),
        "traffic_megabytes": round(traffic(content)),
    }
    result["copy_seconds"] = copy_seconds(result["traffic_megabytes"])
    if dense in found:
        times = seconds(found[dense]) / result["seconds"]
        result["times_faster_than_dense"] = round(times, 1)
    if key != before:
        times = seconds(found[before]) / result["seconds"]
        result["times_faster_than_before"] = round(times, 2)
        result["bytes_more_than_before"] = len(content) - paths[before].stat().st_size
        result["same_outputs_as_before"] = same_outputs(content, paths[before].read_bytes())
    print(result, flush=True)
    return result


def seconds(parts: list[dict]) -> float:
    return float(np.median([one for part in parts for one in part["seconds"]]))


def same_outputs(content: bytes, before: bytes) -> bool:
    """Whether two files give the same bits for an image."""
    from fr_keras import tflite

    one, two = (tflite.run(file, images(1, 7), THREADS) for file in (content, before))
    return bool((one == two).all())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worker", nargs=2, metavar=("FILE", "RUNS"), help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    if arguments.worker:
        print(json.dumps(worker(arguments.worker[0], int(arguments.worker[1]))))
        return
    from environment import environment

    with tempfile.TemporaryDirectory() as folder:
        rows = measure(convert_all(Path(folder)), arguments.rounds)
    result = {
        "benchmark": "unet_forms",
        "environment": environment(),
        "input": SHAPE,
        "kept_per_layer": KEPT,
        "threads": THREADS,
        "rows": rows,
    }
    (arguments.out / "unet_forms.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
