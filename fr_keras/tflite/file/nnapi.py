"""Which ops of a file NNAPI would leave to the CPU, by feature level.

`nnapi.json` holds the rules by which LiteRT's NNAPI delegate hands ops to NNAPI, with their source.
The driver of a phone may refuse more ops; only a measurement on the phone shows that.
"""

import collections
import dataclasses
import functools
import json
from collections.abc import Iterator
from importlib.resources import files

from ai_edge_litert import schema_py_generated as schema

from fr_keras.tflite.file import flatbuffer
from fr_keras.tflite.file._nnapi_ops import CONDITIONS, Op, Tensor

#: Stands for the level of an op that no level takes.
_NEVER = 1000


@functools.cache
def table() -> dict:
    """The rules: `source`, `levels`, `conditions` in words, and `ops`."""
    return json.loads(files("fr_keras.tflite.file").joinpath("nnapi.json").read_text("utf-8"))


@dataclasses.dataclass(frozen=True)
class Need:
    """The feature level that ops of one kind need.

    Attributes:
        op: Name of the ops.
        count: Number of the ops.
        level: The lowest feature level at which the delegate takes them; `None`: it never does.
        reason: Why no lower level takes them, in words; empty if every level does.
    """

    op: str
    count: int
    level: int | None
    reason: str


