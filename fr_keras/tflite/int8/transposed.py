"""Turns transposed convolutions whose windows do not overlap into 1x1 convolutions."""

import copy

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from fr_archive.recipes import Node, Op
from fr_keras.tflite.file import flatbuffer
from fr_keras.tflite.file.graph import Graph, Recipe, Recipes

_OPS = schema.BuiltinOperator


def depth_to_space(content: bytes, recipes: Recipes | None = None) -> tuple[bytes, Recipes]:
    """Returns a float file with transposed convolutions as 1x1 convolutions and DEPTH_TO_SPACE.

    If the kernel is as large as the stride, each input position gives one block of the output. A
    1x1 convolution computes all numbers of the block, and DEPTH_TO_SPACE puts them in their places.
    Other transposed convolutions stay.

    Args:
        content: A float32 file, with or without ranges.
        recipes: The recipes of the file, if any; those of the new file are returned with it.
    """
    graph = Graph(content, recipes)
    operators = []
    for op in graph.graph.operators:
        if _falls_apart(graph, op):
            operators.append(_to_blocks(graph, op))
        operators.append(op)
    graph.graph.operators = operators
    return flatbuffer.write(graph.model), graph.recipes


def _falls_apart(graph: Graph, op: schema.OperatorT) -> bool:
    if graph.kind(op) != _OPS.TRANSPOSE_CONV or not graph.is_constant(op.inputs[1]):
        return False
    _, height, width, _ = graph.graph.tensors[op.inputs[1]].shape
    before, after = (graph.graph.tensors[n].shape for n in (op.inputs[2], op.outputs[0]))
    options = op.builtinOptions
    return (
        height == width == options.strideH == options.strideW
        and after[1] == height * before[1]
        and after[2] == width * before[2]
    )


def _to_blocks(graph: Graph, op: schema.OperatorT) -> schema.OperatorT:
    """Returns the convolution, and turns `op` into the DEPTH_TO_SPACE after it."""
    output = graph.graph.tensors[op.outputs[0]]
    kernel = graph.constant(op.inputs[1])
    channels, side, _, inputs = kernel.shape
    biased = len(op.inputs) > 3 and op.inputs[3] >= 0
    bias = graph.constant(op.inputs[3]) if biased else np.zeros(channels)
    shape = [*graph.graph.tensors[op.inputs[2]].shape[:-1], side * side * channels]
    blocks = graph.add_tensor(output.name + b"_blocks", shape)
    graph.graph.tensors[blocks].quantization = copy.copy(output.quantization)
    convolution = schema.OperatorT()
    convolution.inputs, convolution.outputs = [op.inputs[2], op.inputs[1]], [blocks]
    options = schema.Conv2DOptionsT()
    options.padding, options.strideH, options.strideW = schema.Padding.VALID, 1, 1
    options.dilationHFactor = options.dilationWFactor = 1
    options.fusedActivationFunction = op.builtinOptions.fusedActivationFunction
    graph.become(convolution, _OPS.CONV_2D, options)
    rows = kernel.transpose(1, 2, 0, 3).reshape(-1, 1, 1, inputs)
    graph.set_constant(convolution, 1, rows)
    graph.set_constant(convolution, 2, np.tile(bias, side * side))
    recipe = graph.recipes.pop(op.outputs[0], None)
    if recipe is not None:
        turned = Node(Op.TRANSPOSE, (recipe.kernel,), (1, 2, 0, 3))
        graph.recipes[blocks] = Recipe(
            Node(Op.RESHAPE, (turned,), rows.shape),
            recipe.bias and Node(Op.TILE, (recipe.bias,), (int(side * side),)),
        )
    options = schema.DepthToSpaceOptionsT()
    options.blockSize = int(side)
    graph.become(op, _OPS.DEPTH_TO_SPACE, options)
    op.inputs = np.array([blocks], np.int32)
    return convolution
