"""Bottlenecks in segments, which give a few linear channels a finer step in int8.

Between the linear ops of a factored chain there are few channels. Some of them have values many
times larger than the others, and int8 has 256 values for all of them together. Such a channel `z`
can be stored as several channels, one for each segment of its range, that differ only in the bias:

    u_j = relu6(6 (z / d - j)),  v_j = relu6(6 (-z / d - j)),    z = d / 6 (sum u_j - sum v_j)

The op before computes them with more rows in its kernel, and the op after adds them up with more
columns. There is no new op, and the function stays the same on the range that was seen, also with
zero padding. The step becomes `d / 255`, where `d` replaces the range of the largest channel. All
channels share one `d`, so a large channel gets more segments than a small one. A budget says how
many bytes the additional rows and columns may take.
"""

import dataclasses
import math

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from fr_archive.recipes import Node, Op, scalar
from fr_keras.tflite.file import flatbuffer
from fr_keras.tflite.file.graph import LINEAR, Graph, Recipe, Recipes
from fr_keras.tflite.int8._observe import observe
from fr_keras.tflite.int8.budgets import of_columns, of_rows
from fr_keras.tflite.int8.ranges import Samples, clipped_range

_OPS = schema.BuiltinOperator
_ACTIVATIONS = schema.ActivationFunctionType
_FACTOR = 4  # channels for each one: 2 more bits where all have the same range
_TOP = 6.0
_SILENT = 1e-5  # TensorFlow's narrowest range is 2e-6: below, its steps are not the data's
# The first version of TRANSPOSE_CONV with an activation; those before ignore it.
_VERSION_WITH_ACTIVATION = 4


class _Channels:
    """Samples of the values of each channel, the last axis, on a number of rows."""

    def __init__(self, rows: int, channels: int):
        self._samples = [Samples(rows * channels) for _ in range(channels)]

    def add(self, row: np.ndarray) -> None:
        for sample, values in zip(self._samples, np.moveaxis(row, -1, 0), strict=True):
            sample.add(values)

    @property
    def reach(self) -> np.ndarray:
        """`(2, channels)`: how far each channel goes above zero and below, both positive."""
        ends = [clipped_range(one.values, _FACTOR * 255) for one in self._samples]
        return np.array([[high, -low] for low, high in ends]).T


@dataclasses.dataclass(frozen=True)
class _Bottleneck:
    """Linear channels: the stored tensors, the op that adds them if any, and the readers."""

    parts: list[int]
    sum: schema.OperatorT | None
    readers: list[schema.OperatorT]


def reaches(content: bytes, rows: list[np.ndarray]) -> dict[int, np.ndarray]:
    """Returns how far each channel of the bottlenecks of a float file goes above and below zero.

    Returns:
        An array `(2, channels)`, not negative, by the number of the tensor.
    """
    graph = _Graph(content)
    parts = [part for one in graph.bottlenecks() for part in one.parts]
    if not parts:
        return {}
    seen = {part: _Channels(len(rows[0]), graph.channels(part)) for part in parts}
    observe(content, rows, seen)
    return {part: channels.reach for part, channels in seen.items()}


def segmented(
    content: bytes,
    reach: dict[int, np.ndarray],
    share: float,
    recipes: Recipes | None = None,
    budget: float = math.inf,
) -> tuple[bytes, int, Recipes]:
    """Returns a calibrated float file with bottlenecks in segments, their number, and its recipes.

    Args:
        content: A float32 file with ranges, from `calibrated`.
        reach: The result of `reaches`.
        share: Only bottlenecks with at least this share of the largest one's positions are split.
        recipes: The recipes of the file, if any.
        budget: How many bytes the segments may take.
    """
    graph = _Graph(content, recipes, budget)
    # The highest resolution spends the budget first.
    found = sorted(graph.bottlenecks(), key=lambda one: -graph.positions(one.parts[0]))
    least = share * max((graph.positions(one.parts[0]) for one in found), default=0)
    chosen = [
        one for one in found if graph.positions(one.parts[0]) >= least and graph.split(one, reach)
    ]
    return flatbuffer.write(graph.model), len(chosen), graph.recipes


