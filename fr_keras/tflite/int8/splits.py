"""Replaces ops that split a tensor into parts, if not all parts are read."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from fr_keras.tflite.file import flatbuffer
from fr_keras.tflite.file.graph import Graph

_OPS = schema.BuiltinOperator
_KINDS = (_OPS.SPLIT, _OPS.SPLIT_V, _OPS.UNPACK)


def sliced(content: bytes) -> bytes:
    """Returns a float file with slices, one for each part that is read, in place of such ops.

    The first step of an unrolled recurrent layer has such an op, because its state is zero.
    TensorFlow's quantizer leaves it in float in some runs and not in others.

    Args:
        content: A float32 file, as the converter wrote it.
    """
    graph = Graph(content)
    read = {number for op in graph.graph.operators for number in op.inputs}
    read |= {*graph.graph.outputs}
    operators = []
    for op in graph.graph.operators:
        if graph.kind(op) in _KINDS and not {*op.outputs} <= read:
            operators += _slices(graph, op, read)
        else:
            operators.append(op)
    graph.graph.operators = operators
    return flatbuffer.write(graph.model)


def _slices(graph: Graph, op: schema.OperatorT, read: set[int]) -> list[schema.OperatorT]:
    """An op for each part that is read."""
    kind = graph.kind(op)
    whole = op.inputs[1 if kind == _OPS.SPLIT else 0]
    shape = [int(n) for n in graph.graph.tensors[whole].shape]
    if kind == _OPS.UNPACK:
        axis = op.builtinOptions.axis
    else:
        axis = int(graph.integers(op.inputs[0 if kind == _OPS.SPLIT else 2]).item())
    axis %= len(shape)
    found, start = [], 0
    for number in op.outputs:
        length = 1 if kind == _OPS.UNPACK else int(graph.graph.tensors[number].shape[axis])
        begin, end = [0] * len(shape), list(shape)
        begin[axis], end[axis] = start, start + length
        start += length
        if number in read:
            one = _slice(graph, whole, number, (begin, end))
            one.builtinOptions.shrinkAxisMask = 1 << axis if kind == _OPS.UNPACK else 0
            found.append(one)
    return found


def _slice(graph: Graph, whole: int, part: int, ends: tuple[list[int], ...]) -> schema.OperatorT:
    op = schema.OperatorT()
    op.inputs, op.outputs = [whole], [part]
    graph.become(op, _OPS.STRIDED_SLICE, schema.StridedSliceOptionsT())
    for position, values in enumerate((*ends, [1] * len(ends[0])), start=1):
        graph.set_constant(op, position, np.array(values), np.int32)
    return op
