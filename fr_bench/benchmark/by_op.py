"""Finds where a target's numbers diverge from the reference's, by comparing each op by itself.

In a file, one rounding step can grow from op to op, and a softmax can turn one step into several.
So every op gets the reference's own values, and all ops run at once in a file in which no op is
connected to another.
"""

import copy
import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from fr_bench.benchmark import process
from fr_bench.benchmark._subject import Subject
from fr_bench.benchmark.profile import is_folded, name_of, stands_alone
from fr_bench.benchmark.result import REFERENCE
from fr_keras.tflite.file import flatbuffer

#: Runs a flatbuffer on rows and returns the rows of each output.
Run = Callable[[bytes, Sequence[np.ndarray]], list[np.ndarray]]


@dataclasses.dataclass(frozen=True)
class OpDeviation:
    """How far the first output of an op is from that of the reference.

    Attributes:
        op: The kind of the op.
        tensor: The name of its output.
        unit: `steps` of an integer output, or `relative` to the range of the reference.
        alone: The largest difference if the op gets the inputs of the reference.
        through: The largest difference in the whole file.
    """

    op: str
    tensor: str
    unit: str
    alone: float
    through: float


def by_op(subject: Subject, run: Run) -> list[OpDeviation]:
    """Compares every op of a file on a target with the CPU reference, in the file's order.

    Ops that hold a state, such as variables and tables, are left out, and so are ops whose outputs
    are not real numbers.

    Args:
        subject: The file and its rows.
        run: Runs a flatbuffer on the target.

    Raises:
        ValueError: If the shape of a value changes from row to row.
        WorkerError: If a run fails; a target may take an op in a file but refuse it by itself.
    """
    model = flatbuffer.read(subject.content)
    graph = model.subgraphs[0]
    ops = [op for op in graph.operators if stands_alone(model, op) and not is_folded(model, op)]
    values = _values(model, ops, subject)
    ops = [op for op in ops if values[int(op.outputs[0])].dtype.kind in "fiub"]
    content, sources = _apart(model, ops)
    alone = run(content, [values[number] for number in sources]) if ops else []
    firsts = [int(op.outputs[0]) for op in ops]
    through = run(_opened(model, firsts), subject.inputs) if ops else []
    return [
        _compared(model, op, values[int(op.outputs[0])], *ours)
        for op, *ours in zip(ops, alone, through, strict=True)
    ]


def _values(
    model: schema.ModelT, ops: list[schema.OperatorT], subject: Subject
) -> dict[int, np.ndarray]:
    """The reference's rows of each input of the file and of each output of the ops."""
    graph = model.subgraphs[0]
    made = [int(n) for op in ops for n in op.outputs]
    found = process.work(_opened(model, made), subject.inputs, REFERENCE).outputs
    values = dict(zip((*map(int, graph.inputs), *made), (*subject.inputs, *found), strict=True))
    changing = [graph.tensors[n].name.decode() for n, rows in values.items() if rows is None]
    if changing:
        raise ValueError(
            "`subject` must have only one row if shapes depend on the values. "
            f"Received: {len(subject.inputs[0])} rows, in which these shapes change: {changing}"
        )
    return values


def _compared(model, op: schema.OperatorT, right: np.ndarray, *ours: np.ndarray) -> OpDeviation:
    """Compares the first output of an op, by itself and in the whole file, with the reference."""
    integer = right.dtype.kind in "iu"
    right = right.astype(np.float64)
    scale = 1.0 if integer or not right.size else float(np.ptp(right)) or 1.0
    differences = (np.abs(one.astype(np.float64) - right) for one in ours)
    return OpDeviation(
        name_of(model, op),
        model.subgraphs[0].tensors[op.outputs[0]].name.decode(),
        "steps" if integer else "relative",
        *(float(one.max(initial=0)) / scale for one in differences),
    )


def _opened(model: schema.ModelT, numbers: list[int]) -> bytes:
    """The file with these tensors as its outputs."""
    single, graph = _copy(model)
    graph.outputs = np.array(numbers, np.int32)
    return flatbuffer.write(single)


def _apart(model: schema.ModelT, ops: list[schema.OperatorT]) -> tuple[bytes, list[int]]:
    """The file with separate inputs for every op, and the tensors whose values these take."""
    single, graph = _copy(model)
    graph.operators = list(graph.operators)
    made = {int(n) for op in ops for n in op.outputs} | {int(n) for n in graph.inputs}
    sources, inputs = [], []
    for position, op in enumerate(graph.operators):
        if not any(op is one for one in ops):
            continue
        own = copy.copy(op)
        own.inputs = np.array(op.inputs, np.int32)
        for place, number in enumerate(own.inputs):
            if int(number) in made:
                sources.append(int(number))
                own.inputs[place] = len(graph.tensors)
                inputs.append(len(graph.tensors))
                graph.tensors.append(_named(graph.tensors[number], len(graph.tensors)))
        graph.operators[position] = own
    graph.inputs = np.array(inputs, np.int32)
    graph.outputs = np.array([op.outputs[0] for op in ops], np.int32)
    return flatbuffer.write(single), sources


def _copy(model: schema.ModelT) -> tuple[schema.ModelT, schema.SubGraphT]:
    single = copy.copy(model)
    single.signatureDefs = []
    single.subgraphs = [copy.copy(model.subgraphs[0]), *model.subgraphs[1:]]
    graph = single.subgraphs[0]
    graph.tensors = [_named(one, number) for number, one in enumerate(graph.tensors)]
    return single, graph


def _named(tensor: schema.TensorT, number: int) -> schema.TensorT:
    """The tensor with a unique name, because a GPU finds its buffers by name."""
    tensor = copy.copy(tensor)
    tensor.name = f"tensor{number}".encode()
    return tensor
