"""A parsed flatbuffer that can be rewritten: the ops' kinds, and constants of their own."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from fr_keras.tflite import flatbuffer

_TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int32): schema.TensorType.INT32,
}


class Graph:
    """The one subgraph of a float file.

    Attributes:
        model: What `flatbuffer.write` takes.
        graph: Its subgraph.
    """

    def __init__(self, content: bytes):
        self.model = flatbuffer.read(content)
        self.graph = self.model.subgraphs[0]

    def kind(self, op: schema.OperatorT) -> int:
        """Which builtin operator it is."""
        return self.model.operatorCodes[op.opcodeIndex].builtinCode

    def become(self, op: schema.OperatorT, kind: int, options, version: int = 1) -> None:
        """Makes another operator of an op."""
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = kind
        code.version = version
        self.model.operatorCodes.append(code)
        op.opcodeIndex = len(self.model.operatorCodes) - 1
        op.builtinOptions = options
        name = type(options).__name__.removesuffix("T")
        op.builtinOptionsType = getattr(schema.BuiltinOptions, name)

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

    def set_constant(self, op: schema.OperatorT, position: int, values, dtype=np.float32) -> None:
        """Gives an op a constant of its own: it may have none, or share it with others."""
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
