"""Where the time of a file goes: each op cut out into a file of its own and timed.

LiteRT for Python has no op profile. An op by itself reads from a warm cache and is packed for the
delegate alone, so the sum is near the file's time but not equal to it.
"""

import collections
import copy

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from fr_keras.benchmark.result import OpTime
from fr_keras.benchmark.worker import CpuModel, timed
from fr_keras.tflite import flatbuffer

_RUNS, _WARMUP = 5, 2


def profile(content: bytes, delegate: str, threads: int) -> tuple[OpTime, ...]:
    """Times every op of a file on the host, and adds the times up by kind, the longest first.

    Args:
        content: The flatbuffer.
        delegate: `none` or `xnnpack`.
        threads: CPU threads.
    """
    model = flatbuffer.read(content)
    times: dict[str, list[float]] = collections.defaultdict(list)
    for op in model.subgraphs[0].operators:
        if is_folded(model, op):
            continue
        single = CpuModel(alone(model, op), delegate, threads)
        found = timed(single, _RUNS, _WARMUP)["times_us"]
        name = flatbuffer.op_name(model.operatorCodes[op.opcodeIndex])
        times[name].append(float(np.median(found)))
    rows = [OpTime(name, len(ones), round(sum(ones), 1)) for name, ones in times.items()]
    return tuple(sorted(rows, key=lambda row: -row.us))


def alone(model: schema.ModelT, op: schema.OperatorT) -> bytes:
    """The flatbuffer with this op of the first graph, what widens its weights, and no other."""
    single = copy.copy(model)
    single.signatureDefs = []
    single.subgraphs = [copy.copy(model.subgraphs[0])]
    graph = single.subgraphs[0]
    read = {int(n) for n in op.inputs}
    widening = [
        one
        for one in graph.operators
        if is_folded(model, one) and read & {int(n) for n in one.outputs}
    ]
    made = {int(n) for one in widening for n in one.outputs}
    graph.operators = [*widening, op]
    variable = [int(n) for n in op.inputs if n >= 0 and not _constant(model, n)]
    graph.inputs = np.array([n for n in variable if n not in made], np.int32)
    graph.outputs = np.array(op.outputs, np.int32)
    return flatbuffer.write(single)


def is_folded(model: schema.ModelT, op: schema.OperatorT) -> bool:
    """Whether an op only widens weights: then it stays with the op that reads them."""
    return all(n < 0 or _constant(model, n) for n in op.inputs)


def _constant(model: schema.ModelT, number: int) -> bool:
    return model.buffers[model.subgraphs[0].tensors[number].buffer].data is not None
