"""Bottlenecks in segments: what int8 holds of a few linear channels gets a finer step.

Between the linear ops of a factored chain there are few channels, some of them many times as
large as the others, and 256 values for all of them together. Such a channel `z` can be stored as
several, each for a segment of its range, that differ in the bias alone:

    u_j = relu6(6 (z / d - j)),  v_j = relu6(6 (-z / d - j)),    z = d / 6 (sum u_j - sum v_j)

The op before computes them with more rows in its kernel, the op behind adds them up with more
columns: no new op, the same function on the range that was seen, padding with zeros included, and
a step of `d / 255` where it was the range of the largest channel. `d` is one for all channels, so
a large one gets more segments than a small one.
"""

import dataclasses

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from fr_keras.tflite import flatbuffer
from fr_keras.tflite.observe import observe
from fr_keras.tflite.quantize import Samples, clipped_range

_OPS = schema.BuiltinOperator
_ACTIVATIONS = schema.ActivationFunctionType
# Positions of the activation, the kernel `(out, ..., in)` and the bias among an op's inputs.
_LINEAR = {
    _OPS.CONV_2D: (0, 1, 2),
    _OPS.FULLY_CONNECTED: (0, 1, 2),
    _OPS.TRANSPOSE_CONV: (2, 1, 3),
}
_FACTOR = 4  # channels for each one: 2 more bits where all have the same range
_TOP = 6.0
_SILENT = 1e-30  # no row excites it, and its inverse is no float32
_TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int32): schema.TensorType.INT32,
}
# The first version of TRANSPOSE_CONV with an activation; those before ignore it.
_VERSION_WITH_ACTIVATION = 4


class _Channels:
    """Some of the values of each channel, the last axis, on a number of rows."""

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
    """Linear channels: the tensors that are stored, the sum of them if any, and what reads it."""

    parts: list[int]
    sum: schema.OperatorT | None
    readers: list[schema.OperatorT]


def reaches(content: bytes, rows: list[np.ndarray]) -> dict[int, np.ndarray]:
    """How far each channel of the bottlenecks of a float file goes above zero, and below.

    Returns:
        By number of the tensor an array `(2, channels)`, not negative.
    """
    graph = _Graph(content)
    parts = [part for one in graph.bottlenecks() for part in one.parts]
    seen = {part: _Channels(len(rows[0]), graph.channels(part)) for part in parts}
    observe(content, rows, seen)
    return {part: channels.reach for part, channels in seen.items()}


def segmented(content: bytes, reach: dict[int, np.ndarray], share: float) -> tuple[bytes, int]:
    """Returns a calibrated float file with bottlenecks in segments, and how many there are.

    Args:
        content: A float32 file with ranges, from `calibrated`.
        reach: What `reaches` found.
        share: Bottlenecks of at least this share of the positions of the largest one.
    """
    graph = _Graph(content)
    found = graph.bottlenecks()
    positions = [graph.positions(one.parts[0]) for one in found]
    chosen = [
        one
        for one, count in zip(found, positions, strict=True)
        if count >= share * max(positions) and graph.split(one, reach)
    ]
    return flatbuffer.write(graph.model), len(chosen)


