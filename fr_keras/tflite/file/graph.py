"""A parsed flatbuffer whose ops can get another kind and constants of their own."""

import dataclasses
from collections.abc import Mapping

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from fr_archive.recipes import Node
from fr_keras.tflite.file import flatbuffer

_OPS = schema.BuiltinOperator
#: Positions of the activation, the kernel `(out, ..., in)` and the bias among an op's inputs.
LINEAR = {
    _OPS.CONV_2D: (0, 1, 2),
    _OPS.FULLY_CONNECTED: (0, 1, 2),
    _OPS.TRANSPOSE_CONV: (2, 1, 3),
}
_TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int32): schema.TensorType.INT32,
}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How the constants of an op are computed from the numbers in an archive.

    Attributes:
        kernel: The recipe of its kernel `(out, ...)`.
        bias: The recipe of its bias; `None` for zeros.
    """

    kernel: Node
    bias: Node | None


#: Recipes of ops, by the number of their output tensor.
Recipes = Mapping[int, Recipe]


class Graph:
    """The one subgraph of a float file.

    Args:
        content: The file.
        recipes: The known recipes of its ops.

    Attributes:
        model: The parsed file, as `flatbuffer.write` takes it.
        graph: Its subgraph.
        recipes: The recipes of its ops as they are now.
    """

    def __init__(self, content: bytes, recipes: Recipes | None = None):
        self.model = flatbuffer.read(content)
        self.graph = self.model.subgraphs[0]
        self.recipes = dict(recipes or {})

    def kind(self, op: schema.OperatorT) -> int:
        """Which builtin operator it is."""
        return self.model.operatorCodes[op.opcodeIndex].builtinCode

    def become(self, op: schema.OperatorT, kind: int, options, version: int = 1) -> None:
        """Turns an op into another operator; `options` is `None` for one that has none."""
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = kind
        code.version = version
        self.model.operatorCodes.append(code)
        op.opcodeIndex = len(self.model.operatorCodes) - 1
        op.builtinOptions = options
        name = "NONE" if options is None else type(options).__name__.removesuffix("T")
        op.builtinOptionsType = getattr(schema.BuiltinOptions, name)

    def is_linear(self, op: schema.OperatorT) -> bool:
        """Whether it is a linear op with a constant kernel, and a constant bias if any."""
        if self.kind(op) not in LINEAR:
            return False
        _, kernel, bias = LINEAR[self.kind(op)]
        positions = [kernel, bias] if self.has_bias(op) else [kernel]
        return all(self.is_constant(op.inputs[position]) for position in positions)

    def has_bias(self, op: schema.OperatorT) -> bool:
        """Whether a linear op has a bias."""
        bias = LINEAR[self.kind(op)][2]
        return len(op.inputs) > bias and op.inputs[bias] >= 0

    def kernel(self, op: schema.OperatorT) -> np.ndarray:
        """The kernel `(out, ..., in)` of a linear op."""
        return self.constant(op.inputs[LINEAR[self.kind(op)][1]])

    def bias(self, op: schema.OperatorT) -> np.ndarray:
        """The bias of a linear op, zeros if it has none."""
        if not self.has_bias(op):
            return np.zeros(len(self.kernel(op)))
        return self.constant(op.inputs[LINEAR[self.kind(op)][2]])

    def is_constant(self, number: int) -> bool:
        """Whether a tensor is a float32 constant."""
        tensor = self.graph.tensors[number]
        held = self.model.buffers[tensor.buffer].data is not None
        return held and tensor.type == schema.TensorType.FLOAT32

    def constant(self, number: int) -> np.ndarray:
        """The values of a float32 constant."""
        tensor = self.graph.tensors[number]
        data = np.asarray(self.model.buffers[tensor.buffer].data, np.uint8)
        return data.view(np.float32).reshape(tensor.shape).astype(np.float64)

    def integers(self, number: int) -> np.ndarray:
        """The values of an int32 constant."""
        data = np.asarray(self.model.buffers[self.graph.tensors[number].buffer].data, np.uint8)
        return data.view(np.int32)

    def set_constant(self, op: schema.OperatorT, position: int, values, dtype=np.float32) -> None:
        """Gives an op a constant of its own, because it may have none or share one with others."""
        inputs = [*op.inputs, *[-1] * (position + 1 - len(op.inputs))]
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values, dtype).tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        named = inputs[position] if inputs[position] >= 0 else op.outputs[0]
        inputs[position] = self.add_tensor(self.graph.tensors[named].name, np.shape(values))
        tensor = self.graph.tensors[inputs[position]]
        tensor.type, tensor.buffer = _TYPES[np.dtype(dtype)], len(self.model.buffers) - 1
        op.inputs = np.array(inputs, np.int32)

    def add_tensor(self, name: bytes, shape) -> int:
        """Adds an activation in float32; returns its number."""
        tensor = schema.TensorT()
        tensor.name, tensor.shape = name, np.array(shape, np.int32)
        tensor.type, tensor.buffer = schema.TensorType.FLOAT32, 0
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1
