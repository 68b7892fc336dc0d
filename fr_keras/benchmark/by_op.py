"""Where a target's numbers part from the reference's: each op compared by itself.

In a file one rounding step can grow from op to op, and a softmax makes several of one. So every op
gets the reference's own values, all of them in one run: a file in which nothing is connected.
"""

import copy
import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from fr_keras.benchmark import process
from fr_keras.benchmark.profile import is_folded
from fr_keras.benchmark.result import REFERENCE
from fr_keras.benchmark.subject import Subject
from fr_keras.tflite import flatbuffer

#: Runs a flatbuffer on rows, and returns rows of each output.
Run = Callable[[bytes, Sequence[np.ndarray]], list[np.ndarray]]


@dataclasses.dataclass(frozen=True)
class OpAgreement:
    """The first output of an op against the reference's.

    Attributes:
        op: Its kind.
        tensor: The name of its output.
        unit: `steps` of an integer output, or `relative` to the range of the reference.
        alone: The largest difference where its inputs are those of the reference.
        through: That in the whole file.
    """

    op: str
    tensor: str
    unit: str
    alone: float
    through: float


def by_op(subject: Subject, run: Run) -> list[OpAgreement]:
    """Compares every op of a file on a target with the CPU reference, in the file's order.

    Args:
        subject: The file, with a batch of 1 in all of its tensors, and its rows.
        run: Runs a flatbuffer on the target.

    Raises:
        ValueError: If a tensor has another batch.
        WorkerError: If a run fails; a target may refuse an op by itself that it takes in a file.
    """
    model = flatbuffer.read(subject.content)
    graph = model.subgraphs[0]
    ops = [op for op in graph.operators if not is_folded(model, op)]
    made = [graph.tensors[op.outputs[0]] for op in ops]
    strange = [one.name.decode() for one in made if one.shape is None or one.shape[:1] != [1]]
    if strange:
        raise ValueError(f"the batch must be 1 in all tensors. Received: another in {strange}")
    opened = _opened(model, ops)
    reference = process.work(opened, subject.inputs, REFERENCE).outputs
    values = dict(zip((int(n) for n in graph.inputs), subject.inputs, strict=True))
    values |= {int(op.outputs[0]): rows for op, rows in zip(ops, reference, strict=True)}
    content, sources = _apart(model, ops)
    alone = run(content, [values[number] for number in sources])
    through = run(opened, subject.inputs)
    found = []
    for op, tensor, right, *ours in zip(ops, made, reference, alone, through, strict=True):
        integer = right.dtype.kind in "iu"
        scale = 1.0 if integer else float(np.ptp(right)) or 1.0
        differences = [float(np.abs(one.astype(np.float64) - right).max()) / scale for one in ours]
        kind = flatbuffer.op_name(model.operatorCodes[op.opcodeIndex])
        unit = "steps" if integer else "relative"
        found.append(OpAgreement(kind, tensor.name.decode(), unit, *differences))
    return found


def _opened(model: schema.ModelT, ops: list[schema.OperatorT]) -> bytes:
    """The file with the output of every op among its outputs."""
    single, graph = _copy(model)
    graph.outputs = np.array([op.outputs[0] for op in ops], np.int32)
    return flatbuffer.write(single)


def _apart(model: schema.ModelT, ops: list[schema.OperatorT]) -> tuple[bytes, list[int]]:
    """The file with inputs of its own for every op, and the tensors whose values they take."""
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
    """The tensor with a name of its own: a GPU finds its buffers by name."""
    tensor = copy.copy(tensor)
    tensor.name = f"tensor{number}".encode()
    return tensor
