"""Runs one .tflite file: a separate program, for every machine with numpy and LiteRT.

    python _worker.py FOLDER

It imports nothing from fr_keras, so that it runs under emulation and on other machines. It is a
process of its own, so that a crash ends nothing else and its peak memory is that of one file.

FOLDER holds `model.tflite`, `inputs.npz` with the arrays `0`, `1`, ... (rows first, in the file's
own types) and `request.json`: `delegate` (`none`, `xnnpack` or `gpu`), `precision` of a GPU,
`threads`, `runs` and `warmup` (0 runs: no times). It writes `answer.json`, and `outputs.npz` in the
same way as the inputs, without outputs whose shape changes from row to row. If the request has
`singles`, the names and inputs of single ops in `op0.tflite`, `op1.tflite`, ..., it times these
instead, on the values that they get in the file. LiteRT's own messages are on stderr.
"""

import json
import platform
import re
import sys
import time
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

#: Where Linux shows the counters of energy of a processor (RAPL).
POWERCAP = Path("/sys/class/powercap")
#: The counters change about once in a millisecond.
LEAST_SECONDS = 0.1


class CpuModel:
    """A file in LiteRT's interpreter, for inputs with the shapes of `row`.

    With `keep`, every tensor keeps its value, so that `tensor` can read it.
    """

    def __init__(
        self, content: bytes, delegate: str, threads: int, row: list[np.ndarray], keep: bool = False
    ):
        resolvers = {
            "none": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            "xnnpack": OpResolverType.AUTO,
        }
        self._interpreter = Interpreter(
            model_content=content,
            num_threads=threads,
            experimental_op_resolver_type=resolvers[delegate],
            experimental_preserve_all_tensors=keep,
        )
        self._inputs = self._interpreter.get_input_details()
        for one, part in zip(self._inputs, row, strict=True):
            shape = whole(part, one).shape
            if shape != tuple(one["shape"]):
                self._interpreter.resize_tensor_input(one["index"], shape)
        self._interpreter.allocate_tensors()
        self._outputs = [one["index"] for one in self._interpreter.get_output_details()]

    def write(self, row: list[np.ndarray]) -> None:
        for one, part in zip(self._inputs, row, strict=True):
            self._interpreter.set_tensor(one["index"], whole(part, one))

    def invoke(self) -> None:
        self._interpreter.invoke()

    def read(self) -> list[np.ndarray]:
        return [self.tensor(index) for index in self._outputs]

    def tensor(self, index: int) -> np.ndarray:
        found = self._interpreter.get_tensor(index)
        return found.astype(np.bytes_) if found.dtype == object else found  # strings

    def ops(self) -> dict:
        """Returns which ops a delegate took: those between its inputs and its outputs."""
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


class GpuModel:
    """A file on LiteRT's GPU accelerator, and on its CPU kernels for ops that the GPU refuses."""

    def __init__(self, path: Path, precision: str, threads: int):
        # Not every LiteRT has it, and the other delegates need only the interpreter.
        from ai_edge_litert import compiled_model as litert

        both = litert.HardwareAccelerator.GPU | litert.HardwareAccelerator.CPU
        options = litert.Options(
            hardware_accelerators=both,
            cpu_options=litert.CpuOptions(num_threads=threads),
            gpu_options=litert.GpuOptions(enforce_f32=precision == "float32"),
        )
        self._model = litert.CompiledModel.from_file(str(path), options=options)
        signature = self._model.get_signature_by_index(0)
        key = signature["key"]
        graph = Interpreter(str(path))
        self._input_buffers = self._model.create_input_buffers(0)
        self._output_buffers = self._model.create_output_buffers(0)
        # A signature lists its tensors in another order than the graph.
        self._inputs = _in_order(
            graph.get_input_details(),
            self._model.get_input_tensor_details(key),
            dict(zip(signature["inputs"], self._input_buffers, strict=True)),
        )
        self._outputs = _in_order(
            graph.get_output_details(),
            self._model.get_output_tensor_details(key),
            dict(zip(signature["outputs"], self._output_buffers, strict=True)),
        )

    def write(self, row: list[np.ndarray]) -> None:
        for (_, buffer), part in zip(self._inputs, row, strict=True):
            # As bytes, because the buffers of LiteRT for Python do not know int16.
            buffer.write(np.frombuffer(part.tobytes(), np.int8))

    def invoke(self) -> None:
        self._model.run_by_index(0, self._input_buffers, self._output_buffers)
        # A GPU has done its work only when its outputs can be read, so times include reading.
        self._found = [_read(buffer, one) for one, buffer in self._outputs]

    def read(self) -> list[np.ndarray]:
        return self._found


def whole(part: np.ndarray, tensor: dict) -> np.ndarray:
    """Returns a row as a tensor takes it: with an axis in front, unless it already fits."""
    return part[None] if part.ndim == len(tensor["shape"]) - 1 else part


def joined(parts: list[np.ndarray]) -> np.ndarray | None:
    """Joins one output of several rows; `None` if its shape changes from row to row."""
    if len({part.shape for part in parts}) > 1:
        return None
    rows = parts[0].shape[:1] == (1,)
    return np.concatenate(parts) if rows else np.stack(parts)


