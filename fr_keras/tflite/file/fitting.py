"""Makes a file need less memory while it runs, with the same outputs."""

import dataclasses
import math
from collections.abc import Mapping

from ai_edge_litert import schema_py_generated as schema

from fr_keras.tflite.file import flatbuffer, memory
from fr_keras.tflite.file._packed import pack
from fr_keras.tflite.file._rewriting import Rewriter
from fr_keras.tflite.file._strips import strip

#: `"auto"` leaves files alone that need less, and spends a byte of the file for each 500 bytes.
LEAST = 16_000_000
_WORTH = 500
# What packing may cost: from nothing up to a byte for each 100 bytes of memory.
_PACKING = (math.inf, 3000, 1500, 900, 500, 300, 100)
# A region may take from twice the bytes of the largest tensor down to this many halvings of them.
_HALVINGS = 7
# About what an op and its tensors take in a file.
_BYTES_OF_AN_OP = 80


@dataclasses.dataclass(frozen=True)
class _Try:
    """A graph that was rewritten, the bytes that it is expected to need, and about how many bytes
    it is longer."""

    new: Rewriter
    needs: int
    longer: int


def fitted(
    content: bytes, goal: int | str, places: Mapping[int, object]
) -> tuple[bytes, dict[int, object]]:
    """Returns a file that is expected to need less memory, and has the same outputs.

    Args:
        content: The file.
        goal: The memory in bytes that it may need, or `"auto"`.
        places: Anything by the number of an op.

    Returns:
        The file and `places` by the ops as they are now numbered, without ops whose constants have
        changed. Both are as they were if the file keeps to the goal already.

    Raises:
        ValueError: If the goal cannot be reached, or the memory of the file is not known.
    """
    model = flatbuffer.read(content)
    before = memory.expected(model)
    if before is None:
        if goal == "auto":
            return content, dict(places)
        raise ValueError(
            "`memory` must be 'auto' or None for a model with loops or open shapes, because its "
            f"memory depends on values. Received: {goal}"
        )
    if before.total <= (LEAST if goal == "auto" else goal):
        return content, dict(places)
    tries = [_Try(Rewriter(model), before.total, 0), *_tries(model)]
    chosen = _chosen(tries, goal)
    if chosen is tries[0]:
        return content, dict(places)
    return flatbuffer.write(chosen.new.model), _moved(model, chosen.new, places)


def _chosen(tries: list[_Try], goal: int | str) -> _Try:
    """The shortest file within the goal."""
    if goal == "auto":
        return min(tries, key=lambda one: one.needs + _WORTH * one.longer)
    within = [one for one in tries if one.needs <= goal]
    if within:
        return min(within, key=lambda one: one.longer)
    least = min(one.needs for one in tries)
    raise ValueError(
        f"`memory` must be at least {least:,} for this model, because its narrow tensors stay "
        "whole. Give as many bytes, use a smaller image or quantize='int8', or memory='auto'. "
        f"Received: {goal:,}"
    )


def _tries(model: schema.ModelT) -> list[_Try]:
    """The graph packed and cut in several ways, first those that cost few bytes."""
    most, found, costs = 2 * max(memory.sizes(model), default=0), [], set()
    for worth in _PACKING:
        packed = Rewriter(model)
        longer = pack(packed, worth)
        if longer in costs:
            continue
        costs.add(longer)
        for halving in range(_HALVINGS + 1):
            new = Rewriter(packed.model)
            strip(new, max(1, most >> halving))
            more = len(new.graph.operators) - len(packed.graph.operators)
            needs = memory.expected(new.model).total
            found.append(_Try(new, needs, longer + _BYTES_OF_AN_OP * more))
    return found


def _moved(model: schema.ModelT, new: Rewriter, places: Mapping[int, object]) -> dict[int, object]:
    """What belongs to ops, by the first op that now computes with the same kernel and bias."""
    first: dict[tuple, int] = {}
    for number, op in enumerate(new.graph.operators):
        first.setdefault(_constants(op, new), number)
    operators, found = model.subgraphs[0].operators, {}
    old = Rewriter(model)
    for place, one in places.items():
        now = first.get(_constants(operators[place], old))
        if now is not None:
            found.setdefault(now, one)
    return found


def _constants(op: schema.OperatorT, graph: Rewriter) -> tuple:
    return tuple(int(n) for n in op.inputs if n >= 0 and graph.data(n) is not None)
