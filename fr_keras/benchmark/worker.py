"""Runs one .tflite file: a program of its own, for every machine with numpy and LiteRT.

    python worker.py FOLDER

It imports nothing of fr_keras, so that it runs under emulation and on other machines, and it is a
process of its own, so that a crash ends it alone and its peak memory is that of one file.

FOLDER holds `model.tflite`, `inputs.npz` with the arrays `0`, `1`, ... (rows first, in the file's
own types) and `request.json`: `delegate` (`none`, `xnnpack` or `gpu`), `threads`, `runs` and
`warmup` (0 runs: no times). It writes `outputs.npz` alike, and `answer.json`. What LiteRT itself
says is on stderr.
"""

import json
import platform
import re
import sys
import time
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType


class CpuModel:
    """A file on LiteRT's interpreter."""

    def __init__(self, content: bytes, delegate: str, threads: int):
        resolvers = {
            "none": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            "xnnpack": OpResolverType.AUTO,
        }
        self._interpreter = Interpreter(
            model_content=content,
            num_threads=threads,
            experimental_op_resolver_type=resolvers[delegate],
        )
        self._interpreter.allocate_tensors()
        self._inputs = [one["index"] for one in self._interpreter.get_input_details()]
        self._outputs = [one["index"] for one in self._interpreter.get_output_details()]

    def write(self, row: list[np.ndarray]) -> None:
        for index, part in zip(self._inputs, row, strict=True):
            self._interpreter.set_tensor(index, part[None])

    def invoke(self) -> None:
        self._interpreter.invoke()

    def read(self) -> list[np.ndarray]:
        return [self._interpreter.get_tensor(index)[0] for index in self._outputs]

    def ops(self) -> dict:
        """Which ops a delegate took: those between its inputs and its outputs."""
        nodes = self._interpreter._get_ops_details()
        delegates = [node for node in nodes if node["op_name"] == "DELEGATE"]
        own = [node for node in nodes if node["op_name"] != "DELEGATE"]
        maker = {int(out): node["index"] for node in own for out in node["outputs"]}
        inputs = {node["index"]: [int(n) for n in node["inputs"]] for node in own}
        taken = set()
        for delegate in delegates:
            given = {int(n) for n in delegate["inputs"]}
            wanted = [int(n) for n in delegate["outputs"]]
            while wanted:
                node = maker.get(wanted.pop())
                if node is not None and node not in taken:
                    taken.add(node)
                    wanted += [n for n in inputs[node] if n not in given]
        refused: dict[str, int] = {}
        for node in own:
            if node["index"] not in taken:
                refused[node["op_name"]] = refused.get(node["op_name"], 0) + 1
        return {
            "total": len(own),
            "delegated": len(taken),
            "partitions": len(delegates),
            "refused": refused,
        }


def memory(name: str) -> int:
    """Bytes of `VmRSS`, held now, or `VmHWM`, the most since the peak was forgotten."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)[1])


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def model_of(path: Path, request: dict):
    if request["delegate"] == "gpu":
        raise ValueError("no GPU here yet")
    return CpuModel(path.read_bytes(), request["delegate"], request["threads"])


def timed(model, runs: int, warmup: int) -> dict:
    """Microseconds of each inference, without writing and reading tensors."""
    times = []
    for _ in range(1 + warmup + runs):
        begin = time.perf_counter_ns()
        model.invoke()
        times.append((time.perf_counter_ns() - begin) / 1000)
    return {"first_us": times[0], "times_us": times[1 + warmup :]}


def work(folder: Path) -> None:
    request = json.loads((folder / "request.json").read_text())
    with np.load(folder / "inputs.npz") as held:
        inputs = [held[str(n)] for n in range(len(held.files))]
    if request["runs"]:
        forget_peak()
    before, begin = memory("VmRSS"), time.perf_counter_ns()
    model = model_of(folder / "model.tflite", request)
    init_us = (time.perf_counter_ns() - begin) / 1000
    answer = {"machine": platform.machine()}
    if request["runs"]:
        model.write([part[0] for part in inputs])
        answer |= {"init_us": init_us, **timed(model, request["runs"], request["warmup"])}
        answer["peak_memory_bytes"] = memory("VmHWM") - before
    if request["delegate"] != "none":
        answer["ops"] = model.ops()
    rows = []
    for row in zip(*inputs, strict=True):
        model.write(list(row))
        model.invoke()
        rows.append(model.read())
    outputs = {str(n): np.stack(parts) for n, parts in enumerate(zip(*rows, strict=True))}
    np.savez(folder / "outputs.npz", **outputs)
    (folder / "answer.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    work(Path(sys.argv[1]))
