"""Reads and writes flatbuffers; equal vectors are written once, and weights are aligned."""

import copy

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

# The schema demands it for buffers, but the generated Python code does not do it.
_ALIGNMENT = 16
_WORD = 4
_REST = 1 << 16  # about what a file holds beside its weights
_OPS = {value: name for name, value in vars(schema.BuiltinOperator).items() if name.isupper()}
#: Number of a type of tensors -> its name in the schema.
TYPES = {value: name for name, value in vars(schema.TensorType).items() if name.isupper()}


def read(content: bytes) -> schema.ModelT:
    """Parses a flatbuffer, which LiteRT must have verified."""
    return flatbuffer_utils.read_model_from_bytearray(bytearray(content))


def write(model: schema.ModelT) -> bytes:
    """Returns the flatbuffer of a parsed model; what is one object there is written once."""
    # A buffer that begins small would be copied each time that it grows.
    weights = sum(len(one.data) for one in model.buffers if one.data is not None)
    builder = _SharingBuilder(weights + _REST)
    builder.Finish(_sharing(model).Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def op_name(code: schema.OperatorCodeT) -> str:
    """The name of an op; for a custom op, its own name."""
    if code.customCode:
        return code.customCode.decode(errors="replace")
    # Ops below 127 are written to the old field too; the larger of both is the op.
    return _OPS.get(max(code.builtinCode, code.deprecatedBuiltinCode), "UNKNOWN")


class _Once:
    """A table that is written where it is first needed; all others refer to it."""

    def __init__(self, table):
        self._table, self._offset = table, None

    def Pack(self, builder: flatbuffers.Builder) -> int:
        if self._offset is None:
            self._offset = self._table.Pack(builder)
        return self._offset


def _sharing(model: schema.ModelT) -> schema.ModelT:
    """The model, whose ops share options and whose tensors share quantizations if they are one."""
    known: dict[int, _Once] = {}

    def shared(part, name: str):
        part, table = copy.copy(part), getattr(part, name)
        if table is not None:
            setattr(part, name, known.setdefault(id(table), _Once(table)))
        return part

    model = copy.copy(model)
    model.subgraphs = [copy.copy(graph) for graph in model.subgraphs or []]
    for graph in model.subgraphs:
        graph.tensors = [shared(one, "quantization") for one in graph.tensors or []]
        graph.operators = [shared(one, "builtinOptions") for one in graph.operators or []]
    return model


class _SharingBuilder(flatbuffers.Builder):
    """Writes a vector or string that was written before as a reference to it."""

    def __init__(self, size: int):
        super().__init__(size)
        self._written: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: np.ndarray) -> int:
        key = x.dtype.str, x.tobytes()
        if key not in self._written:
            if x.dtype == np.uint8:
                # Zeros up to a whole word follow, as skeletons of archives need it; without the
                # first line a table of shorts may.
                self.Prep(_WORD, 0)
                self.Prep(_ALIGNMENT, x.size)
            self._written[key] = super().CreateNumpyVector(x)
        return self._written[key]

    def CreateString(self, s: str | bytes, encoding: str = "utf-8", errors: str = "strict") -> int:
        key = "string", s.encode(encoding, errors) if isinstance(s, str) else s
        if key not in self._written:
            self._written[key] = super().CreateString(s, encoding, errors)
        return self._written[key]
