"""Finds the recipe of each op's constants in the float file that the converter wrote."""

import math
from collections.abc import Iterator

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from fr_archive.recipes import Node, Op, scalar
from fr_keras.tflite.file.graph import LINEAR, Graph, Recipe
from fr_keras.tflite.recipes.derive import LayerRecipe, LayerRecipes, Normalization
from fr_keras.tflite.scopes import Scopes

_CLOSE = 1e-3


def recipes_of(content: bytes, derived: LayerRecipes, scopes: Scopes) -> dict[int, Recipe]:
    """Returns the recipes of the ops of a float file, by the number of their output tensor.

    Every recipe is checked by its numbers. If the converter folded anything other than a batch
    normalization into the constants, the op has no recipe.

    Args:
        content: A float32 file, as the converter wrote it.
        derived: The recipes of the layers of the converted model.
        scopes: The scopes in which the model was converted.
    """
    graph, found = Graph(content), {}
    for op in graph.graph.operators:
        if not graph.is_linear(op):
            continue
        layers = _layers(graph, op, scopes)
        layer = next((derived.kernels[one] for one in layers if one in derived.kernels), None)
        if layer is not None:
            recipe = _recipe(graph, op, layer, derived, layers)
            if recipe is not None:
                found[op.outputs[0]] = recipe
    return found


def _layers(graph: Graph, op: schema.OperatorT, scopes: Scopes) -> list[int]:
    """The `id` of the layers that an op comes from; the layer of its kernel is first."""
    _, kernel, bias = LINEAR[graph.kind(op)]
    numbers = [op.inputs[kernel], *op.inputs[bias : bias + 1], op.outputs[0]]
    names = [graph.graph.tensors[n].name for n in numbers if n >= 0]
    return [id(layer) for name in names for layer in scopes.layers(name)]


def _recipe(
    graph: Graph, op: schema.OperatorT, layer: LayerRecipe, derived: LayerRecipes, layers: list[int]
) -> Recipe | None:
    kernel, bias = graph.kernel(op), graph.bias(op)
    node, value = _output_last(layer, derived, len(kernel))
    flat = kernel.reshape(len(kernel), -1)
    rows = np.moveaxis(value, -1, 0)
    if len(rows) != len(flat) or rows.size != flat.size:
        return None
    rows = rows.reshape(flat.shape)
    weights = np.sum(rows * rows, 1)
    ratio = np.where(weights > 0, np.sum(rows * flat, 1) / np.maximum(weights, 1e-300), 1.0)
    if not _close(rows * ratio[:, None], flat):
        return None
    for scale, offset in _foldings(layer, derived, ratio, layers):
        if _is(derived, offset, bias):
            if scale is not None:
                node = Node(Op.MULTIPLY, (node, scale))
            last = value.ndim - 1
            node = Node(Op.TRANSPOSE, (node,), (last, *range(last)))
            if kernel.shape != (len(rows), *value.shape[:-1]):
                node = Node(Op.RESHAPE, (node,), tuple(kernel.shape))
            # The converter drops a bias of zeros.
            return Recipe(node, offset if bias.any() else None)
    return None


def _output_last(
    layer: LayerRecipe, derived: LayerRecipes, channels: int
) -> tuple[Node, np.ndarray]:
    """The kernel of a layer with so many output channels, as its last axis."""
    node, value = layer.kernel, derived.value(layer.kernel)
    if layer.transposed:
        rank = value.ndim
        node = Node(Op.TRANSPOSE, (node,), (*range(rank - 2), rank - 1, rank - 2))
        value = derived.value(node)
    shape = value.shape
    for first in range(len(shape) - 2, 0, -1):
        if shape[-1] != channels == math.prod(shape[first:]):  # an output of several axes
            node = Node(Op.RESHAPE, (node,), (*shape[:first], channels))
            value = derived.value(node)
    return node, value


def _foldings(
    layer: LayerRecipe, derived: LayerRecipes, ratio: np.ndarray, layers: list[int]
) -> Iterator[tuple[Node | None, Node | None]]:
    """Recipes of the scale of a kernel and of a bias that may be folded into an op."""
    if _close(ratio, np.ones_like(ratio)):
        yield None, layer.bias
    likely = sorted(derived.normalizations, key=lambda one: one not in layers)
    for normalization in map(derived.normalizations.get, likely):
        scale = derived.value(normalization.scale)
        if scale is not None and scale.shape == ratio.shape and _close(scale, ratio):
            yield normalization.scale, _offset(layer, normalization)


def _offset(layer: LayerRecipe, normalization: Normalization) -> Node:
    """`offset + (bias - mean) * scale`."""
    shift = normalization.mean
    if layer.bias is not None:
        shift = Node(Op.SUBTRACT, (shift, layer.bias))
    product = Node(Op.MULTIPLY, (shift, normalization.scale))
    return Node(Op.SUBTRACT, (normalization.offset or scalar(0), product))


def _is(derived: LayerRecipes, node: Node | None, bias: np.ndarray) -> bool:
    value = np.zeros_like(bias) if node is None else derived.value(node)
    return value is not None and value.shape == bias.shape and _close(value, bias)


def _close(values: np.ndarray, others: np.ndarray) -> bool:
    return np.abs(values - others).max() <= _CLOSE * np.abs(others).max()
