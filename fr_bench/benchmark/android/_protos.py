"""Reads the binary files that newer builds of `benchmark_model` write in addition to their text.

The messages are described here, with the fields that are read. No wheel contains the first one.
The others are in LiteRT's and in TensorFlow's wheel under the same name, so that importing both in
one process fails.
"""

import collections
import functools

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from fr_bench.benchmark.android._naming import means
from fr_bench.benchmark.result import Ops, OpTime, Times

_FLOAT, _INT64, _INT32, _STRING, _MESSAGE = 2, 3, 5, 9, 11
_ONE, _MANY = 1, 3
# Message -> field -> its number, its type or message, and whether there are many.
_MESSAGES = {
    # tflite/tools/benchmark/proto/benchmark_result.proto
    "LatencyMetrics": {
        "avg_ms": (1, _FLOAT, _ONE),
        "median_ms": (5, _FLOAT, _ONE),
        "p5_ms": (6, _FLOAT, _ONE),
        "p95_ms": (7, _FLOAT, _ONE),
        "init_ms": (8, _FLOAT, _ONE),
        "first_inference_ms": (9, _FLOAT, _ONE),
    },
    "MemoryMetrics": {"overall_footprint_kb": (2, _INT64, _ONE)},
    "MiscMetrics": {"num_runs": (2, _INT32, _ONE)},
    "BenchmarkResult": {
        "latency_metrics": (2, "LatencyMetrics", _ONE),
        "memory_metrics": (3, "MemoryMetrics", _ONE),
        "misc_metrics": (4, "MiscMetrics", _ONE),
    },
    # tflite/profiling/proto/profiling_info.proto
    "OpProfilingStat": {"avg": (3, _INT64, _ONE)},
    "OpProfileData": {
        "node_type": (1, _STRING, _ONE),
        "inference_microseconds": (2, "OpProfilingStat", _ONE),
    },
    "SubGraphProfilingData": {"per_op_profiles": (3, "OpProfileData", _MANY)},
    "ModelProfilingData": {"subgraph_profiles": (1, "SubGraphProfilingData", _MANY)},
    "BenchmarkProfilingData": {"runtime_profile": (3, "ModelProfilingData", _ONE)},
    # tflite/profiling/proto/model_runtime_info.proto
    "DelegateNodeDetails": {
        "delegate_name": (1, _STRING, _ONE),
        "tflite_node_ids_replaced": (2, _INT32, _MANY),
    },
    "Node": {
        "id": (1, _INT32, _ONE),
        "name": (2, _STRING, _ONE),
        "delegate_node_details": (8, "DelegateNodeDetails", _ONE),
    },
    "RuntimeSubgraph": {"nodes": (3, "Node", _MANY)},
    "ModelRuntimeDetails": {"subgraphs": (2, "RuntimeSubgraph", _MANY)},
}
_PACKAGE = "fr_bench.benchmark"


def result(content: bytes) -> tuple[Times, int | None] | None:
    """Returns times and memory from `--result_file_path`; `None` if it is empty or damaged."""
    held = _parsed("BenchmarkResult", content)
    if held is None or not held.misc_metrics.num_runs:
        return None
    names = ("init", "first_inference", "avg", "median", "p5", "p95")
    values = [_microseconds(held.latency_metrics, f"{name}_ms") for name in names]
    memory = held.memory_metrics
    grown = memory.overall_footprint_kb * 1024 if memory.HasField("overall_footprint_kb") else None
    return Times(held.misc_metrics.num_runs, *values), grown


def ops(content: bytes, delegate: str) -> Ops | None:
    """Returns which ops of the first graph a delegate took, from
    `--model_runtime_info_output_file`."""
    held = _parsed("ModelRuntimeDetails", content)
    if held is None or not held.subgraphs:
        return None
    nodes = held.subgraphs[0].nodes
    own = [node for node in nodes if not node.HasField("delegate_node_details")]
    details = [n.delegate_node_details for n in nodes if n.HasField("delegate_node_details")]
    pieces = [one for one in details if means(one.delegate_name, delegate)]
    taken = {number for one in pieces for number in one.tflite_node_ids_replaced}
    refused = collections.Counter(node.name for node in own if node.id not in taken)
    return Ops(len(own), len(own) - refused.total(), len(pieces), dict(refused))


def profile(content: bytes) -> tuple[OpTime, ...] | None:
    """Returns the times of the first graph by kind of op, from `--op_profiling_output_file`."""
    held = _parsed("BenchmarkProfilingData", content)
    if held is None or not held.runtime_profile.subgraph_profiles:
        return None
    kinds: dict[str, list[int]] = {}
    for op in held.runtime_profile.subgraph_profiles[0].per_op_profiles:
        kinds.setdefault(op.node_type, []).append(op.inference_microseconds.avg)
    rows = [OpTime(kind, len(times), float(sum(times))) for kind, times in kinds.items()]
    return tuple(sorted(rows, key=lambda row: -row.us)) or None


def _microseconds(metrics, name: str) -> float | None:
    """A time in microseconds; times that were not measured are missing or 0."""
    return round(getattr(metrics, name) * 1000, 1) or None


def _parsed(name: str, content: bytes):
    kind = message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{_PACKAGE}.{name}"))
    try:
        return kind.FromString(content)
    except message.DecodeError:
        return None


@functools.cache
def _pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(
        name="benchmark_model.proto", package=_PACKAGE, syntax="proto2"
    )
    for name, fields in _MESSAGES.items():
        described = file.message_type.add(name=name)
        for field, (number, kind, label) in fields.items():
            one = described.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                one.type, one.type_name = _MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                one.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool
