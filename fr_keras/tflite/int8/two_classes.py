"""Turns a softmax of two classes into a sigmoid of their difference."""

import collections

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from fr_archive.recipes import Node, Op, scalar
from fr_keras.tflite.file import flatbuffer
from fr_keras.tflite.file.graph import LINEAR, Graph, Recipe, Recipes

_OPS = schema.BuiltinOperator
_NO_ACTIVATION = schema.ActivationFunctionType.NONE
#: Takes two logits `(a, b)` to `(a - b, b - a)`.
_DIFFERENCES = np.array([[1, -1], [-1, 1]])


def sigmoids(content: bytes, recipes: Recipes) -> tuple[bytes, Recipes]:
    """Returns a float file in which each softmax of two classes is a sigmoid.

    `softmax(a, b) = (sigmoid(a - b), sigmoid(b - a))`. The differences are folded into the kernel
    and the bias of the convolution or dense layer that computes `a` and `b`; other softmaxes stay.
    XNNPACK has no softmax in int8: LiteRT's own kernel runs it on one thread.

    Args:
        content: A float32 file without ranges.
        recipes: The recipes of the file; those of the new file are returned with it.
    """
    graph = Graph(content, recipes)
    made_by = {int(n): op for op in graph.graph.operators for n in op.outputs}
    readers = collections.Counter(int(n) for op in graph.graph.operators for n in op.inputs)
    readers.update(int(n) for n in graph.graph.outputs)
    for op in graph.graph.operators:
        if graph.kind(op) != _OPS.SOFTMAX or op.builtinOptions.beta != 1:
            continue
        logits = int(op.inputs[0])
        before = made_by.get(logits)
        if before is not None and readers[logits] == 1 and _gives_two_logits(graph, before):
            _subtract(graph, before)
            graph.become(op, _OPS.LOGISTIC, None)
    return flatbuffer.write(graph.model), graph.recipes


def _gives_two_logits(graph: Graph, op: schema.OperatorT) -> bool:
    return (
        graph.is_linear(op)
        and op.builtinOptions.fusedActivationFunction == _NO_ACTIVATION
        and graph.graph.tensors[op.outputs[0]].shape[-1] == len(graph.kernel(op)) == 2
    )


def _subtract(graph: Graph, op: schema.OperatorT) -> None:
    """Makes a linear op of two outputs compute their differences."""
    _, kernel, bias = LINEAR[graph.kind(op)]
    values, biased = graph.kernel(op), graph.has_bias(op)
    offset = graph.bias(op)
    graph.set_constant(op, kernel, np.tensordot(_DIFFERENCES, values, 1))
    if biased:
        graph.set_constant(op, bias, _DIFFERENCES @ offset)
    recipe = graph.recipes.get(op.outputs[0])
    if recipe is not None:
        graph.recipes[op.outputs[0]] = Recipe(
            _differences(recipe.kernel), recipe.bias and _differences(recipe.bias)
        )


def _differences(node: Node) -> Node:
    """The recipe of a kernel or bias whose first axis has two channels, for their differences."""
    one, other = (Node(Op.RESHAPE, (scalar(value),), (1,)) for value in (1, -1))
    signs = Node(Op.CONCATENATE, (one, other), (0,))
    row, column = (Node(Op.RESHAPE, (signs,), shape) for shape in ((1, 2), (2, 1)))
    return Node(Op.CONTRACT, (node, Node(Op.KRON, (column, row))), (0,))