def _in_order(tensors: list[dict], details: dict, buffers: dict) -> list[tuple[dict, object]]:
    """The tensors in the graph's order, each with its buffer from the signature."""
    by_index = {details[name]["index"]: buffer for name, buffer in buffers.items()}
    return [(one, by_index[one["index"]]) for one in tensors]


def _read(buffer, tensor: dict) -> np.ndarray:
    kind, shape = np.dtype(tensor["dtype"]), tensor["shape"]
    return buffer.read(int(np.prod(shape)) * kind.itemsize, np.int8).view(kind).reshape(shape)


def memory(name: str) -> int:
    """Returns the bytes of `VmRSS`, held now, or of `VmHWM`, the peak since `forget_peak`."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)[1])


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def model_of(path: Path, request: dict, row: list[np.ndarray]):
    if request["delegate"] == "gpu":
        return GpuModel(path, request["precision"], request["threads"])
    return CpuModel(path.read_bytes(), request["delegate"], request["threads"], row)


def energies(folder: Path = POWERCAP) -> dict[str, tuple[int, int]]:
    """Returns the counters of all packages of the processor in microjoules, and where each begins
    again; nothing if one of them cannot be read."""
    found = {}
    try:
        for one in folder.glob("intel-rapl:*"):
            if (one / "name").read_text().startswith("package"):
                names = ("energy_uj", "max_energy_range_uj")
                found[one.name] = tuple(int((one / name).read_text()) for name in names)
    except (OSError, ValueError):  # most systems show them to root alone
        return {}
    return found


def milliwatts(before: dict, after: dict, seconds: float) -> float | None:
    """Returns the mean power between two readings; `None` if they do not tell it."""
    if not before or {*before} != {*after} or seconds < LEAST_SECONDS:
        return None
    used = [after[name][0] - before[name][0] for name in before]
    used = [one + (one < 0) * after[name][1] for name, one in zip(before, used, strict=True)]
    return round(sum(used) / seconds / 1000, 1) if min(used) > 0 else None


def timed(model, runs: int, warmup: int) -> dict:
    """Returns the microseconds of each inference, without writing and reading tensors, and what
    the timed ones took of the processor."""
    times = []
    for number in range(1 + warmup + runs):
        if number == 1 + warmup:
            counters, used, started = energies(), time.process_time(), time.perf_counter()
        begin = time.perf_counter_ns()
        model.invoke()
        times.append((time.perf_counter_ns() - begin) / 1000)
    seconds, used = time.perf_counter() - started, time.process_time() - used
    return {
        "first_us": times[0],
        "times_us": times[1 + warmup :],
        "cpu_use": round(used / seconds, 3),
        "milliwatts": milliwatts(counters, energies(), seconds),
    }


def singles(folder: Path, request: dict, row: list[np.ndarray]) -> list[dict]:
    """Returns the microseconds of each single op, or the reason why it did not run."""
    file = CpuModel((folder / "model.tflite").read_bytes(), "none", request["threads"], row, True)
    file.write(row)
    file.invoke()
    answers = []
    for number, (name, inputs) in enumerate(request["singles"]):
        # After a crash, the last of these lines says where it happened.
        print(f"op {number}: {name}", file=sys.stderr, flush=True)
        try:
            values = [file.tensor(index) for index in inputs]
            content = (folder / f"op{number}.tflite").read_bytes()
            model = CpuModel(content, request["delegate"], request["threads"], values)
            model.write(values)
            answers.append({"us": timed(model, request["runs"], request["warmup"])["times_us"]})
        except (RuntimeError, ValueError) as error:
            answers.append({"error": str(error)})
    return answers


def measured(folder: Path, request: dict, inputs: list[np.ndarray]) -> tuple[dict, list]:
    """Returns the measurements of a file, and its outputs, row by row."""
    row = [part[0] for part in inputs]
    if request["runs"]:
        forget_peak()
    before, begin = memory("VmRSS"), time.perf_counter_ns()
    model = model_of(folder / "model.tflite", request, row)
    init_us = (time.perf_counter_ns() - begin) / 1000
    answer = {}
    if request["runs"]:
        model.write(row)
        answer |= {"init_us": init_us, **timed(model, request["runs"], request["warmup"])}
        answer["peak_memory_bytes"] = memory("VmHWM") - before
        # A new model, because timed runs leave values in a file's variables.
        del model
        model = model_of(folder / "model.tflite", request, row)
    if request["delegate"] == "xnnpack":
        answer["ops"] = model.ops()
    rows = []
    for row in zip(*inputs, strict=True):
        model.write(list(row))
        model.invoke()
        rows.append(model.read())
    return answer, [joined(list(parts)) for parts in zip(*rows, strict=True)]


def work(folder: Path) -> None:
    request = json.loads((folder / "request.json").read_text())
    with np.load(folder / "inputs.npz") as held:
        inputs = [held[str(n)] for n in range(len(held.files))]
    if "singles" in request:
        answer, outputs = {"singles": singles(folder, request, [part[0] for part in inputs])}, []
    else:
        answer, outputs = measured(folder, request, inputs)
    kept = {str(n): one for n, one in enumerate(outputs) if one is not None}
    np.savez(folder / "outputs.npz", **kept)
    answer |= {"machine": platform.machine(), "outputs": len(outputs)}
    (folder / "answer.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    work(Path(sys.argv[1]))