class _Graph:
    """A parsed file, with who writes and who reads each tensor."""

    def __init__(self, content: bytes):
        self.model = flatbuffer.read(content)
        self.graph = self.model.subgraphs[0]
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
        """Channels of the widest tensor before or behind."""
        before = [self._kernel(self.writer[part]).shape[-1] for part in one.parts]
        return max(*before, *(self._kernel(reader).shape[0] for reader in one.readers))

    def positions(self, number: int) -> int:
        return int(np.prod(self.graph.tensors[number].shape[:-1]))

    def channels(self, number: int) -> int:
        return int(self.graph.tensors[number].shape[-1])

    def split(self, one: _Bottleneck, reach: dict[int, np.ndarray]) -> bool:
        """Puts a bottleneck in segments; false where there is nothing to gain by it."""
        count = min(_FACTOR * self.channels(one.parts[0]), self._between(one))
        parts = [_segments(reach[part], count) for part in one.parts]
        if None in parts:
            return False
        for part, segments in zip(one.parts, parts, strict=True):
            self._widen_writer(part, segments)
        if one.sum is not None:
            self._concatenate(one.sum, sum(len(segments.channels) for segments in parts))
        for reader in one.readers:
            kernel = self._kernel(reader)
            columns = [kernel[..., s.channels] * (s.signs * s.width / _TOP) for s in parts]
            self._set(reader, _LINEAR[self._kind(reader)][1], np.concatenate(columns, -1))
        return True

    def _widen_writer(self, number: int, segments: "_Segments") -> None:
        op = self.writer[number]
        kind, (_, kernel, bias) = self._kind(op), _LINEAR[self._kind(op)]
        factors = segments.signs * _TOP / segments.width
        rows = self._kernel(op)
        offsets = self._constant(op.inputs[bias]) if self._has_bias(op) else np.zeros(len(rows))
        rows = rows[segments.channels] * factors.reshape(-1, *[1] * (rows.ndim - 1))
        self._set(op, kernel, rows)
        self._set(op, bias, offsets[segments.channels] * factors - _TOP * segments.starts)
        op.builtinOptions.fusedActivationFunction = _ACTIVATIONS.RELU6
        if kind == _OPS.TRANSPOSE_CONV:
            *shape, _ = self.graph.tensors[number].shape
            self._set(op, 0, np.array([*shape, len(factors)]), np.int32)
            code = self.model.operatorCodes[op.opcodeIndex]
            code.version = max(code.version, _VERSION_WITH_ACTIVATION)
        self._reshape(number, len(factors))

    def _concatenate(self, op: schema.OperatorT, channels: int) -> None:
        """Makes a concatenation of a sum: what reads it adds up anyway."""
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = _OPS.CONCATENATION
        code.version = 1
        self.model.operatorCodes.append(code)
        op.opcodeIndex = len(self.model.operatorCodes) - 1
        op.builtinOptions = schema.ConcatenationOptionsT()
        op.builtinOptions.axis = len(self.graph.tensors[op.outputs[0]].shape) - 1
        op.builtinOptionsType = schema.BuiltinOptions.ConcatenationOptions
        self._reshape(op.outputs[0], channels)

    def _reshape(self, number: int, channels: int) -> None:
        tensor = self.graph.tensors[number]
        tensor.shape = np.array([*tensor.shape[:-1], channels], np.int32)
        tensor.shapeSignature = None
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.min, tensor.quantization.max = [0.0], [_TOP]

    def _kind(self, op: schema.OperatorT) -> int:
        return self.model.operatorCodes[op.opcodeIndex].builtinCode

    def _is(self, op: schema.OperatorT | None, kind: int) -> bool:
        none = _ACTIVATIONS.NONE
        return (
            op is not None
            and self._kind(op) == kind
            and getattr(op.builtinOptions, "fusedActivationFunction", none) == none
        )

    def _reads(self, op: schema.OperatorT, number: int) -> bool:
        """Whether a linear op reads the tensor as its activation, with a kernel for all of it."""
        if self._kind(op) not in _LINEAR:
            return False
        activation, kernel, bias = _LINEAR[self._kind(op)]
        constants = [kernel, bias] if self._has_bias(op) else [kernel]
        return (
            op.inputs[activation] == number
            and all(self._is_constant(op.inputs[position]) for position in constants)
            and self._kernel(op).shape[-1] == self.channels(number)
        )

    def _writes(self, op: schema.OperatorT | None, number: int) -> bool:
        linear = any(self._is(op, kind) for kind in _LINEAR)
        return linear and self._reads(op, op.inputs[_LINEAR[self._kind(op)][0]])

    def _only_for(self, number: int, op: schema.OperatorT) -> bool:
        """Whether a linear op writes the tensor for one op alone."""
        return self._writes(self.writer.get(number), number) and self.readers[number] == [op]

    def _has_bias(self, op: schema.OperatorT) -> bool:
        bias = _LINEAR[self._kind(op)][2]
        return len(op.inputs) > bias and op.inputs[bias] >= 0

    def _is_constant(self, number: int) -> bool:
        tensor = self.graph.tensors[number]
        held = self.model.buffers[tensor.buffer].data is not None
        return held and tensor.type == schema.TensorType.FLOAT32

    def _kernel(self, op: schema.OperatorT) -> np.ndarray:
        return self._constant(op.inputs[_LINEAR[self._kind(op)][1]])

    def _constant(self, number: int) -> np.ndarray:
        tensor = self.graph.tensors[number]
        data = np.asarray(self.model.buffers[tensor.buffer].data, np.uint8)
        return data.view(np.float32).reshape(tensor.shape).astype(np.float64)

    def _set(self, op: schema.OperatorT, position: int, values, dtype=np.float32) -> None:
        """Gives an op a constant of its own: it may have none, or share it with others."""
        tensor, buffer = schema.TensorT(), schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values, dtype).tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        tensor.buffer = len(self.model.buffers) - 1
        named = op.inputs[position] if position < len(op.inputs) else op.outputs[0]
        tensor.name = self.graph.tensors[named].name
        tensor.type = _TYPES[np.dtype(dtype)]
        tensor.shape = np.array(np.shape(values), np.int32)
        self.graph.tensors.append(tensor)
        op.inputs = np.array([*op.inputs, *[-1] * (position + 1 - len(op.inputs))], np.int32)
        op.inputs[position] = len(self.graph.tensors) - 1


@dataclasses.dataclass(frozen=True)
class _Segments:
    """Of which channel each segment is, on which side of 0, and where it begins, in widths."""

    width: float
    channels: np.ndarray
    signs: np.ndarray
    starts: np.ndarray


def _segments(reach: np.ndarray, count: int) -> _Segments | None:
    """The narrowest segments of one width of which `count` cover all channels."""
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
    return _Segments(fitting[0], sides % channels, signs, starts)