class _Graph(Graph):
    """A parsed file, with the op that writes each tensor and the ops that read it."""

    def __init__(self, content: bytes, recipes: Recipes | None = None, budget: float = math.inf):
        super().__init__(content, recipes)
        self._left = budget
        self.writer, self.readers = {}, {}
        for op in self.graph.operators:
            self.writer |= dict.fromkeys(op.outputs, op)
            for number in op.inputs:
                self.readers.setdefault(number, []).append(op)

    def bottlenecks(self) -> list[_Bottleneck]:
        """Tensors, and sums of tensors, that linear ops write and linear ops read."""
        found = []
        for number, op in self.writer.items():
            readers = self.readers.get(number, [])
            reads = readers and all(self._reads(one, number) for one in readers)
            if number in self.graph.outputs or not reads:
                continue
            if self._writes(op, number):
                found.append(_Bottleneck([number], None, readers))
            elif self._is(op, _OPS.ADD) and all(self._only_for(one, op) for one in op.inputs):
                found.append(_Bottleneck(list(op.inputs), op, readers))
        return [one for one in found if 2 * self.channels(one.parts[0]) <= self._between(one)]

    def _between(self, one: _Bottleneck) -> int:
        """Channels of the widest tensor before or after."""
        before = [self.kernel(self.writer[part]).shape[-1] for part in one.parts]
        return max(*before, *(self.kernel(reader).shape[0] for reader in one.readers))

    def positions(self, number: int) -> int:
        return int(np.prod(self.graph.tensors[number].shape[:-1]))

    def channels(self, number: int) -> int:
        return int(self.graph.tensors[number].shape[-1])

    def split(self, one: _Bottleneck, reach: dict[int, np.ndarray]) -> bool:
        """Splits a bottleneck into segments; returns false if nothing is gained by it."""
        parts = [_segments(reach[part], self._most(one)) for part in one.parts]
        if None in parts:
            return False
        self._left -= self._growth(one, max(len(found.channels) for found in parts))
        for part, segments in zip(one.parts, parts, strict=True):
            self._widen_writer(part, segments)
        if one.sum is not None:
            self._concatenate(one.sum, sum(len(segments.channels) for segments in parts))
        for reader in one.readers:
            kernel = self.kernel(reader)
            columns = [kernel[..., s.channels] * (s.signs * s.width / _TOP) for s in parts]
            self.set_constant(reader, LINEAR[self.kind(reader)][1], np.concatenate(columns, -1))
            self._widen_recipe(reader, parts)
        return True

    def _most(self, one: _Bottleneck) -> int:
        """The most segments of each part that the widths and the budget allow; 0 for none."""
        channels = self.channels(one.parts[0])
        most = min(_FACTOR * channels, self._between(one))
        allowed = (n for n in range(most, channels, -1) if self._growth(one, n) <= self._left)
        return next(allowed, 0)

    def _growth(self, one: _Bottleneck, count: int) -> int:
        """The bytes that `count` segments of each part add."""
        rows = sum(of_rows(self.kernel(self.writer[part]), count) for part in one.parts)
        columns = len(one.parts) * count
        return rows + sum(of_columns(self.kernel(op), columns) for op in one.readers)

    def _widen_recipe(self, reader: schema.OperatorT, parts: list["_Segments"]) -> None:
        """Changes the recipe of an op that reads a bottleneck: it gets more columns."""
        recipe = self.recipes.get(reader.outputs[0])
        if recipe is None:
            return
        last = self.kernel(reader).ndim - 1
        columns = []
        for one in parts:
            gathered = Node(Op.GATHER, (recipe.kernel, one.node), (last,))
            columns.append(Node(Op.MULTIPLY, (gathered, scalar(one.width / _TOP))))
        kernel = columns[0]
        for one in columns[1:]:
            kernel = Node(Op.CONCATENATE, (kernel, one), (last,))
        self.recipes[reader.outputs[0]] = Recipe(kernel, recipe.bias)

    def _widen_writer(self, number: int, segments: "_Segments") -> None:
        op = self.writer[number]
        kind, (_, kernel, bias) = self.kind(op), LINEAR[self.kind(op)]
        factors = segments.signs * _TOP / segments.width
        rows = self.kernel(op)
        offsets = self.bias(op)
        rows = rows[segments.channels] * factors.reshape(-1, *[1] * (rows.ndim - 1))
        self.set_constant(op, kernel, rows)
        self.set_constant(op, bias, offsets[segments.channels] * factors - _TOP * segments.starts)
        if number in self.recipes:
            self.recipes[number] = segments.of_writer(self.recipes[number])
        op.builtinOptions.fusedActivationFunction = _ACTIVATIONS.RELU6
        if kind == _OPS.TRANSPOSE_CONV:
            *shape, _ = self.graph.tensors[number].shape
            self.set_constant(op, 0, np.array([*shape, len(factors)]), np.int32)
            code = self.model.operatorCodes[op.opcodeIndex]
            code.version = max(code.version, _VERSION_WITH_ACTIVATION)
        self._reshape(number, len(factors))

    def _concatenate(self, op: schema.OperatorT, channels: int) -> None:
        """Turns a sum into a concatenation, because the op that reads it adds up anyway."""
        options = schema.ConcatenationOptionsT()
        options.axis = len(self.graph.tensors[op.outputs[0]].shape) - 1
        self.become(op, _OPS.CONCATENATION, options)
        self._reshape(op.outputs[0], channels)

    def _reshape(self, number: int, channels: int) -> None:
        tensor = self.graph.tensors[number]
        tensor.shape = np.array([*tensor.shape[:-1], channels], np.int32)
        tensor.shapeSignature = None
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.min, tensor.quantization.max = [0.0], [_TOP]

    def _is(self, op: schema.OperatorT | None, kind: int) -> bool:
        none = _ACTIVATIONS.NONE
        return (
            op is not None
            and self.kind(op) == kind
            and getattr(op.builtinOptions, "fusedActivationFunction", none) == none
        )

    def _reads(self, op: schema.OperatorT, number: int) -> bool:
        """Whether a linear op reads the tensor as its activation, with a kernel for all of it."""
        if self.kind(op) not in LINEAR:
            return False
        return (
            op.inputs[LINEAR[self.kind(op)][0]] == number
            and self.is_linear(op)
            and self.kernel(op).shape[-1] == self.channels(number)
        )

    def _writes(self, op: schema.OperatorT | None, number: int) -> bool:
        linear = any(self._is(op, kind) for kind in LINEAR)
        return linear and self._reads(op, op.inputs[LINEAR[self.kind(op)][0]])

    def _only_for(self, number: int, op: schema.OperatorT) -> bool:
        """Whether a linear op writes the tensor for one op alone."""
        return self._writes(self.writer.get(number), number) and self.readers[number] == [op]


