"""The JSON entry about a .tflite file in the flatbuffer's own metadata table."""

import json

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from fr_keras.tflite.file import flatbuffer

#: Name of the entry in the flatbuffer's metadata table.
NAME = "fr_keras"
VERSION = 1


def attach(content: bytes, entry: dict) -> bytes:
    """Returns the flatbuffer with `entry` stored under `NAME`, as JSON."""
    model = flatbuffer.read(content)
    buffer = schema.BufferT()
    text = json.dumps({"version": VERSION, **entry}, sort_keys=True, separators=(",", ":"))
    buffer.data = np.frombuffer(text.encode(), np.uint8)
    model.buffers.append(buffer)
    row = schema.MetadataT()
    row.name = NAME
    row.buffer = len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), row]
    return flatbuffer.write(model)


def read(model: schema.ModelT) -> dict:
    """Returns the entry of a parsed flatbuffer; empty if there is none, or it is not ours."""
    for row in model.metadata or []:
        if row.name in (NAME, NAME.encode()):
            try:
                entry = json.loads(bytes(model.buffers[row.buffer].data))
            except (ValueError, TypeError, IndexError):
                return {}
            return entry if isinstance(entry, dict) else {}
    return {}
