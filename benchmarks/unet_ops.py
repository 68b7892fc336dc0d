"""Finds where the time of the factored U-Net goes, by running each op of its files by itself.

    python benchmarks/unet_ops.py

The network is that of `unet_forms.py`. LiteRT for Python has no op profile, so every op is cut out
into a file of its own and timed with 2 threads. The sum is compared with the time of the whole
file.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from environment import environment
from unet_forms import THREADS, images, network

from fr_bench.benchmark.profile import alone
from fr_keras import tflite
from fr_keras.tflite.file import flatbuffer

RUNS = 15


def seconds(content: bytes) -> float:
    interpreter = Interpreter(model_content=content, num_threads=THREADS)
    interpreter.allocate_tensors()
    times = []
    for run in range(3 + RUNS):
        begin = time.perf_counter()
        interpreter.invoke()
        if run >= 3:
            times.append(time.perf_counter() - begin)
    return float(np.median(times))


def profile(content: bytes) -> list[dict]:
    model, rows = flatbuffer.read(content), []
    graph = model.subgraphs[0]
    for op in graph.operators:
        kind = flatbuffer.op_name(model.operatorCodes[op.opcodeIndex])
        shapes = [[*map(int, graph.tensors[n].shape)] for n in (*op.inputs, *op.outputs) if n >= 0]
        row = {"op": kind, "shapes": shapes, "milliseconds": 1000 * seconds(alone(model, op))}
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    model, files = network(), []
    for mode in ("float32", "int8"):
        done = tflite.convert(model, quantize=mode, calibration=images(4, 9), form="factored")
        rows = profile(done.content)
        whole = 1000 * seconds(done.content)
        files.append({"mode": mode, "milliseconds": whole, "ops": rows})
        print(mode, f"{whole:.0f} ms, ops alone {sum(row['milliseconds'] for row in rows):.0f} ms")
        for row in sorted(rows, key=lambda row: -row["milliseconds"])[:12]:
            print(f"  {row['milliseconds']:6.1f} ms {row['op']} {row['shapes']}", flush=True)
    result = {"benchmark": "unet_ops", "environment": environment(), "files": files}
    (arguments.out / "unet_ops.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
