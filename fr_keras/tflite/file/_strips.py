"""Runs the regions of a graph strip by strip, so that no wide tensor is ever whole."""

import copy
import itertools

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from fr_keras.tflite.file import memory
from fr_keras.tflite.file._regions import Parts, Region
from fr_keras.tflite.file._rewriting import Rewriter

# XNNPACK leaves a CONCATENATION of more tensors to other kernels.
_MOST_JOINED = 4
#: More strips save little more memory, but cost bytes.
MOST_STRIPS = 32


def strip(new: Rewriter, most: int) -> None:
    """Cuts the regions of a graph into strips.

    Every strip of a tensor has the quantization of the whole tensor, and every number of the output
    is computed from the same numbers as before.

    Args:
        new: The graph.
        most: The bytes that the tensors inside of a region may take at once. Regions that need no
            more stay whole.
    """
    operators = new.graph.operators
    read = {int(n) for n in new.graph.outputs}
    readers: dict[int, set[int]] = {}
    for place, op in enumerate(operators):
        for number in op.inputs:
            readers.setdefault(int(number), set()).add(place)
    sizes, found = memory.sizes(new.model), []
    for places, region in Parts(new, most // 8).order:
        ops = [operators[place] for place in places]
        if region is not None:
            kept = {
                one.output
                for one in region.ops.values()
                if one.output in read or readers.get(one.output, set()) - {*places}
            }
            inner = {one.output for one in region.ops.values()} - kept
            strips = min(-(-_alive(ops, sizes, inner) // most), region.units, MOST_STRIPS)
            ops = ops if strips < 2 else _stripped(new, region, kept, strips)
        found += ops
    new.graph.operators = found


def _alive(ops: list[schema.OperatorT], sizes: list[int], inner: set[int]) -> int:
    """The bytes of the inner tensors of a region that are needed at once."""
    first, last = memory.lifetimes(ops, len(sizes), [], [])
    return max(
        sum(sizes[n] for n in inner if first[n] <= place <= last[n]) for place in range(len(ops))
    )


def _stripped(new: Rewriter, region: Region, kept: set[int], strips: int) -> list[schema.OperatorT]:
    """The ops of a region, once for each strip, between those that cut and join its ends."""
    made = {one.output for one in region.ops.values()}
    whole = dict.fromkeys(n for one in region.ops.values() for n in one.cut if n not in made)
    joined: dict[int, list[int]] = {number: [] for number in kept}
    ops: list[schema.OperatorT] = []
    marks = [region.units * n // strips for n in range(strips)]
    for number, start in enumerate(marks):
        stop = marks[number + 1] if number + 1 < strips else None
        parts: dict[int, int] = {}

        def rows(tensor: int, start=start, stop=stop) -> tuple[int, int]:
            begin = start * region.scales[tensor]
            end = new.shape(tensor)[1] if stop is None else stop * region.scales[tensor]
            return begin, end - begin

        for tensor in whole:
            (begin, count), (_, _, *rest) = rows(tensor), new.shape(tensor)
            ops.append(new.slice(tensor, [0, begin, 0, 0], [1, count, *rest]))
            parts[tensor] = int(ops[-1].outputs[0])
        for one in region.ops.values():
            _, _, *rest = new.shape(one.output)
            parts[one.output] = new.activation(one.output, [1, rows(one.output)[1], *rest])
            ops.append(_on(one.op, parts))
        for tensor in kept:
            joined[tensor].append(parts[tensor])
    for tensor, numbers in joined.items():
        ops += _joining(new, tensor, numbers)
    return ops


def _on(op: schema.OperatorT, parts: dict[int, int]) -> schema.OperatorT:
    """An op on strips of its inputs and outputs."""
    made = copy.copy(op)
    made.inputs, made.outputs = (
        np.array([parts.get(int(n), int(n)) for n in numbers], np.int32)
        for numbers in (op.inputs, op.outputs)
    )
    return made


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
