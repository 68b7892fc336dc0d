#!/system/bin/arm64-python
"""Replaces Android's `benchmark_model` on a loopback device, with its arguments and its output.

The model really runs, on the ARM64 kernels of LiteRT, so its outputs are real. There is no GPU, NPU
or NNAPI behind it: it says about these delegates what `SETTINGS` asks for, and the CPU computes.
Its times are those of an emulator and mean nothing.
"""

import os
import struct
import sys
import time

#: How it behaves; `loopback.tool` writes others.
SETTINGS = {"dialect": "classic", "build": "new", "prefix": "", "delegation": "full", "fault": ""}

COMMON = (
    *("graph", "num_runs", "min_secs", "max_secs", "run_delay", "num_threads", "warmup_runs"),
    *("warmup_min_secs", "verbose", "dry_run", "require_full_delegation"),
)
CLASSIC = ("use_xnnpack", "use_gpu", "use_nnapi", "nnapi_accelerator_name", "enable_op_profiling")
CLASSIC_NEW = (
    *("input_layer", "input_layer_shape", "input_layer_value_range", "input_layer_value_files"),
    *("output_filepath", "signature_to_run_for", "gpu_precision_loss_allowed"),
)
LITERT = ("use_cpu", "use_gpu", "use_npu", "gpu_backend", "allow_fp16", "signature_to_run_for")
LITERT_NEW = (
    *("dispatch_library_path", "compiler_plugin_library_path", "use_profiler"),
    *("result_file_path", "model_runtime_info_output_file"),
)
NAMES = {
    "xnnpack": ("XNNPACK", "TfLiteXNNPackDelegate"),
    "gpu": ("GPU", "TfLiteGpuDelegateV2"),
    "nnapi": ("NNAPI", "TfLiteNnapiDelegate"),
    "npu": ("NPU", "DispatchDelegate"),
}
GPU_REFUSES = "TRANSPOSE_CONV: Max version supported: 3. Requested version 4."


def say(text: str, level: str = "INFO", source: str = "") -> None:
    """Prints as the tool does, or as the log of Android shows it."""
    if SETTINGS["prefix"] == "logcat":
        text = f"01-11 23:28:59.026  7651  7651 {level[0]} tflite  : {text}"
    elif SETTINGS["prefix"]:
        text = f"{level}: {source}{text}"
    print(text, flush=True)


def flags_of() -> tuple[str, ...]:
    old, new = (LITERT, LITERT_NEW) if SETTINGS["dialect"] == "litert" else (CLASSIC, CLASSIC_NEW)
    return COMMON + old + (new if SETTINGS["build"] == "new" else ())


def usage() -> None:
    lines = [f"\t{f'--{name}=':<44}\tstring\toptional\tabout it\n" for name in flags_of()]
    say(f"usage: {sys.argv[0]} <flags>\nFlags:\n{''.join(lines)}", "ERROR")


