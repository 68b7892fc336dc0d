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


# Ops that only move numbers.
_MOVING = ("SLICE", "CONCATENATION", "RESHAPE", "PAD")


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A file that keeps to a goal.

    Attributes:
        content: The file.
        places: What was given by the number of an op, by the ops as they are now numbered, without
            ops whose constants have changed.
        twice: The part of the activations that is computed twice, at the ends of strips.
    """

    content: bytes
    places: dict[int, object]
    twice: float = 0.0


@dataclasses.dataclass(frozen=True)
class _Try:
    """A graph that was rewritten, the bytes that it is expected to need, about how many bytes it is
    longer, and the bytes of the activations that it computes."""

    new: Rewriter
    needs: int
    longer: int
    computed: int


def fitted(content: bytes, goal: int | str, places: Mapping[int, object]) -> Fitted:
    """Returns a file that is expected to need less memory, and has the same outputs.

    A file that keeps to the goal already stays as it is.

    Args:
        content: The file.
        goal: The memory in bytes that it may need, or `"auto"`.
        places: Anything by the number of an op.

    Raises:
        ValueError: If the goal cannot be reached, or the memory of the file is not known.
    """
    model, same = flatbuffer.read(content), Fitted(content, dict(places))
    before = memory.expected(model)
    if before is None:
        if goal == "auto":
            return same
        raise ValueError(
            "`memory` must be 'auto' or None for a model with loops or open shapes, because its "
            f"memory depends on values. Received: {goal}"
        )
    if before.total <= (LEAST if goal == "auto" else goal):
        return same
    whole = _try(Rewriter(model), 0)
    chosen = _chosen([whole, *_tries(model, halos=False)], goal)
    if chosen is whole:
        return same
    moved = _moved(model, chosen.new, places)
    twice = chosen.computed / whole.computed - 1
    return Fitted(flatbuffer.write(chosen.new.finished()), moved, twice)


def _chosen(tries: list[_Try], goal: int | str) -> _Try:
    """The shortest file within the goal; if rows must be computed twice, that with the fewest."""
    if goal == "auto":
        return min(tries, key=lambda one: one.needs + _WORTH * one.longer)
    within = [one for one in tries if one.needs <= goal]
    if within:
        return min(within, key=lambda one: one.longer)
    tries += _tries(tries[0].new.model, halos=True)
    within = [one for one in tries if one.needs <= goal]
    if within:
        return min(within, key=lambda one: (one.computed, one.longer))
    least = min(one.needs for one in tries)
    raise ValueError(
        f"`memory` must be at least {least:,} for this model, because its weights and the tensors "
        "between strips stay whole. Give as many bytes, use a smaller image or quantize='int8', or "
        "memory='auto'. "
        f"Received: {goal:,}"
    )


def _tries(model: schema.ModelT, halos: bool) -> list[_Try]:
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
            strip(new, max(1, most >> halving), halos)
            more = len(new.graph.operators) - len(packed.graph.operators)
            found.append(_try(new, longer + _BYTES_OF_AN_OP * more))
    return found


def _try(new: Rewriter, longer: int) -> _Try:
    sizes = memory.sizes(new.model)
    computing = [op for op in new.graph.operators if new.name(op) not in _MOVING]
    computed = sum(sizes[n] for op in computing for n in op.outputs)
    return _Try(new, memory.expected(new.finished()).total, longer, computed)


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
