"""Ops whose output rows each depend on the same few input rows, and on no others."""

import dataclasses
from collections.abc import Callable
from fractions import Fraction

from ai_edge_litert import schema_py_generated as schema

from fr_keras.tflite.file._rewriting import Rewriter

_TYPES = (schema.TensorType.FLOAT32, schema.TensorType.INT8)
_SAME = schema.Padding.SAME


@dataclasses.dataclass(frozen=True)
class Rows:
    """How an op can be cut into strips of rows.

    Attributes:
        op: The op.
        cut: The inputs that are cut as its output is; the others are read whole.
        ratio: Rows of these inputs for a row of the output.
    """

    op: schema.OperatorT
    cut: tuple[int, ...]
    ratio: Fraction

    @property
    def output(self) -> int:
        """The number of its output."""
        return int(self.op.outputs[0])


def rows_of(new: Rewriter, op: schema.OperatorT) -> Rows | None:
    """How an op can be cut; `None` if it cannot, or is not known."""
    name = new.name(op)
    if name not in _KINDS or len(op.outputs) != 1 or not _is_image(new, op.outputs[0]):
        return None
    types = {new.graph.tensors[n].type for n in (op.inputs[0], op.outputs[0])}
    if schema.TensorType.INT8 in types and name not in _INT8:
        return None
    ratio, positions = _KINDS[name](new, op)
    if ratio is None:
        return None
    cut = [int(op.inputs[n]) for n in positions if _is_cut(new, op, op.inputs[n])]
    whole = {int(n) for n in op.inputs} - {*cut, -1}
    others = {int(op.inputs[n]) for n in positions} & whole
    if not cut or not all(_is_image(new, n) for n in cut):
        return None
    # Read beside others, it must be the same for all rows.
    if any(_rows(new, n) > 1 for n in others):
        return None
    return Rows(op, tuple(dict.fromkeys(cut)), ratio)


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
    return Fraction(1), range(len(op.inputs))


def _convolution(new: Rewriter, op: schema.OperatorT):
    source, kernel = (new.graph.tensors[n] for n in op.inputs[:2])
    # An int8 kernel gives float activations a scale from all of their values.
    pointwise = new.shape(op.inputs[1])[1] == 1 and kernel.type == source.type
    return Fraction(op.builtinOptions.strideH) if pointwise else None, (0,)


def _pooling(new: Rewriter, op: schema.OperatorT):
    options = op.builtinOptions
    apart = options.filterHeight == options.strideH
    aligned = options.padding != _SAME or _rows(new, op.inputs[0]) % options.strideH == 0
    return Fraction(options.strideH) if apart and aligned else None, (0,)


def _softmax(new: Rewriter, op: schema.OperatorT):
    return Fraction(1), (0,)


def _to_space(new: Rewriter, op: schema.OperatorT):
    return Fraction(1, op.builtinOptions.blockSize), (0,)


def _to_depth(new: Rewriter, op: schema.OperatorT):
    return Fraction(op.builtinOptions.blockSize), (0,)


def _joining(new: Rewriter, op: schema.OperatorT):
    return Fraction(1) if op.builtinOptions.axis in (2, 3, -1, -2) else None, range(len(op.inputs))


_POINTWISE = (
    *("ABS", "ELU", "EXP", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "NEG", "RELU"),
    *("RELU6", "RELU_N1_TO_1", "RSQRT", "SQRT", "SQUARE", "TANH"),
    *("ADD", "DIV", "MAXIMUM", "MINIMUM", "MUL", "PRELU", "SQUARED_DIFFERENCE", "SUB"),
    *("QUANTIZE", "DEQUANTIZE"),
)
#: Name of an op -> a function that gives the ratio, `None` for none, and the positions of
#: activations among its inputs.
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
}
#: The ops of these that XNNPACK takes in int8 as well. The others would split it, strip by strip.
_INT8 = {
    *("ADD", "MUL", "SUB", "LEAKY_RELU", "LOGISTIC", "TANH", "QUANTIZE", "DEQUANTIZE"),
    *("CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH"),
    "CONCATENATION",
}
