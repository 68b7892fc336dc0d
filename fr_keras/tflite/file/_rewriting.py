"""Rewrites the only graph of a parsed file: new ops, activations and constants."""

import copy
from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from fr_keras.tflite.file import flatbuffer

_TYPES = {np.dtype(np.int32): schema.TensorType.INT32}


class Rewriter:
    """A parsed file to which a pass adds ops and tensors.

    It changes no tensor and no op that the file has, but only its lists, so that a copy of these
    lists is a copy of the file.

    Args:
        model: The parsed file, with one subgraph; it stays as it is.

    Attributes:
        model: The new file.
        graph: Its graph, whose `operators` the pass sets.
    """

    def __init__(self, model: schema.ModelT):
        self.model, self.graph = copy.copy(model), copy.copy(model.subgraphs[0])
        self.model.subgraphs = [self.graph]
        self.model.buffers = [*model.buffers]
        self.model.operatorCodes = [*model.operatorCodes]
        self.graph.tensors = [*self.graph.tensors]
        self._constants: dict[tuple, int] = {}

    def name(self, op: schema.OperatorT) -> str:
        """The name of an op."""
        return flatbuffer.op_name(self.model.operatorCodes[op.opcodeIndex])

    def shape(self, number: int) -> list[int]:
        """The shape of a tensor."""
        shape = self.graph.tensors[number].shape
        return [] if shape is None else [int(n) for n in shape]

    def data(self, number: int) -> np.ndarray | None:
        """The bytes of a constant; `None` for an activation."""
        return self.model.buffers[self.graph.tensors[number].buffer].data

    def activation(self, like: int, shape: Sequence[int]) -> int:
        """Adds an activation with the name, type and quantization of another tensor."""
        tensor = copy.copy(self.graph.tensors[like])
        tensor.shape, tensor.shapeSignature, tensor.buffer = np.array(shape, np.int32), None, 0
        return self._added(tensor)

    def constant(
        self, values: np.ndarray, like: int, quantization: schema.QuantizationParametersT | None
    ) -> int:
        """Adds a constant with the name and type of another tensor."""
        tensor = copy.copy(self.graph.tensors[like])
        tensor.shape, tensor.shapeSignature = np.array(values.shape, np.int32), None
        tensor.quantization, tensor.buffer = quantization, self._buffer(values)
        return self._added(tensor)

    def integers(self, values) -> int:
        """The number of an int32 constant, which all that need these values share."""
        values = np.asarray(values, np.int32)
        key = values.shape, values.tobytes()
        if key not in self._constants:
            tensor = schema.TensorT()
            tensor.name, tensor.shape = b"", np.array(values.shape, np.int32)
            tensor.type, tensor.buffer = schema.TensorType.INT32, self._buffer(values)
            self._constants[key] = self._added(tensor)
        return self._constants[key]

    def op(
        self, name: str, inputs: Sequence[int], output: int, options, version: int = 1
    ) -> schema.OperatorT:
        """Makes an op."""
        made = schema.OperatorT()
        made.opcodeIndex = self._code(getattr(schema.BuiltinOperator, name), version)
        made.inputs, made.outputs = np.array(inputs, np.int32), np.array([output], np.int32)
        kind = type(options).__name__.removesuffix("T")
        made.builtinOptions = options
        made.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
        return made

    def reshape(self, number: int, shape: Sequence[int]) -> schema.OperatorT:
        """Makes an op that reads an activation in another shape."""
        options = schema.ReshapeOptionsT()
        options.newShape = np.array(shape, np.int32)
        output = self.activation(number, shape)
        return self.op("RESHAPE", [number, self.integers(shape)], output, options)

    def slice(self, number: int, begin: Sequence[int], size: Sequence[int]) -> schema.OperatorT:
        """Makes an op that takes a part of an activation."""
        inputs = [number, self.integers(begin), self.integers(size)]
        output = self.activation(number, size)
        return self.op("SLICE", inputs, output, schema.SliceOptionsT(), self._version(number))

    def pad(self, number: int, pads: Sequence[Sequence[int]]) -> schema.OperatorT:
        """Makes an op that puts zeros around an activation."""
        shape = [n + sum(pad) for n, pad in zip(self.shape(number), pads, strict=True)]
        inputs = [number, self.integers(pads)]
        output = self.activation(number, shape)
        return self.op("PAD", inputs, output, schema.PadOptionsT(), self._version(number))

    def concatenation(self, numbers: Sequence[int], axis: int, output: int) -> schema.OperatorT:
        """Makes an op that joins activations to a tensor that is already there."""
        options = schema.ConcatenationOptionsT()
        options.axis, options.fusedActivationFunction = axis, 0
        return self.op("CONCATENATION", numbers, output, options, self._version(output))

    def finished(self) -> schema.ModelT:
        """The new file, without the tensors and buffers that nothing needs any more."""
        model, graph = copy.copy(self.model), copy.copy(self.graph)
        used = {int(n) for op in graph.operators for n in (*op.inputs, *op.outputs) if n >= 0}
        kept = sorted(used | {int(n) for n in (*graph.inputs, *graph.outputs)})
        place = {-1: -1, **{number: new for new, number in enumerate(kept)}}
        rows = [copy.copy(row) for row in model.metadata or []]
        graph.tensors = [copy.copy(graph.tensors[number]) for number in kept]
        buffers = sorted({0, *(one.buffer for one in (*graph.tensors, *rows))})
        for one in (*graph.tensors, *rows):
            one.buffer = buffers.index(one.buffer)
        model.buffers, model.metadata = [model.buffers[n] for n in buffers], rows
        graph.operators = [copy.copy(op) for op in graph.operators]
        for part in (graph, *graph.operators):
            part.inputs, part.outputs = (
                np.array([place[int(n)] for n in numbers], np.int32)
                for numbers in (part.inputs, part.outputs)
            )
        model.signatureDefs = [copy.copy(one) for one in model.signatureDefs or []]
        for one in model.signatureDefs:
            one.inputs, one.outputs = (_mapped(ends, place) for ends in (one.inputs, one.outputs))
        model.subgraphs = [graph]
        return model

    def _version(self, number: int) -> int:
        """The version of an op that moves numbers: the second one knows int8."""
        return 2 if self.graph.tensors[number].type == schema.TensorType.INT8 else 1

    def _added(self, tensor: schema.TensorT) -> int:
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def _buffer(self, values: np.ndarray) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        return len(self.model.buffers) - 1

    def _code(self, kind: int, version: int) -> int:
        for number, code in enumerate(self.model.operatorCodes):
            if (code.builtinCode, code.version) == (kind, version):
                return number
        code = schema.OperatorCodeT()
        code.builtinCode, code.version = kind, version
        code.deprecatedBuiltinCode = min(kind, 127)
        self.model.operatorCodes.append(code)
        return len(self.model.operatorCodes) - 1


def _mapped(ends: Sequence[schema.TensorMapT], place: dict[int, int]) -> list[schema.TensorMapT]:
    """The names of a signature for tensors in new places."""
    made = [copy.copy(end) for end in ends or []]
    for end in made:
        end.tensorIndex = place[int(end.tensorIndex)]
    return made
