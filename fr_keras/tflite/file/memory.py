"""The memory that a file is expected to need while it runs on a CPU."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from fr_keras.tflite.file import flatbuffer

_TYPES = schema.TensorType
_BITS = {
    _TYPES.FLOAT64: 64,
    _TYPES.INT64: 64,
    _TYPES.UINT64: 64,
    _TYPES.COMPLEX64: 64,
    _TYPES.COMPLEX128: 128,
    _TYPES.FLOAT32: 32,
    _TYPES.INT32: 32,
    _TYPES.UINT32: 32,
    _TYPES.FLOAT16: 16,
    _TYPES.INT16: 16,
    _TYPES.UINT16: 16,
    _TYPES.INT4: 4,
}
_POINTER = 8
_WINDOWED = ("DEPTHWISE_CONV_2D", "MAX_POOL_2D", "AVERAGE_POOL_2D")


@dataclasses.dataclass(frozen=True)
class Memory:
    """What a file is expected to need while it runs with XNNPACK on a 64-bit CPU.

    It is computed from the graph and not measured: what the process needs without any file comes on
    top of it, and other delegates need other memory.

    Attributes:
        activations: Bytes of the arena that holds the activations, of which each needs its place
            only from the op that makes it to the last op that reads it.
        windows: Bytes of the tables with which convolutions and pooling find the inputs of each
            output position. XNNPACK keeps them all.
        weights: Bytes of the constants: in the file, and as XNNPACK arranges them for each op.
    """

    activations: int
    windows: int
    weights: int

    @property
    def total(self) -> int:
        """The expected peak in bytes."""
        return self.activations + self.windows + self.weights

    def to_dict(self) -> dict:
        """Returns the bytes, with the total, ready for JSON."""
        return {**dataclasses.asdict(self), "total": self.total}

    def __str__(self) -> str:
        megabytes = (one / 1e6 for one in (self.total, *dataclasses.astuple(self)))
        return "{:.1f} MB: activations {:.1f}, windows {:.1f}, weights {:.1f}".format(*megabytes)


def expected(model: schema.ModelT) -> Memory | None:
    """The memory that a parsed file is expected to need; `None` for shapes that are not fixed.

    Args:
        model: The parsed file. A file with several subgraphs runs loops or branches, whose memory
            depends on values, so that its memory is not known either.
    """
    if len(model.subgraphs) != 1 or not is_static(model.subgraphs[0]):
        return None
    graph = model.subgraphs[0]
    constants = {n: size_of(t) for n, t in enumerate(graph.tensors) if is_constant(model, t)}
    stored = {graph.tensors[n].buffer: size for n, size in constants.items()}
    arranged = sum(constants.get(n, 0) for op in graph.operators for n in op.inputs)
    return Memory(
        activations=arena(graph.operators, sizes(model), graph.inputs, graph.outputs),
        windows=sum(window_bytes(model, op) for op in graph.operators),
        weights=sum(stored.values()) + arranged,
    )


def is_static(graph: schema.SubGraphT) -> bool:
    """Whether no tensor of a graph has an open axis."""
    signatures = (tensor.shapeSignature for tensor in graph.tensors)
    return all(one is None or np.min(one, initial=0) >= 0 for one in signatures)


def is_constant(model: schema.ModelT, tensor: schema.TensorT) -> bool:
    """Whether the file holds the values of a tensor."""
    return model.buffers[tensor.buffer].data is not None


def size_of(tensor: schema.TensorT) -> int:
    """The bytes of a tensor."""
    shape = () if tensor.shape is None else tensor.shape
    return -(-math.prod(int(n) for n in shape) * _BITS.get(tensor.type, 8) // 8)


def sizes(model: schema.ModelT) -> list[int]:
    """The bytes of each tensor of the only graph, 0 for constants."""
    tensors = model.subgraphs[0].tensors
    return [0 if is_constant(model, one) else size_of(one) for one in tensors]


def lifetimes(
    operators: Sequence[schema.OperatorT],
    tensors: int,
    inputs: Sequence[int],
    outputs: Sequence[int],
) -> tuple[np.ndarray, np.ndarray]:
    """The first and the last op in which each tensor is needed; a tensor that no op touches has a
    last op before its first."""
    first, last = np.full(tensors, len(operators)), np.full(tensors, -1)
    for place, op in enumerate(operators):
        for numbers in (op.inputs, op.outputs):
            used = [n for n in numbers if n >= 0]
            first[used] = np.minimum(first[used], place)
            last[used] = place
    first[list(inputs)], last[list(inputs)] = 0, np.maximum(last[list(inputs)], 0)
    last[list(outputs)] = len(operators)
    return first, last


def arena(
    operators: Sequence[schema.OperatorT],
    sizes: Sequence[int],
    inputs: Sequence[int],
    outputs: Sequence[int],
) -> int:
    """The bytes of an arena for all activations.

    As LiteRT does it, the largest tensor gets its place first, and each one the lowest place that
    is free throughout its life.
    """
    first, last = lifetimes(operators, len(sizes), inputs, outputs)
    order = [n for n in np.argsort(sizes, kind="stable")[::-1] if sizes[n] and last[n] >= first[n]]
    begins, ends = (np.zeros(len(order), np.int64) for _ in range(2))
    starts, stops = first[order], last[order]
    for place, number in enumerate(order):
        beside = (starts[:place] <= last[number]) & (stops[:place] >= first[number])
        taken, free = np.sort(begins[:place][beside]), 0
        taken_ends = ends[:place][beside][np.argsort(begins[:place][beside], kind="stable")]
        for begin, end in zip(taken.tolist(), taken_ends.tolist(), strict=True):
            if begin - free >= sizes[number]:
                break
            free = max(free, end)
        begins[place], ends[place] = free, free + sizes[number]
    return int(ends.max(initial=0))


def window_bytes(model: schema.ModelT, op: schema.OperatorT) -> int:
    """The bytes of the pointers by which XNNPACK finds the windows of an op's input."""
    name = flatbuffer.op_name(model.operatorCodes[op.opcodeIndex])
    tensors, options = model.subgraphs[0].tensors, op.builtinOptions
    if name == "TRANSPOSE_CONV":
        return (
            _POINTER
            * math.prod(map(int, tensors[op.inputs[1]].shape[1:3]))
            * _positions(tensors[op.inputs[2]])
        )
    if name == "CONV_2D":
        taps = math.prod(map(int, tensors[op.inputs[1]].shape[1:3]))
        pointwise = taps == options.strideH == options.strideW == 1
        return 0 if pointwise else _POINTER * taps * _positions(tensors[op.outputs[0]])
    if name not in _WINDOWED:
        return 0
    if name == "DEPTHWISE_CONV_2D":
        _, height, width, _ = map(int, tensors[op.inputs[1]].shape)
        dilated = options.dilationWFactor > 1
    else:
        height, width, dilated = options.filterHeight, options.filterWidth, False
    # Windows of one row that overlap share their pointers.
    step = width if dilated else min(width, options.strideW)
    _, rows, columns, _ = map(int, tensors[op.outputs[0]].shape)
    return _POINTER * rows * height * (width + (columns - 1) * step)


def _positions(tensor: schema.TensorT) -> int:
    return math.prod(int(n) for n in tensor.shape[:-1])
