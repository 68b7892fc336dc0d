"""Convolutions over several pixels at once: files that give the same numbers."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from rewritten import KINDS, assert_same, inputs_of, ops, packed, ran, unet
from strip_graphs import Files

from fr_keras.tflite.file import flatbuffer, memory
from fr_keras.tflite.file._rewriting import Rewriter


@KINDS
@pytest.mark.parametrize("width", [12, 9, 10, 7, 1])
@pytest.mark.parametrize("size", [(3, 3), (5, 5), (1, 3), (3, 1), (2, 4), (3, 9)], ids=str)
def test_packed_cores(size, width, int8):
    made = Files(int8=int8)
    x = made.input(6, width, 3)
    y = made.conv(made.conv(x, 4, size=size, act="RELU6"), 3, size=size)
    content, rows = made.content(y, made.conv(x, 2, size=3)), inputs_of(made)
    new = packed(content)
    # Of a width without divisors from 2 to 4 each pixel stays by itself.
    assert ("RESHAPE" in ops(new)) == (width not in (7, 1))
    assert_same(content, flatbuffer.write(new.finished()), rows, close=True)
    assert ran(flatbuffer.write(new.finished()), rows).ops()["partitions"] == 1


@KINDS
def test_what_cannot_be_packed_stays(int8):
    made = Files(int8=int8)
    x, wide = made.input(8, 8, 4), made.input(8, 8, 8)
    content = made.content(
        made.conv(x, 4, size=3, strides=2),
        made.conv(x, 4, size=3, padding="VALID"),
        made.conv(x, 8, size=3),
        made.conv(wide, 4, size=3),
        made.conv(x, 4),
        made.depthwise(x),
    )
    assert ops(packed(content)) == ops(Rewriter(flatbuffer.read(content)))


def test_packing_saves_window_tables_where_they_are_worth_it():
    content, _ = unet(False)
    windows = [
        memory.expected(packed(content, worth).model).windows for worth in (np.inf, 10, 1, 0)
    ]
    assert windows[0] == memory.expected(flatbuffer.read(content)).windows
    assert windows == sorted(windows, reverse=True)
    assert windows[-1] < 0.5 * windows[0]


def test_kernels_in_float16():
    """An op widens them; packed kernels are in float16, too."""
    made = Files()
    y = made.conv(made.conv(made.input(6, 12, 3), 4, size=3), 2, size=3)
    convolutions = made.operators
    made.operators = []
    for op in convolutions:
        for position in (1, 2):
            number = int(op.inputs[position])
            values = made.new.data(number).view(np.float32).reshape(made.new.shape(number))
            half = made.new.constant(values.astype(np.float16), number, None)
            made.new.graph.tensors[half].type = schema.TensorType.FLOAT16
            wide = made.activation(values.shape)
            made.new.graph.tensors[wide].shape = np.array(values.shape, np.int32)
            options = schema.DequantizeOptionsT()
            made.operators.append(made.new.op("DEQUANTIZE", [half], wide, options))
            op.inputs[position] = wide
        made.operators.append(op)
    content, rows = made.content(y), inputs_of(made)
    new = packed(content)
    file = flatbuffer.write(new.finished())
    assert "RESHAPE" in ops(new)
    assert_same(content, file, rows, close=True)
    assert ran(file, rows).ops()["partitions"] == 1
    kernels = [
        one for one in new.finished().subgraphs[0].tensors if len(one.shape) == 4 and one.buffer
    ]
    assert {one.type for one in kernels} == {schema.TensorType.FLOAT16}