@dataclasses.dataclass(frozen=True)
class _Segments:
    """The channel of each segment, its side of 0, and where it begins, in widths.

    `node` says the same for recipes.
    """

    width: float
    channels: np.ndarray
    signs: np.ndarray
    starts: np.ndarray
    node: Node

    def of_writer(self, recipe: Recipe) -> Recipe:
        """The recipe of an op that writes a bottleneck: more rows, which differ in the bias."""
        factor = scalar(_TOP / self.width)
        kernel = Node(Op.MULTIPLY, (Node(Op.GATHER, (recipe.kernel, self.node), (0,)), factor))
        starts = Node(Op.MULTIPLY, (Node(Op.STARTS, (self.node,)), scalar(_TOP)))
        bias = scalar(0)
        if recipe.bias is not None:
            bias = Node(Op.MULTIPLY, (Node(Op.GATHER, (recipe.bias, self.node), (0,)), factor))
        return Recipe(kernel, Node(Op.SUBTRACT, (bias, starts)))


def _segments(reach: np.ndarray, count: int) -> _Segments | None:
    """The narrowest segments of equal width such that `count` of them cover all channels."""
    channels, reach = reach.shape[1], reach.ravel()
    if reach.max() < _SILENT:
        return None
    # A side that is a rounding error beside the largest one is left out.
    reach = np.where(reach < 1e-6 * reach.max(), 0, reach)
    widths = np.unique([reach[reach > 0] / n for n in range(1, count + 1)])
    fitting = [w for w in widths if np.ceil(reach / w - 1e-9).sum() <= count]
    if not fitting:
        return None
    numbers = np.ceil(reach / fitting[0] - 1e-9).astype(int)
    sides = np.repeat(np.arange(len(reach)), numbers)
    starts = np.concatenate([np.arange(n) for n in numbers])
    signs = np.where(sides < channels, 1, -1)
    node = Node(Op.SEGMENTS, (), tuple(numbers.tolist()))
    return _Segments(fitting[0], sides % channels, signs, starts, node)
