"""The memory that a file is expected to need."""

import copy

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from strip_graphs import Files

from fr_bench.benchmark import process
from fr_keras import tflite
from fr_keras.tflite.file import flatbuffer
from fr_keras.tflite.file.memory import arena, expected, window_bytes


def narrow_wide_narrow(int8=False, rows=320, columns=480) -> bytes:
    made = Files(int8=int8)
    x = made.conv(made.input(rows, columns, 3), 4, size=3)
    return made.content(made.conv(made.conv(x, 64, act="RELU"), 4))


@pytest.mark.parametrize("int8", [False, True], ids=["float32", "int8"])
def test_it_is_what_a_process_takes(int8):
    """Within a quarter and what LiteRT takes for itself."""
    content = narrow_wide_narrow(int8)
    seen = tflite.inspect(content).memory
    (taken,) = tflite.inspect(content).inputs
    row = np.zeros((1, *taken.shape[1:]), taken.dtype)
    facts = process.work(content, [row], "xnnpack", threads=1, runs=1, warmup=0).facts
    assert abs(facts["peak_memory_bytes"] - seen.total) < 0.25 * seen.total + 8e6


@pytest.mark.parametrize(("int8", "width"), [(False, 4), (True, 1)])
def test_its_parts(int8, width):
    seen = tflite.inspect(narrow_wide_narrow(int8)).memory
    positions = 320 * 480
    # The wide tensor, and one of 4 channels beside it.
    assert seen.activations == width * positions * (64 + 4)
    assert seen.windows == 8 * 9 * positions
    constants = width * (4 * 9 * 3 + 64 * 4 + 4 * 64) + 4 * (4 + 64 + 4)
    assert seen.weights == 2 * constants
    assert seen.total == seen.activations + seen.windows + seen.weights
    assert seen.to_dict()["total"] == seen.total


def test_each_op_has_its_own_weights():
    """XNNPACK arranges a kernel once for each op that reads it."""
    made = Files()
    x = made.input(8, 8, 32)
    y = made.conv(x, 32)
    once = expected(flatbuffer.read(made.content(y))).weights
    made.operators.append(made.operators[0])
    made.operators[1] = copy.copy(made.operators[1])
    made.operators[1].outputs = [made.activation((8, 8, 32))]
    twice = expected(flatbuffer.read(made.content(y, made.operators[1].outputs[0]))).weights
    assert twice == 1.5 * once


def test_windows_of_each_op():
    made = Files()
    x = made.input(12, 10, 4)
    made.content(
        made.conv(x, 4),  # none: a matrix product
        made.conv(x, 4, strides=2),
        made.conv(x, 4, size=(1, 3)),
        made.depthwise(x),
        made.depthwise(x, stride=2),
        made.pool(x),
        made.pool(x, 3, "AVERAGE_POOL_2D"),
    )
    seen = [8 * one for one in (0, 6 * 5, 3 * 120, 12 * 3 * 12, 6 * 3 * 11, 6 * 2 * 10, 4 * 3 * 9)]
    assert [window_bytes(made.new.model, op) for op in made.operators] == seen


def test_an_arena_is_no_smaller_than_what_is_alive_at_once():
    rng = np.random.default_rng(0)
    for _ in range(30):
        ops, sizes = [], [int(n) for n in rng.integers(1, 100, 25)]
        for place in range(1, 25):
            op = schema.OperatorT()
            op.inputs = rng.integers(0, place, 2).tolist()
            op.outputs = [place]
            ops.append(op)
        alive = []
        for place in range(24):
            made = {0, *range(1, place + 2)}
            later = {n for op in ops[place:] for n in op.inputs}
            alive.append(sum(sizes[n] for n in made if n in later or n in (place + 1, 24)))
        assert max(alive) <= arena(ops, sizes, [0], [24]) <= 1.5 * max(alive)


def test_it_is_not_known_where_shapes_are_open_or_graphs_call_others():
    made = Files()
    made.content(made.conv(made.input(4, 4, 3), 2))
    model = made.new.model
    assert expected(model) is not None
    model.subgraphs.append(made.new.graph)
    assert expected(model) is None
    model.subgraphs.pop()
    made.new.graph.tensors[0].shapeSignature = np.array([1, -1, 4, 3], np.int32)
    assert expected(model) is None
    assert tflite.inspect(flatbuffer.write(model)).to_dict()["memory"] is None


def test_it_is_shown():
    assert "expected peak memory" in str(tflite.inspect(narrow_wide_narrow(rows=20)))