class Statistics:
    """Microseconds, printed as C++ streams print them."""

    def __init__(self, times: list[int]):
        self.times = times
        self.mean = sum(times) / len(times) if times else 0.0

    def percentile(self, percent: int) -> int:
        return sorted(self.times)[min(len(self.times) * percent // 100, len(self.times) - 1)]

    def __str__(self) -> str:
        times, count = self.times, len(self.times)
        if not times:
            return "count=0"
        if min(times) == max(times):
            return f"count={count} curr={times[-1]}" + ("(all same)" if count > 1 else "")
        deviation = int((sum((one - self.mean) ** 2 for one in times) / count) ** 0.5)
        text = f"count={count} first={times[0]} curr={times[-1]} min={min(times)} max={max(times)}"
        text += f" avg={self.mean:g} std={deviation}"
        if SETTINGS["build"] == "new":
            p5, median, p95 = (self.percentile(percent) for percent in (5, 50, 95))
            text += f" p5={p5} median={median} p95={p95}"
        return text


class Model:
    """The graph in LiteRT's interpreter."""

    def __init__(self, path: str, xnnpack: bool, threads: int):
        import numpy
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        resolvers = (OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES, OpResolverType.AUTO)
        self.interpreter = Interpreter(
            path, num_threads=threads, experimental_op_resolver_type=resolvers[xnnpack]
        )
        self.interpreter.allocate_tensors()
        self.numpy = numpy
        self.inputs = self.interpreter.get_input_details()
        # Without the delegate's own nodes, which lie behind the file's.
        names = [op["op_name"] for op in self.interpreter._get_ops_details()]
        self.ops = [name for name in names if name != "DELEGATE"]

    def fill(self, files: list[str]) -> None:
        random = self.numpy.random.default_rng(0)
        for number, one in enumerate(self.inputs):
            if files:
                with open(files[number], "rb") as file:
                    content = file.read()
                values = self.numpy.frombuffer(content, one["dtype"]).reshape(one["shape"])
            else:
                values = random.random(one["shape"]).astype(one["dtype"])
            self.interpreter.set_tensor(one["index"], values)

    def run(self, count: int) -> Statistics:
        times = []
        for _ in range(count):
            begin = time.perf_counter()
            self.interpreter.invoke()
            times.append(int((time.perf_counter() - begin) * 1e6))
        return Statistics(times)

    def write(self, path: str) -> None:
        with open(path, "wb") as file:
            for one in self.interpreter.get_output_details():
                file.write(self.interpreter.get_tensor(one["index"]).tobytes())


def delegate_of(flags: dict) -> str:
    for name in ("npu", "nnapi", "gpu", "xnnpack"):
        if flags.get(f"use_{name}") == "true":
            return name
    return "xnnpack" if SETTINGS["dialect"] == "litert" else "none"


def delegate(name: str, ops: list[str]) -> tuple[list[str], list[str]]:
    """Says what a delegate takes; returns its kernels and the ops that it left."""
    called, inner = NAMES[name]
    how = "full" if name == "xnnpack" else SETTINGS["delegation"]
    say(f"Created TensorFlow Lite {called} delegate for {'CPU' if name == 'xnnpack' else called}.")
    if how == "silent":
        return [], ops
    if how == "refuse":
        say(f"Following operations are not supported by {called} delegate:", "ERROR")
        say(GPU_REFUSES, "ERROR")
        say(f"0 operations will run on the {called}, and the remaining {len(ops)} operations will "
            "run on the CPU.", "ERROR")  # fmt: skip
        say(f"Failed to apply {called} delegate.", "ERROR")
        say("Benchmarking failed.", "ERROR")
        sys.exit(1)
    left = ops[-1:] if how == "partial" else []
    pieces = 2 if left else 1
    say(f"Replacing {len(ops) - len(left)} out of {len(ops)} node(s) with delegate ({inner}) node, "
        f"yielding {pieces} partitions for the whole graph.")  # fmt: skip
    if SETTINGS["dialect"] == "classic":
        amount = "partially" if left else "completely"
        end = " w/ 1 delegate kernels." if left else "."
        say(f"Explicitly applied {called} delegate, and the model graph will be {amount} executed "
            f"by the delegate{end}")  # fmt: skip
    return [inner], left


def profile(nodes: list[str], mean: float) -> None:
    """The tables of the op profile; the mean is shared out among the nodes."""
    counts: dict[str, int] = {}
    for name in nodes:
        counts[name] = counts.get(name, 0) + 1
    each = mean / 1000 / max(sum(counts.values()), 1)
    header = "\t             [Node type]\t  [count]\t  [avg ms]\t    [avg %]\t    [cdf %]"
    header += "\t  [mem KB]\t[times called]"
    for title, rows in (
        ("Profiling Info for Benchmark Initialization:", {"AllocateTensors": 1}),
        ("Operator-wise Profiling Info for Regular Benchmark Runs:", counts),
    ):
        print(title)
        print(f"{'=' * 30} Summary by node type {'=' * 30}")
        print(header)
        for name, count in rows.items():
            print(f"\t{name:>24}\t{count:9d}\t{count * each:10.3f}\t    50.000%\t    50.000%"
                  f"\t     0.000\t{count:9d}")  # fmt: skip
        print(f"\nTimings (microseconds): count=1 curr={int(mean)}\nMemory (bytes): count=0\n")


def varint(value: int) -> bytes:
    content = b""
    while value > 127:
        content, value = content + bytes([value & 127 | 128]), value >> 7
    return content + bytes([value])


def field(number: int, value) -> bytes:
    """A field of a protocol buffer: a float, an integer or a message."""
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def write_result(path: str, init: int, warmup: Statistics, found: Statistics, grown: int) -> None:
    values = [found.mean, *(float(found.percentile(p)) for p in (50, 5, 95)), float(init)]
    numbers = (1, 5, 6, 7, 8)
    latency = b"".join(field(n, v / 1000) for n, v in zip(numbers, values, strict=True))
    if warmup.times:
        latency += field(9, warmup.times[0] / 1000)
    content = field(2, latency) + field(3, field(2, grown)) + field(4, field(2, len(found.times)))
    with open(path, "wb") as file:
        file.write(content)


def write_runtime(path: str, ops: list[str], kernels: list[str], left: list[str]) -> None:
    nodes = [field(1, n) + field(2, name) for n, name in enumerate(ops)]
    if kernels:
        taken = b"".join(varint(n) for n in range(len(ops) - len(left)))
        details = field(1, kernels[0]) + field(2, taken)
        nodes.append(field(1, len(ops)) + field(2, "DELEGATE") + field(8, details))
    graph = field(1, 0) + b"".join(field(3, node) for node in nodes)
    with open(path, "wb") as file:
        file.write(field(2, graph))


def report(init: int, warmup: Statistics, found: Statistics, grown_kb: int) -> None:
    """The summary, in the words of the dialect."""
    first = warmup.times[0] if warmup.times else 0
    if SETTINGS["dialect"] == "classic":
        say(f"Inference timings in us: Init: {init}, First inference: {first}, Warmup (avg): "
            f"{warmup.mean:g}, Inference (avg): {found.mean:g}")  # fmt: skip
        say("Memory footprint delta from the start of the tool (MB): init=1.5 "
            f"overall={grown_kb / 1024:g}")  # fmt: skip
        return
    place = "[benchmark_litert_model.h:94] "
    say("\n========== BENCHMARK RESULTS ==========", source=place)
    say(f"Model initialization: {init / 1000:.2f} ms", source=place)
    say(f"Warmup (first):       {first / 1000:.2f} ms", source=place)
    say(f"Warmup (avg):         {warmup.mean / 1000:.2f} ms ({len(warmup.times)} runs)",
        source=place)  # fmt: skip
    say(f"Inference (avg):      {found.mean / 1000:.2f} ms ({len(found.times)} runs)",
        source=place)  # fmt: skip
    say(f"Overall footprint:    {grown_kb / 1024:.2f} MB", source=place)


def faulty() -> None:
    if SETTINGS["fault"] == "hang":
        time.sleep(3600)
    if SETTINGS["fault"] == "crash":
        os.abort()
    if SETTINGS["fault"] == "garbage":
        sys.stdout.buffer.write(bytes(range(256)) * 20 + b"\ncount=banana avg=\nInference timings")
        sys.exit(0)


def main() -> None:
    if "--help" in sys.argv:
        usage()
        sys.exit(1)
    say("STARTING!")
    flags = dict(one[2:].split("=", 1) for one in sys.argv[1:])
    strange = [f"--{name}={flags[name]}" for name in flags if name not in flags_of()]
    if strange:
        say(f"Unconsumed cmdline flags: {' '.join(strange)}", "WARN")
    say(f"Graph: [{flags['graph']}]")
    begin = time.perf_counter()
    asked = delegate_of(flags)
    model = Model(flags["graph"], asked == "xnnpack", int(flags.get("num_threads", 1)))
    kernels, left = delegate(asked, model.ops) if asked != "none" else ([], model.ops)
    init = int((time.perf_counter() - begin) * 1e6)
    files = flags.get("input_layer_value_files", "")
    model.fill([one.split(":", 1)[1] for one in files.split(",") if one])
    faulty()
    warmup = model.run(int(flags["warmup_runs"]))
    say(f"{warmup}\n")
    found = model.run(int(flags["num_runs"]))
    say(f"{found}\n")
    report(init, warmup, found, 4096)
    if "output_filepath" in flags:
        model.write(flags["output_filepath"])
    if "result_file_path" in flags:
        write_result(flags["result_file_path"], init, warmup, found, 4096)
    if "model_runtime_info_output_file" in flags:
        write_runtime(flags["model_runtime_info_output_file"], model.ops, kernels, left)
    if "true" in (flags.get("enable_op_profiling"), flags.get("use_profiler")):
        profile(kernels + left, found.mean)


if __name__ == "__main__":
    main()
