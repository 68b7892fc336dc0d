"""Sets the constants of an int8 file by recipes, so that an archive can produce the same file."""

import copy

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from fr_archive import ArchiveError
from fr_archive.filling import Filled, fill
from fr_archive.recipes import Evaluator, Source
from fr_keras.tflite.file import flatbuffer
from fr_keras.tflite.file.graph import LINEAR, Recipe, Recipes

_TYPES = schema.TensorType


def apply(
    content: bytes, float_content: bytes, recipes: Recipes, source: Source
) -> tuple[bytes, Recipes]:
    """Returns an int8 file whose constants are computed by recipes, and these recipes.

    TensorFlow's quantizer rounds in its own way, from its own float32 constants; recipes are
    specified to the bit. Constants stay as they are if they have no recipe, or if it gives numbers
    that differ by more than one step.

    Args:
        content: The int8 file.
        float_content: The float file that it was made from.
        recipes: The recipes of the float file.
        source: The numbers that the recipes read.

    Returns:
        The file, and the recipes that were used, by the number of the op instead of its output.
    """
    model, before = flatbuffer.read(content), flatbuffer.read(float_content)
    ops, linear = model.subgraphs[0].operators, _linear(before)
    places = [number for number, op in enumerate(ops) if _is_linear(model, op)]
    if len(places) != len(linear):
        return content, {}
    constants, evaluator, found = _Constants(model), Evaluator(source), {}
    for place, original in zip(places, linear, strict=True):
        recipe = recipes.get(original.outputs[0])
        if recipe is None or not constants.fits(ops[place], recipe):
            continue
        try:
            bias = None if recipe.bias is None else evaluator.array(recipe.bias)
            scale, by_channel = constants.scale(ops[place]), constants.by_channel(ops[place])
            numbers = fill(evaluator.array(recipe.kernel), bias, scale, by_channel)
        except ArchiveError:  # beyond the limits of an archive
            continue
        if constants.near(ops[place], numbers):
            constants.set(ops[place], numbers)
            found[place] = recipe
    return flatbuffer.write(model), found


def _linear(model: schema.ModelT) -> list[schema.OperatorT]:
    return [op for op in model.subgraphs[0].operators if _is_linear(model, op)]


def _is_linear(model: schema.ModelT, op: schema.OperatorT) -> bool:
    return model.operatorCodes[op.opcodeIndex].builtinCode in LINEAR


class _Constants:
    """The constants of the linear ops of an int8 file."""

    def __init__(self, model: schema.ModelT):
        self._model, self._graph = model, model.subgraphs[0]
        self._set: dict[int, tuple] = {}

    def fits(self, op: schema.OperatorT, recipe: Recipe) -> bool:
        """Whether an op has an int8 kernel with scales, and an int32 bias if it needs one."""
        activation, kernel = self._tensor(op, 0), self._tensor(op, 1)
        if (activation.type, kernel.type) != (_TYPES.INT8, _TYPES.INT8):
            return False
        scales = kernel.quantization.scale
        if not self._has_bias(op):
            fits = recipe.bias is None
        else:
            bias = self._tensor(op, 2)
            fits = bias.type == _TYPES.INT32 and len(bias.quantization.scale) == len(scales)
        return (
            fits
            and len(scales) in (1, kernel.shape[0])
            and kernel.quantization.quantizedDimension == 0
        )

    def scale(self, op: schema.OperatorT) -> float:
        """The scale of the activation."""
        return float(np.float32(self._tensor(op, 0).quantization.scale[0]))

    def by_channel(self, op: schema.OperatorT) -> bool:
        return len(self._tensor(op, 1).quantization.scale) > 1

    def near(self, op: schema.OperatorT, numbers: Filled) -> bool:
        """Whether the real numbers differ by at most a step from those in the file now."""
        kernel = self._tensor(op, 1)
        scales = np.asarray(kernel.quantization.scale, np.float64)
        old = np.asarray(self._data(kernel), np.uint8).view(np.int8).reshape(kernel.shape)
        if old.shape != numbers.kernel.shape:
            return False
        rows = (len(old), -1)
        new = numbers.kernel.reshape(rows) * numbers.scales[:, None].astype(np.float64)
        step = 1.01 * np.maximum(scales, numbers.scales)[:, None]
        if (np.abs(new - old.reshape(rows) * scales[:, None]) > step).any():
            return False
        if not self._has_bias(op):
            return True
        bias = self._tensor(op, 2)
        scales = np.asarray(bias.quantization.scale, np.float64)
        old = np.asarray(self._data(bias), np.uint8).view(np.int32) * scales
        new = numbers.bias * numbers.bias_scales.astype(np.float64)
        step = np.maximum(scales, numbers.bias_scales)
        return bool((np.abs(new - old) <= 2 * step + 1e-3 * np.abs(old).max()).all())

    def set(self, op: schema.OperatorT, numbers: Filled) -> None:
        """Gives an op its constants; copies a tensor that another op has set to other values."""
        parts = [(1, numbers.kernel, numbers.scales)]
        if self._has_bias(op):
            parts.append((2, numbers.bias, numbers.bias_scales))
        for part, data, scales in parts:
            position = self._position(op, part)
            number, content = op.inputs[position], (data.tobytes(), scales.tobytes())
            if self._set.get(number, content) != content:
                number = self._copied(number)
                op.inputs = np.array(op.inputs, np.int32)
                op.inputs[position] = number
            self._set[number] = content
            tensor = self._graph.tensors[number]
            tensor.quantization.scale = scales
            tensor.buffer = self._buffer(tensor.buffer, content[0])

    def _buffer(self, number: int, data: bytes) -> int:
        """The number of a buffer with these bytes: the old one if no other tensor uses it."""
        if sum(one.buffer == number for one in self._graph.tensors) > 1:
            self._model.buffers.append(schema.BufferT())
            number = len(self._model.buffers) - 1
        self._model.buffers[number].data = np.frombuffer(data, np.uint8)
        return number

    def _copied(self, number: int) -> int:
        self._graph.tensors.append(copy.deepcopy(self._graph.tensors[number]))
        return len(self._graph.tensors) - 1

    def _has_bias(self, op: schema.OperatorT) -> bool:
        position = self._position(op, 2)
        return len(op.inputs) > position and op.inputs[position] >= 0

    def _position(self, op: schema.OperatorT, part: int) -> int:
        return LINEAR[self._model.operatorCodes[op.opcodeIndex].builtinCode][part]

    def _tensor(self, op: schema.OperatorT, part: int) -> schema.TensorT:
        return self._graph.tensors[op.inputs[self._position(op, part)]]

    def _data(self, tensor: schema.TensorT):
        return self._model.buffers[tensor.buffer].data
