"""Runs the regions of a graph strip by strip, so that no wide tensor is ever whole."""

import itertools

from ai_edge_litert import schema_py_generated as schema

from fr_keras.tflite.file import memory
from fr_keras.tflite.file._one_strip import OneStrip
from fr_keras.tflite.file._regions import Parts, Region
from fr_keras.tflite.file._rewriting import Rewriter

# XNNPACK leaves a CONCATENATION of more tensors to other kernels.
_MOST_JOINED = 4
#: More strips save little more memory, but cost bytes.
MOST_STRIPS = 32


def strip(new: Rewriter, most: int, halos: bool = False) -> None:
    """Cuts the regions of a graph into strips.

    Every strip of a tensor has the quantization of the whole tensor, and every number of the output
    is computed from the same numbers as before.

    Args:
        new: The graph.
        most: The bytes that the tensors inside of a region may take at once. Regions that need no
            more stay whole.
        halos: Whether strips may overlap where ops read rows beside their own. These rows are then
            computed twice.
    """
    operators = new.graph.operators
    read = {int(n) for n in new.graph.outputs}
    readers: dict[int, set[int]] = {}
    for place, op in enumerate(operators):
        for number in op.inputs:
            readers.setdefault(int(number), set()).add(place)
    sizes, found = memory.sizes(new.model), []
    for places, region in Parts(new, most * 3 // 8 if halos else most // 8, halos).order:
        ops = [operators[place] for place in places]
        if region is not None:
            kept = {
                one.output
                for one in region.ops.values()
                if one.output in read or readers.get(one.output, set()) - {*places}
            }
            inner = {one.output for one in region.ops.values()} - kept
            strips = min(-(-_alive(ops, sizes, inner) // most), region.units, MOST_STRIPS)
            ops = (_stripped(new, region, kept, strips) if strips > 1 else None) or ops
        found += ops
    new.graph.operators = found


def _alive(ops: list[schema.OperatorT], sizes: list[int], inner: set[int]) -> int:
    """The bytes of the inner tensors of a region that are needed at once."""
    first, last = memory.lifetimes(ops, len(sizes), [], [])
    return max(
        sum(sizes[n] for n in inner if first[n] <= place <= last[n]) for place in range(len(ops))
    )


def _stripped(
    new: Rewriter, region: Region, kept: set[int], strips: int
) -> list[schema.OperatorT] | None:
    """The ops of a region, once for each strip, and those that join its ends; `None` if it cannot
    be cut into as many strips."""
    marks = [region.units * n // strips for n in range(strips)]
    joined: dict[int, list[int]] = {number: [] for number in kept}
    ops: list[schema.OperatorT] = []
    for start, stop in itertools.pairwise([*marks, None]):
        rows = {}
        for tensor in kept:
            scale = region.scales[tensor]
            end = new.shape(tensor)[1] if stop is None else stop * scale
            rows[tensor] = start * scale, end
        one = OneStrip(new, region, rows)
        if one.parts is None:
            return None
        ops += one.ops
        for tensor, part in one.parts.items():
            joined[tensor].append(part)
    for tensor, numbers in joined.items():
        ops += _joining(new, tensor, numbers)
    return ops


def _joining(new: Rewriter, tensor: int, numbers: list[int]) -> list[schema.OperatorT]:
    """Ops that join strips to a whole tensor, a few at a time."""
    ops = []
    while len(numbers) > _MOST_JOINED:
        groups = -(-len(numbers) // _MOST_JOINED)
        marks = [len(numbers) * n // groups for n in range(groups + 1)]
        joined = []
        for begin, end in itertools.pairwise(marks):
            some = numbers[begin:end]
            _, _, *rest = new.shape(tensor)
            output = new.activation(tensor, [1, sum(new.shape(n)[1] for n in some), *rest])
            ops.append(new.concatenation(some, 1, output))
            joined.append(output)
        numbers = joined
    return [*ops, new.concatenation(numbers, 1, tensor)]
