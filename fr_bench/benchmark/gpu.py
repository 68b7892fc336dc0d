"""The target `gpu`: LiteRT's GPU accelerator (WebGPU), on a real GPU or on software Vulkan.

Software Vulkan shows which ops are taken and whether the numbers agree, but gives no times.
"""

import collections
import dataclasses
import functools
import platform
import re
from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from fr_bench.benchmark import devices, process
from fr_bench.benchmark._subject import Subject
from fr_bench.benchmark.host import times, tool
from fr_bench.benchmark.result import Ops, Result
from fr_keras.tflite.file import flatbuffer

DELEGATES = ("gpu",)
#: The precisions in which it can compute; phones use float16.
PRECISIONS = ("float32", "float16")

_ADAPTER = re.compile(
    r"Selected adapter: (?P<name>.+), arch=.*, backend=(?P<api>\w+), adapterType=(?P<kind>.+)"
)
_UNSUPPORTED = "Following operations are not supported by GPU delegate:"
_REFUSED = re.compile(r"^([A-Z0-9_]+): .+$", re.MULTILINE)
_ON_CPU = re.compile(r"and (?:the remaining|all) (\d+) operations will run on the CPU")
_READY = "Created a WebGPU environment"
# Lines of glog, of LiteRT and of the exception, except those that only say where they come from.
_ERROR = re.compile(
    r"^(?:ERROR: |WARNING: |[EF]\d{4} \S+ +\d+ \S+\] |└ )(?!\[|Restored)(?P<text>.+)$"
)


@dataclasses.dataclass(frozen=True)
class Adapter:
    """A GPU that Vulkan offers.

    Attributes:
        name: Its name, as the driver gives it.
        software: Whether it is only software on the CPU.
        environment: Environment variables with which LiteRT finds it.
    """

    name: str
    software: bool
    environment: dict[str, str]


def measure(
    subject: Subject, precision: str = "float32", threads: int = 1, runs: int = 0, warmup: int = 0
) -> Result:
    """Runs a file on the GPU accelerator; a file that crashes it gives a result that says so.

    Args:
        subject: The file and its rows.
        precision: One of `PRECISIONS`.
        threads: CPU threads for ops that the GPU refuses.
        runs: The number of timed inferences if there is a real GPU.
        warmup: The number of inferences before them.

    Raises:
        MissingDevice: If this machine has no Vulkan driver and the target is not set up.
    """
    found = adapter()
    common = {
        **subject.facts,
        "target": "gpu",
        "device": device(found),
        "tool": tool(),
        "delegate": "gpu",
        "precision": precision,
        "threads": threads,
    }
    timed = runs > 0 and not found.software
    try:
        answer = run(
            subject.content, subject.inputs, precision, threads, runs if timed else 0, warmup
        )
    except process.WorkerError as error:
        return Result(**common, **_ended(error))
    taken, notes = ops(subject.content, answer.log)
    return Result(
        **common,
        times=times(answer.facts) if timed else None,
        peak_memory_bytes=answer.facts["peak_memory_bytes"] if timed else None,
        ops=taken,
        **subject.scores(answer.outputs, notes),
    )


def run(
    content: bytes,
    inputs: Sequence[np.ndarray],
    precision: str = "float32",
    threads: int = 1,
    runs: int = 0,
    warmup: int = 0,
) -> process.Answer:
    """Runs a flatbuffer on rows in its own types; see `process.work` for arguments and errors."""
    return process.work(
        content,
        inputs,
        "gpu",
        precision=precision,
        threads=threads,
        runs=runs,
        warmup=warmup,
        environment=adapter().environment,
    )


@functools.cache
def adapter() -> Adapter:
    """Returns the GPU that LiteRT uses on this machine, or that of the set-up if there is none.

    Raises:
        MissingDevice: If there is neither.
    """
    found = _probe({})
    if found is None:
        setup = devices.find("gpu")
        found = _probe(setup.environment)
    if found is None:
        raise devices.MissingDevice(
            f"LiteRT finds no Vulkan device with the set-up in '{setup.folder}': remove that "
            f"folder and set it up again with {devices.command('gpu')}"
        )
    return found


def device(adapter: Adapter) -> dict[str, str | int]:
    """Describes the GPU that runs the files."""
    return {
        "name": adapter.name,
        "abi": platform.machine(),
        "os": platform.system(),
        "driver": "Vulkan in software" if adapter.software else "Vulkan",
    }


def ops(content: bytes, log: str) -> tuple[Ops, tuple[str, ...]]:
    """Returns which ops the GPU took, according to LiteRT's log, and notes for the reader.

    The log names a kind of op that is refused once for each reason, not once for each op, and
    gives the number of all ops that stay on the CPU. `is_fully_accelerated()` does not help,
    because it counts XNNPACK too.
    """
    model = flatbuffer.read(content)
    names = [
        flatbuffer.op_name(model.operatorCodes[op.opcodeIndex])
        for op in model.subgraphs[0].operators
    ]
    said = log.partition(_UNSUPPORTED)[2]
    rest = _ON_CPU.search(said)
    if rest is None:
        return Ops(len(names), len(names), refused={}), ()
    on_cpu = int(rest[1])
    lines = collections.Counter(_REFUSED.findall(said[: rest.start()]))
    refused = {name: names.count(name) for name in lines}
    if sum(refused.values()) > on_cpu:
        refused = dict(lines)
    left = on_cpu - sum(refused.values())
    note = f"{left} more ops stay on the CPU, because the GPU takes only one connected piece"
    return Ops(len(names), len(names) - on_cpu, refused=refused), (note,) if left else ()


def _probe(environment: dict[str, str]) -> Adapter | None:
    """The adapter that LiteRT uses for a file of one op."""
    try:
        zeros = np.zeros((1, 1, 1, 1, 4), np.float32)
        log = process.work(
            _one_op(), [zeros[0]], "gpu", precision="float32", environment=environment
        ).log
    except process.WorkerError as error:
        log = error.log
    found = _ADAPTER.search(log)
    if found is None:
        return None
    return Adapter(found["name"], "CPU" in found["kind"], environment)


def _one_op() -> bytes:
    """A file that every GPU takes."""
    model, graph, op = schema.ModelT(), schema.SubGraphT(), schema.OperatorT()
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.RELU
    graph.tensors = []
    for name in ("x", "y"):
        tensor = schema.TensorT()
        tensor.name, tensor.shape = name, [1, 1, 1, 4]
        graph.tensors.append(tensor)
    op.inputs, op.outputs = [0], [1]
    graph.operators, graph.inputs, graph.outputs = [op], [0], [1]
    model.version, model.operatorCodes = 3, [code]
    model.subgraphs, model.buffers = [graph], [schema.BufferT()]
    return flatbuffer.write(model)


def _ended(error: process.WorkerError) -> dict[str, str]:
    """The status of a file that did not run; LiteRT's last errors say why."""
    lines = error.log.rpartition(_READY)[2].splitlines()
    said = [found["text"] for line in lines if (found := _ERROR.match(line))]
    # An exception while loading is a refusal; everything else is a crash.
    refused = "CreateCompiledModel" in error.log
    ending = "" if refused else f"{str(error).partition(':')[0]}: "
    return {
        "status": "refused" if refused else "failed",
        "message": ending + (" / ".join(said[-3:]) or str(error)),
    }
