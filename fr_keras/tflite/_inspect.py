"""`inspect`: the inputs, outputs, ops and bytes of a .tflite file, and which ops NNAPI takes."""

import collections
import dataclasses
import os

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from rich.markup import escape
from rich.table import Table

from fr_keras._printing import Printed
from fr_keras.tflite.file import flatbuffer, metadata, nnapi
from fr_keras.tflite.file.memory import Memory, expected
from fr_keras.tflite.runner import interpreter, read


@dataclasses.dataclass(frozen=True)
class Tensor:
    """An input or output of a file.

    Attributes:
        name: Its name.
        shape: Its shape as the file comes; lengths that are open are 1 here.
        is_open: Whether some of its lengths are open, mostly the number of rows.
        dtype: Its type.
        scale: Of integers the scale, else `None`.
        zero_point: Of integers the zero point, else `None`.
    """

    name: str
    shape: tuple[int, ...]
    is_open: bool
    dtype: str
    scale: float | None
    zero_point: int | None

    def __str__(self) -> str:
        shape = "x".join(map(str, self.shape))
        scale = "" if self.scale is None else f", real = {self.scale:.6g} * (q - {self.zero_point})"
        return f"{self.name}: {self.dtype} {shape}{scale}"


@dataclasses.dataclass(frozen=True)
class Inspection(Printed):
    """The content of a .tflite file.

    Attributes:
        bytes: Size of the file.
        inputs: Its inputs.
        outputs: Its outputs.
        ops: Name of each op -> how often the file uses it.
        weight_bytes: Bytes of constant tensors: weights, biases, shapes.
        scale_bytes: Bytes of quantization scales and zero points, of every tensor.
        rest_bytes: Everything else: names, topology, padding, metadata.
        memory: The memory that it is expected to need while it runs on a CPU; `None` if shapes or
            the ops that run depend on values.
        metadata: What `convert` stored: labels, normalization, command.
        nnapi: Which ops Android's NNAPI would leave to the CPU, by feature level.
    """

    bytes: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    ops: dict[str, int]
    weight_bytes: int
    scale_bytes: int
    rest_bytes: int
    memory: Memory | None
    metadata: dict
    nnapi: nnapi.Forecast

    def to_dict(self) -> dict:
        """Returns the fields as plain types, ready for JSON."""
        memory = None if self.memory is None else self.memory.to_dict()
        return {**dataclasses.asdict(self), "memory": memory, "nnapi": self.nnapi.to_dict()}

    def __rich__(self) -> Table:
        table = Table(show_header=False)
        for kind, tensors in (("input", self.inputs), ("output", self.outputs)):
            for tensor in tensors:
                table.add_row(kind, escape(str(tensor)))
        table.add_row("ops", ", ".join(f"{count} {name}" for name, count in self.ops.items()))
        table.add_row("bytes", f"{self.bytes:,}")
        table.add_row("  weights", f"{self.weight_bytes:,}")
        table.add_row("  scales and zero points", f"{self.scale_bytes:,}")
        table.add_row("  the rest", f"{self.rest_bytes:,}")
        if self.memory is not None:
            table.add_row("expected peak memory", str(self.memory))
        for name, value in self.metadata.items():
            table.add_row(name, escape(str(value)))
        for name, text in self.nnapi.lines():
            table.add_row(name, escape(text))
        return table


def inspect(file: str | os.PathLike | bytes) -> Inspection:
    """Returns the inputs, outputs, ops and sizes of a .tflite file.

    Args:
        file: Path of the file, or its bytes.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a flatbuffer that LiteRT accepts.

    Example:

    >>> import keras
    >>> from fr_keras import tflite
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    >>> inspect(tflite.convert(model).content).ops
    {'FULLY_CONNECTED': 1}
    """
    name, content = read(file)
    interpreter(name, content)  # LiteRT verifies every offset; the Python reader below trusts them
    model = flatbuffer.read(content)
    graph = model.subgraphs[0]
    ops = collections.Counter(
        flatbuffer.op_name(model.operatorCodes[op.opcodeIndex])
        for one in model.subgraphs
        for op in one.operators
    )
    tensors = [tensor for one in model.subgraphs for tensor in one.tensors]
    weights = sum(_length(model.buffers[b].data) for b in {tensor.buffer for tensor in tensors})
    scales = _scale_bytes(content)
    return Inspection(
        bytes=len(content),
        inputs=tuple(_tensor(graph.tensors[i]) for i in graph.inputs),
        outputs=tuple(_tensor(graph.tensors[i]) for i in graph.outputs),
        ops=dict(sorted(ops.items())),
        weight_bytes=weights,
        scale_bytes=scales,
        rest_bytes=len(content) - weights - scales,
        memory=expected(model),
        metadata=metadata.read(model),
        nnapi=nnapi.forecast(model),
    )


def _length(data) -> int:
    return 0 if data is None else len(data)


def _scale_bytes(content: bytes) -> int:
    """Bytes of all scales and zero points; a vector that several tensors share counts once."""
    model, sizes = schema.Model.GetRootAs(content, 0), {}
    for graph in map(model.Subgraphs, range(model.SubgraphsLength())):
        for tensor in map(graph.Tensors, range(graph.TensorsLength())):
            quantization = tensor.Quantization()
            for vector in (
                ()
                if quantization is None
                else (quantization.ScaleAsNumpy(), quantization.ZeroPointAsNumpy())
            ):
                if isinstance(vector, np.ndarray):
                    sizes[vector.ctypes.data] = vector.nbytes
    return sum(sizes.values())


def _tensor(tensor: schema.TensorT) -> Tensor:
    quantization = tensor.quantization
    has_scale = quantization is not None and _length(quantization.scale) == 1
    return Tensor(
        name=tensor.name.decode(errors="replace"),
        shape=tuple(int(n) for n in np.atleast_1d(tensor.shape)),
        is_open=tensor.shapeSignature is not None and min(tensor.shapeSignature, default=0) < 0,
        dtype=flatbuffer.TYPES[tensor.type].lower(),
        scale=float(quantization.scale[0]) if has_scale else None,
        zero_point=int(quantization.zeroPoint[0]) if has_scale else None,
    )