@dataclasses.dataclass(frozen=True)
class Forecast:
    """Which ops of a file NNAPI's delegate would take.

    Attributes:
        total: Number of ops in the file.
        needs: The levels that they need, the most demanding first.
    """

    total: int
    needs: tuple[Need, ...]

    @property
    def fallbacks(self) -> dict[int, dict[str, int]]:
        """Feature level -> op name -> how many stay on the CPU."""
        found = {}
        for row in table()["levels"]:
            level, counts = row["level"], collections.Counter()
            for need in self.needs:
                if need.level is None or need.level > level:
                    counts[need.op] += need.count
            found[level] = dict(sorted(counts.items()))
        return found

    def to_dict(self) -> dict:
        """Returns the fields as plain types, ready for JSON."""
        return {
            "deprecated_since": table()["deprecated"],
            "source": table()["source"],
            "total": self.total,
            "fallbacks": {str(level): counts for level, counts in self.fallbacks.items()},
            "needs": [dataclasses.asdict(need) for need in self.needs if need.reason],
        }

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yields a name and a text for each row of a table: ranges of levels, then reasons."""
        yield (
            "NNAPI",
            f"deprecated since {table()['deprecated']}; a phone's driver may refuse more ops than "
            "its delegate. For NPUs, measure on a phone",
        )
        ranges: list[tuple[list[int], dict[str, int]]] = []
        for level, counts in self.fallbacks.items():
            if not ranges or ranges[-1][1] != counts:
                ranges.append(([], counts))
            ranges[-1][0].append(level)
        for levels, counts in ranges:
            named = ", ".join(f"{count} {op}" for op, count in counts.items())
            stay = f"{sum(counts.values())} of {self.total} ops stay on the CPU: {named}"
            text = stay if counts else f"all {self.total} ops go to NNAPI"
            yield f"  level {_range(levels)}", f"from {android(levels[0])}: {text}"
        for need in self.needs:
            if need.reason:
                yield f"  {need.op}", need.reason


def forecast(model: schema.ModelT) -> Forecast:
    """Judges every op of a parsed flatbuffer by the table.

    Args:
        model: As `flatbuffer.read` returns it.
    """
    found = collections.Counter()
    for graph in model.subgraphs:
        found.update(_judged(model, graph))
    needs = [
        Need(op, count, None if level == _NEVER else level, reason)
        for (op, level, reason), count in found.items()
    ]
    needs.sort(key=lambda need: (-(need.level or _NEVER), need.op))
    return Forecast(sum(need.count for need in needs), tuple(needs))


def android(level: int) -> str:
    """The Android that brought a feature level."""
    return next(row["android"] for row in table()["levels"] if row["level"] == level)


def _range(levels: list[int]) -> str:
    if levels[-1] == table()["levels"][-1]["level"]:
        return f"{levels[0]} and up"
    return str(levels[0]) if len(levels) == 1 else f"{levels[0]} to {levels[-1]}"


def _judged(model: schema.ModelT, graph: schema.SubGraphT) -> Iterator[tuple[str, int, str]]:
    """The name, level and reason of each op of a graph."""
    tensors = [Tensor(model, tensor) for tensor in graph.tensors]
    ops = [(op, _positions(op.inputs), _positions(op.outputs)) for op in graph.operators]
    names = [flatbuffer.op_name(model.operatorCodes[op.opcodeIndex]) for op in graph.operators]
    unpacked = {
        outputs[0]: inputs[0]
        for name, (_, inputs, outputs) in zip(names, ops, strict=True)
        if name == "DEQUANTIZE" and _is_half_constant(tensors[inputs[0]])
    }
    readers = dict.fromkeys(unpacked, _least())
    for name, (op, inputs, outputs) in zip(names, ops, strict=True):
        if unpacked.keys() & {*outputs}:
            continue
        # The delegate reads float16 weights as they are stored, past their DEQUANTIZE.
        seen = [None if n < 0 else tensors[unpacked.get(n, n)] for n in inputs]
        version = model.operatorCodes[op.opcodeIndex].version
        judged = _verdict(Op(name, version, op.builtinOptions, seen, [tensors[n] for n in outputs]))
        for n in readers.keys() & {*inputs}:
            readers[n] = max(readers[n], judged[1])
        yield judged
    for level in readers.values():
        stays = "float16 weights stay with the op that reads them"
        yield "DEQUANTIZE", level, stays if level > _least() else ""


def _positions(vector) -> list[int]:
    return [] if vector is None else [int(n) for n in vector]


def _is_half_constant(tensor: Tensor) -> bool:
    return tensor.type == "float16" and tensor.constant


def _least() -> int:
    return table()["levels"][0]["level"]


def _verdict(op: Op) -> tuple[str, int, str]:
    rules = table()["ops"].get(op.name)
    if rules is None:
        unjudged = op.name in table()["unjudged"]
        return (
            op.name,
            _NEVER,
            "this table does not judge it" if unjudged else "NNAPI has no such op",
        )
    try:
        asked = list(_asked(op, rules))
    except (IndexError, AttributeError):  # LiteRT loads ops whose inputs are not all there
        asked = [(_NEVER, "a missing input")]
    level = max(level for level, _ in asked)
    words = ", ".join(dict.fromkeys(words for one, words in asked if one == level))
    if level == _NEVER:
        return op.name, level, f"refused: {words}"
    return (
        op.name,
        level,
        f"{words}: from level {level} ({android(level)})" if level > _least() else "",
    )


def _asked(op: Op, rules: dict) -> Iterator[tuple[int, str]]:
    """The level that each of an op's properties asks for, in words."""
    types = rules["types"]
    kind = op.inputs[rules.get("typed_input", 0)].type
    since = types.get(kind, _NEVER)
    yield since, op.name if since == min(types.values()) else kind
    if "output_types" in rules:
        put_out = op.outputs[0].type
        yield (
            rules["output_types"].get(put_out, _NEVER),
            kind if put_out == kind else f"{put_out} output",
        )
    for position, kinds in rules.get("input_types", {}).items():
        one = op.input(int(position))
        if one is not None and one.type not in kinds:
            yield _NEVER, f"{one.type} as input {position}"
    known = rules.get("version", op.version)
    if op.version > known:
        since = rules.get("version_from", {}).get(str(op.version), _NEVER)
        yield since, f"version {op.version} of the op, above {known}"
    for position in rules.get("constant", ()):
        one = op.input(position)
        if one is not None and not one.constant:
            yield _NEVER, f"input {position} that is not constant"
    for name, since in rules.get("refused", {}).items():
        if CONDITIONS[name](op):
            yield _NEVER if since is None else since, table()["conditions"][name]
