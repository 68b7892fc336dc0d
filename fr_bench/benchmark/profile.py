"""Finds where the time of a file goes, by timing each op in a file of its own.

LiteRT for Python has no op profile. Each op gets the values that it gets in the file, because
indices and shapes are among them. By itself an op reads from a warm cache and is prepared for the
delegate separately, so the sum is near the file's time but not equal to it.
"""

import collections
import copy
from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from fr_bench.benchmark import process
from fr_bench.benchmark.result import OpTime
from fr_keras.tflite.file import flatbuffer

_RUNS, _WARMUP = 5, 2
# These tensors hold no value: they stand for variables and tables, which other ops fill.
_STATES = (schema.TensorType.RESOURCE, schema.TensorType.VARIANT)


def profile(
    content: bytes, inputs: Sequence[np.ndarray], delegate: str, threads: int
) -> tuple[tuple[OpTime, ...] | None, tuple[str, ...]]:
    """Times every op of a file on the host, and adds up the times by kind, the longest first.

    Args:
        content: The flatbuffer.
        inputs: Rows for each input, in the file's own types; the first row is run.
        delegate: `none` or `xnnpack`.
        threads: The number of CPU threads.

    Returns:
        The times, or `None` if the process that takes them breaks, and notes on what is missing.
    """
    model = flatbuffer.read(content)
    ops = [op for op in model.subgraphs[0].operators if not is_folded(model, op)]
    apart = [op for op in ops if stands_alone(model, op)]
    missing = collections.Counter()
    for op in ops:
        if not stands_alone(model, op):
            missing[name_of(model, op), "it shares a state with other ops"] += 1
    try:
        answer = process.work(
            content,
            inputs,
            delegate,
            threads=threads,
            runs=_RUNS,
            warmup=_WARMUP,
            singles=(_single(model, op) for op in apart),
        )
    except process.WorkerError as error:
        return None, (f"no op profile: {_broken(error)}",)
    times: dict[str, list[float]] = collections.defaultdict(list)
    for op, found in zip(apart, answer.facts["singles"], strict=True):
        if "us" in found:
            times[name_of(model, op)].append(float(np.median(found["us"])))
        else:
            missing[name_of(model, op), found["error"]] += 1
    rows = [OpTime(name, len(ones), round(sum(ones), 1)) for name, ones in times.items()]
    notes = (
        f"not in the op profile: {number} {name}: {why}" for (name, why), number in missing.items()
    )
    return tuple(sorted(rows, key=lambda row: -row.us)), tuple(notes)


def alone(model: schema.ModelT, op: schema.OperatorT) -> bytes:
    """Returns a flatbuffer with only this op of the first graph and the ops that widen its
    weights."""
    single = copy.copy(model)
    single.signatureDefs = single.metadata = []
    graph = copy.copy(model.subgraphs[0])
    read = {int(n) for n in op.inputs}
    widening = [
        one
        for one in graph.operators
        if is_folded(model, one) and read & {int(n) for n in one.outputs}
    ]
    graph.operators = [*widening, op]
    graph.inputs = np.array(_given(model, op), np.int32)
    graph.outputs = np.array(op.outputs, np.int32)
    # A loop or a branch calls the other graphs, by their numbers.
    single.subgraphs = [graph, *(model.subgraphs[1:] if _calls(op) else ())]
    used = {graph.tensors[n].buffer for one in graph.operators for n in one.inputs if n >= 0}
    used |= {tensor.buffer for other in single.subgraphs[1:] for tensor in other.tensors}
    single.buffers = [
        one if number in used else schema.BufferT() for number, one in enumerate(model.buffers)
    ]
    return flatbuffer.write(single)


def name_of(model: schema.ModelT, op: schema.OperatorT) -> str:
    """Returns the kind of an op."""
    return flatbuffer.op_name(model.operatorCodes[op.opcodeIndex])


def is_folded(model: schema.ModelT, op: schema.OperatorT) -> bool:
    """Whether an op only widens weights; it then stays with the op that reads them."""
    return len(op.inputs) > 0 and all(n < 0 or _constant(model, n) for n in op.inputs)


def stands_alone(model: schema.ModelT, op: schema.OperatorT) -> bool:
    """Whether an op is a function of values: it has outputs, and takes and gives no state."""
    tensors = model.subgraphs[0].tensors
    numbers = [int(n) for n in (*op.inputs, *op.outputs) if n >= 0]
    return len(op.outputs) > 0 and not any(tensors[n].type in _STATES for n in numbers)


def _single(model: schema.ModelT, op: schema.OperatorT) -> process.Single:
    return process.Single(name_of(model, op), tuple(_given(model, op)), alone(model, op))


def _given(model: schema.ModelT, op: schema.OperatorT) -> list[int]:
    """The tensors whose values an op gets, each once, without constants and its own memory."""
    graph = model.subgraphs[0]
    folded = (one for one in graph.operators if is_folded(model, one))
    made = {int(n) for one in folded for n in one.outputs}
    return [
        n
        for n in dict.fromkeys(int(n) for n in op.inputs if n >= 0)
        if n not in made and not _constant(model, n) and not graph.tensors[n].isVariable
    ]


def _calls(op: schema.OperatorT) -> bool:
    """Whether an op runs other graphs of the file."""
    return any(
        "subgraph" in name.lower()
        for options in (op.builtinOptions, op.builtinOptions2)
        if options is not None
        for name in vars(options)
    )


def _constant(model: schema.ModelT, number: int) -> bool:
    return model.buffers[model.subgraphs[0].tensors[number].buffer].data is not None


def _broken(error: process.WorkerError) -> str:
    """How the process broke, and at which op."""
    lines = [line for line in error.log.splitlines() if line.startswith("op ")]
    place = f" at {lines[-1]}" if lines else ""
    return f"{str(error).partition(': op ')[0]}{place}"
