"""Ops whose output rows each depend on a few input rows that lie together."""

import dataclasses
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from fr_keras.tflite.file._rewriting import Rewriter

_TYPES = (schema.TensorType.FLOAT32, schema.TensorType.INT8)
_SAME = schema.Padding.SAME


@dataclasses.dataclass(frozen=True)
class Reach:
    """What an op needs for some rows of its output.

    Attributes:
        begin: The first row of its inputs.
        end: The row after the last.
        first: Which row of its output on these inputs is the first of those that are wanted.
        count: The rows of that output.
        zeros: Rows of zeros that it puts above and below these inputs, if it is a PAD.
    """

    begin: int
    end: int
    first: int
    count: int
    zeros: tuple[int, int] = (0, 0)


@dataclasses.dataclass(frozen=True)
class Rows:
    """How an op can be cut into strips of rows.

    Attributes:
        op: The op.
        cut: The inputs that are cut as its output is; the others are read whole.
        ratio: Rows of these inputs for a row of the output.
        size: Rows of these inputs that a row of the output is computed from.
        same: Whether rows beyond the ends of an input count as zeros.
        zeros: Rows of zeros that a PAD puts above and below.
        heights: Rows of the inputs and of the output.
    """

    op: schema.OperatorT
    cut: tuple[int, ...]
    ratio: Fraction
    size: int
    same: bool
    zeros: tuple[int, int]
    heights: tuple[int, int]

    @property
    def output(self) -> int:
        """The number of its output."""
        return int(self.op.outputs[0])

    @property
    def overlaps(self) -> bool:
        """Whether strips of its output may need rows of each other's inputs."""
        ragged = self.same and self.size > 1 and self.heights[0] % self.ratio
        return self.size > max(self.ratio, 1) or any(self.zeros) or bool(ragged)

    def reach(self, begin: int, end: int) -> Reach | None:
        """What it needs for these rows of its output; `None` if it cannot compute them alone."""
        if any(self.zeros):
            low, high = begin - self.zeros[0], end - self.zeros[0]
            start, stop = max(low, 0), min(high, self.heights[0])
            added = start - low, high - stop
            return Reach(start, stop, 0, end - begin, added) if start < stop else None
        if self.ratio < 1:
            block = self.ratio.denominator
            start, stop = begin // block, -(-end // block)
            return Reach(start, stop, begin - start * block, (stop - start) * block)
        return self._window(begin, end)

    def _window(self, begin: int, end: int) -> Reach | None:
        """The fewest rows on which the op's own zeros are where they are for the whole input."""
        stride, height = int(self.ratio), self.heights[0]
        low = begin * stride - self._above(height)
        high = low + (end - begin - 1) * stride + self.size
        for more in range(4 * stride + 1):
            for above in range(more + 1):
                start, stop = max(low, 0) - above, min(high, height) + more - above
                if not 0 <= start < stop <= height:
                    continue
                first, rest = divmod(low - start + self._above(stop - start), stride)
                count = self._count(stop - start)
                if not rest and 0 <= first <= count - (end - begin):
                    return Reach(start, stop, first, count)
        return None

    def _count(self, height: int) -> int:
        stride = int(self.ratio)
        return -(-height // stride) if self.same else (height - self.size) // stride + 1

    def _above(self, height: int) -> int:
        if not self.same:
            return 0
        covered = (self._count(height) - 1) * int(self.ratio) + self.size
        return max(covered - height, 0) // 2


def rows_of(new: Rewriter, op: schema.OperatorT) -> Rows | None:
    """How an op can be cut; `None` if it cannot, or is not known."""
    name = new.name(op)
    if name not in _KINDS or len(op.outputs) != 1 or not _is_image(new, op.outputs[0]):
        return None
    types = {new.graph.tensors[n].type for n in (op.inputs[0], op.outputs[0])}
    if schema.TensorType.INT8 in types and name not in _INT8:
        return None
    found = _KINDS[name](new, op)
    if found is None:
        return None
    ratio, positions, size = found
    cut = [int(op.inputs[n]) for n in positions if _is_cut(new, op, op.inputs[n])]
    whole = {int(n) for n in op.inputs} - {*cut, -1}
    others = {int(op.inputs[n]) for n in positions} & whole
    if not cut or not all(_is_image(new, n) for n in cut):
        return None
    # Read beside others, it must be the same for all rows.
    if any(_rows(new, n) > 1 for n in others):
        return None
    same = getattr(op.builtinOptions, "padding", None) == _SAME
    zeros = _zeros(new, op) if name == "PAD" else (0, 0)
    heights = _rows(new, cut[0]), _rows(new, int(op.outputs[0]))
    return Rows(op, tuple(dict.fromkeys(cut)), ratio, size, same, zeros, heights)


def _is_image(new: Rewriter, number: int) -> bool:
    tensor, shape = new.graph.tensors[number], new.shape(number)
    return (
        len(shape) == 4 and shape[0] == 1 and tensor.type in _TYPES and not tensor.isVariable
    ) and new.data(number) is None


def _is_cut(new: Rewriter, op: schema.OperatorT, number: int) -> bool:
    if new.data(number) is not None:
        return False
    return _rows(new, number) > 1 or _rows(new, int(op.outputs[0])) == 1


def _rows(new: Rewriter, number: int) -> int:
    shape = new.shape(number)
    return shape[-3] if len(shape) > 2 else 1


def _pointwise(new: Rewriter, op: schema.OperatorT):
    return Fraction(1), range(len(op.inputs)), 1


def _convolution(new: Rewriter, op: schema.OperatorT):
    source, kernel = (new.graph.tensors[n] for n in op.inputs[:2])
    # An int8 kernel gives float activations a scale from all of their values.
    if kernel.type != source.type:
        return None
    options = op.builtinOptions
    size = (new.shape(op.inputs[1])[1] - 1) * options.dilationHFactor + 1
    return Fraction(options.strideH), (0,), size


def _pooling(new: Rewriter, op: schema.OperatorT):
    options = op.builtinOptions
    return Fraction(options.strideH), (0,), options.filterHeight


def _softmax(new: Rewriter, op: schema.OperatorT):
    return Fraction(1), (0,), 1


def _to_space(new: Rewriter, op: schema.OperatorT):
    return Fraction(1, op.builtinOptions.blockSize), (0,), 1


def _to_depth(new: Rewriter, op: schema.OperatorT):
    return Fraction(op.builtinOptions.blockSize), (0,), op.builtinOptions.blockSize


def _joining(new: Rewriter, op: schema.OperatorT):
    beside = op.builtinOptions.axis in (2, 3, -1, -2)
    return (Fraction(1), range(len(op.inputs)), 1) if beside else None


def _padding(new: Rewriter, op: schema.OperatorT):
    return None if _zeros(new, op) is None else (Fraction(1), (0,), 1)


def _zeros(new: Rewriter, op: schema.OperatorT) -> tuple[int, int] | None:
    """The rows that a PAD adds above and below, if they are known."""
    data, tensor = new.data(op.inputs[1]), new.graph.tensors[op.inputs[1]]
    if data is None or tensor.type != schema.TensorType.INT32:
        return None
    pads = np.asarray(data, np.uint8).view(np.int32).reshape(4, 2)
    return None if pads[0].any() else tuple(int(n) for n in pads[1])


_POINTWISE = (
    *("ABS", "ELU", "EXP", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "NEG", "RELU"),
    *("RELU6", "RELU_N1_TO_1", "RSQRT", "SQRT", "SQUARE", "TANH"),
    *("ADD", "DIV", "MAXIMUM", "MINIMUM", "MUL", "PRELU", "SQUARED_DIFFERENCE", "SUB"),
    *("QUANTIZE", "DEQUANTIZE"),
)
#: Name of an op -> a function that gives the ratio, the positions of activations among its inputs,
#: and the size; `None` if it cannot be cut.
_KINDS: dict[str, Callable] = {
    **dict.fromkeys(_POINTWISE, _pointwise),
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "MAX_POOL_2D": _pooling,
    "AVERAGE_POOL_2D": _pooling,
    "SOFTMAX": _softmax,
    "DEPTH_TO_SPACE": _to_space,
    "SPACE_TO_DEPTH": _to_depth,
    "CONCATENATION": _joining,
    "PAD": _padding,
}
#: The ops of these that XNNPACK takes in int8 as well. The others would split it, strip by strip.
_INT8 = {
    *("ADD", "MUL", "SUB", "LEAKY_RELU", "LOGISTIC", "TANH", "QUANTIZE", "DEQUANTIZE"),
    *("CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH"),
    *("CONCATENATION", "PAD"),
}
