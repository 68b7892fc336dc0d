"""One strip of a region: which rows of each tensor it needs, and the ops that make them."""

import copy

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from fr_keras.tflite.file._regions import Region
from fr_keras.tflite.file._rewriting import Rewriter
from fr_keras.tflite.file._rows import Reach, Rows

#: The rows of some tensors, each from the first to the one after the last.
Ranges = dict[int, tuple[int, int]]


class OneStrip:
    """The ops of a region on some rows.

    Args:
        new: The graph.
        region: The region.
        kept: The rows of the tensors that are read outside of it.

    Attributes:
        ops: The ops.
        parts: The strips of the kept tensors, by the number of the whole one; `None` if no ops can
            make these rows alone.
    """

    def __init__(self, new: Rewriter, region: Region, kept: Ranges):
        self._new = new
        self.ops: list[schema.OperatorT] = []
        self._made: dict[int, int] = {}
        self._cuts: dict[tuple[int, int, int], int] = {}
        reaches = self._reaches(region, kept)
        self.parts: dict[int, int] | None = None
        if reaches is not None:
            for place, one in region.ops.items():
                self._add(one, reaches[place])
            self.parts = {tensor: self._part(tensor, *rows) for tensor, rows in kept.items()}

    def _reaches(self, region: Region, kept: Ranges) -> dict[int, Reach] | None:
        """What each op needs, from the last to the first."""
        self._rows, found = dict(kept), {}
        for place, one in reversed(region.ops.items()):
            reach = one.reach(*self._rows[one.output])
            if reach is None:
                return None
            found[place] = reach
            for tensor in one.cut:
                begin, end = self._rows.get(tensor, (reach.begin, reach.end))
                self._rows[tensor] = min(begin, reach.begin), max(end, reach.end)
        return found

    def _add(self, one: Rows, reach: Reach) -> None:
        """Makes the rows of an op's output that are needed."""
        new, (begin, end) = self._new, self._rows[one.output]
        _, _, *rest = new.shape(one.output)
        parts = {tensor: self._part(tensor, reach.begin, reach.end) for tensor in one.cut}
        output = new.activation(one.output, [1, reach.count, *rest])
        op = copy.copy(one.op)
        op.inputs = np.array([parts.get(int(n), int(n)) for n in op.inputs], np.int32)
        op.outputs = np.array([output], np.int32)
        if any(one.zeros):
            pads = np.asarray(new.data(op.inputs[1]), np.uint8).view(np.int32).reshape(4, 2)
            op.inputs[1] = new.integers([pads[0], reach.zeros, *pads[2:]])
        self.ops.append(op)
        if reach.count > end - begin:
            output = self._cut(output, reach.first, end - begin)
        self._made[one.output] = output

    def _part(self, tensor: int, begin: int, end: int) -> int:
        """Some rows of a tensor: of the strip that was made, or of a tensor from outside."""
        source = self._made.get(tensor, tensor)
        offset = self._rows[tensor][0] if tensor in self._made else 0
        if (begin - offset, end - begin) == (0, self._new.shape(source)[1]):
            return source
        return self._cut(source, begin - offset, end - begin)

    def _cut(self, tensor: int, begin: int, count: int) -> int:
        key = tensor, begin, count
        if key not in self._cuts:
            _, _, *rest = self._new.shape(tensor)
            op = self._new.slice(tensor, [0, begin, 0, 0], [1, count, *rest])
            self.ops.append(op)
            self._cuts[key] = int(op.outputs[0])
        return self._cuts[key]
