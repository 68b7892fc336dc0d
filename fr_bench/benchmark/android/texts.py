"""Reads the output of `benchmark_model`, in both dialects, from old and new builds."""

import dataclasses
import re

from fr_bench.benchmark.android import _tables
from fr_bench.benchmark.android._naming import means
from fr_bench.benchmark.result import Ops, OpTime, Times

_NUMBER = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
# 01-11 23:28:59.026  7651  7651 I tflite  : text      I/tflite ( 7651): text      I tflite: text
_LOGCAT = re.compile(
    r"^(?:\d\d-\d\d [\d:]+\.\d+\s+\d+\s+\d+\s+)?"
    r"([VDIWEF])[ /][\w.]+\s*(?:\(\s*\d+\))?\s*:\s?"
)
_LEVEL = re.compile(r"^(VERBOSE|INFO|WARNING|WARN|ERROR|FATAL): ?")
# E0000 00:00:1758455104.504065   62590 compiled_model.cc:51] text
_GLOG = re.compile(r"^([IWEF])\d{4} [\d:.]+ +\d+ [^\]\s]+:\d+\] ?")
_SOURCE = re.compile(r"^\[[^\]\s]+:\d+\] ?")

_STATISTICS = re.compile(rf"^count={_NUMBER}(?= |$)")
_PAIR = re.compile(rf"(\w+)={_NUMBER}")
_SUMMARY = re.compile(r"^(?:Average inference|Inference) timings in us: (.*)")
_SUMMARY_PAIR = re.compile(rf"([A-Z][A-Za-z ]*?(?: \(avg\))?): {_NUMBER}")
_MEMORY = re.compile(
    r"^(?:Memory footprint delta from the start of the tool|Peak memory footprint) \(MB\): "
    rf"init={_NUMBER} overall={_NUMBER}"
)
_MILLISECONDS = re.compile(
    rf"^(Model initialization|Warmup \(first\)|Inference \(avg\)):\s*{_NUMBER} ms"
    r"(?: \((\d+) runs\))?"
)
_OVERALL = re.compile(rf"^Overall footprint:\s*{_NUMBER} MB")

_APPLIED = re.compile(
    r"^(?:Explicitly a|A)pplied (\w+) delegate, and the model graph will be "
    r"(completely|partially) executed (?:by|w/) the delegate(?: w/ (\d+) delegate kernels)?"
)
_IGNORED = re.compile(
    r"^Though (\w+) delegate is (?:explicitly )?applied, the model graph will not be executed"
)
_REPLACING = re.compile(
    r"^Replacing (\d+) (?:out of (\d+) )?node\(s\) with delegate \(([^)]*)\)"
    r"(?: node, yielding (\d+) partitions?)?(?: for subgraph (\d+))?"
)
_CREATED_XNNPACK = "Created TensorFlow Lite XNNPACK delegate for CPU."
_UNSUPPORTED = "Following operations are not supported by"
_SPLIT = re.compile(r"^(\d+) operations will run on the \w+, and the remaining (\d+) operations")
_REFUSED = re.compile(r"Failed to apply (\w+) delegate|Failed to compile model|Disallowed CPU fall")
# These lines name the op at fault; old builds print them without a level.
_NAMES_OP = re.compile(
    r"Select TensorFlow op|Node number \d+ \(|[Uu]nresolved custom op|custom op .* not found"
    r"|Didn't find (?:custom )?op(?:erator)? for"
)
# A check in a kernel that failed, above the line that names the op.
_CHECK = re.compile(r"\.(?:cc|h):\d+ ")
# These lines say that something failed, but not why.
_CONSEQUENCE = re.compile(r"^Benchmarking failed|^Failed to [\w ]+[.!]*$|^Registration failed")
_CAUSES = 3  # lines
_WARNED = re.compile(
    r"acceleration is unsupported|[Ff]all(?:ing)? ?back to|could not be loaded and registered"
)


@dataclasses.dataclass(frozen=True)
class Report:
    """The content of a tool's output.

    Attributes:
        times: The times; absent if the output ends before them.
        memory_bytes: The memory that the process gained after the file began to load.
        ops: Which ops the requested delegate took.
        applied: Whether the tool says that the delegate was applied; `None` if it says nothing.
        profile: The op profile, if it was turned on.
        notes: Notes for the reader.
        refused: Whether the delegate refused the file.
        error: Why it failed, if the tool says so: the op at fault rather than later errors.
    """

    times: Times | None = None
    memory_bytes: int | None = None
    ops: Ops | None = None
    applied: bool | None = None
    profile: tuple[OpTime, ...] | None = None
    notes: tuple[str, ...] = ()
    refused: bool = False
    error: str | None = None


def read(text: str, delegate: str) -> Report:
    """Reads the output of one run.

    Args:
        text: The whole output; lines that are not from the tool are skipped.
        delegate: The requested delegate.
    """
    marked = [_clean(line) for line in text.splitlines()]
    lines = [line for _, line in marked]
    refusals = [line for line in lines if _REFUSED.search(line)]
    ops, applied = _delegation(lines, delegate)
    memory = _first(_MEMORY, lines, 2) or _first(_OVERALL, lines, 1)
    return Report(
        times=_times(lines),
        memory_bytes=None if memory is None else round(float(memory) * 2**20),
        ops=ops,
        applied=applied,
        profile=_tables.read(lines),
        notes=() if delegate == "none" else (*_unsupported(lines), *_warnings(lines, delegate)),
        refused=bool(refusals),
        error=_why(marked),
    )


def _why(marked: list[tuple[str, str]]) -> str | None:
    """The lines that name the cause of a failure, or the last errors if no line does.

    The tool prints more errors after the cause, so it is seldom in the last line.
    """
    errors = [line for level, line in marked if level in ("E", "F") and line]
    ops = [line for _, line in marked if _NAMES_OP.search(line)]
    checks = [line for line in errors if _CHECK.search(line)] if ops else []
    refusals = [line for _, line in marked if _REFUSED.search(line)][:1]
    causes = [line for line in errors if not _CONSEQUENCE.match(line) and line not in refusals]
    followed = [line for line in errors if not line.startswith("Benchmarking failed")]
    known = [*checks, *ops] or causes
    chosen = [*known[-_CAUSES:], *refusals] or followed[-1:] or errors[-1:]
    return " / ".join(dict.fromkeys(line.strip() for line in chosen)) or None


def _clean(line: str) -> tuple[str, str]:
    """The level of a line, as one letter, and its text without prefixes."""
    line = line.rstrip("\r\n")
    logcat = _LOGCAT.match(line)
    level = logcat.group(1) if logcat else "I"
    line = line[logcat.end() :] if logcat else line
    for pattern in (_LEVEL, _GLOG):
        named = pattern.match(line)
        if named:
            level, line = named.group(1)[0], line[named.end() :]
    return level, _SOURCE.sub("", line)


def _first(pattern: re.Pattern, lines: list[str], group: int) -> str | None:
    return next((found.group(group) for line in lines if (found := pattern.match(line))), None)


def _times(lines: list[str]) -> Times | None:
    """The times; the first line of statistics is from the warm-up."""
    counts = [dict(_PAIR.findall(line)) for line in lines if _STATISTICS.match(line)]
    summary = {k: float(v) for k, v in _SUMMARY_PAIR.findall(_first(_SUMMARY, lines, 1) or "")}
    litert = {m.group(1): m for line in lines if (m := _MILLISECONDS.match(line))}
    for name, known in (("Model initialization", "Init"), ("Warmup (first)", "First inference")):
        if name in litert:
            summary[known] = float(litert[name].group(2)) * 1000
    warmup, found = [*counts, {}, {}][:2]
    mean = found.get("avg") or found.get("curr") or summary.get("Inference (avg)")
    mean = mean or summary.get("Inference")
    runs = float(found.get("count", 0))
    if "Inference (avg)" in litert:
        mean = mean or float(litert["Inference (avg)"].group(2)) * 1000
        runs = runs or int(litert["Inference (avg)"].group(3) or 0)
    if mean is None or not runs:
        return None
    # A single inference is its own statistics; equal times of several are printed like one.
    single = found.get("curr") if "avg" not in found else None
    # Without a warm-up, the tool says that the first inference took 0.
    firsts = (summary.get("First inference"), *map(_first_of, (warmup, found)))
    return Times(
        runs=int(runs),
        init_us=_rounded(summary.get("Init")),
        first_us=_rounded(next(filter(None, firsts), None)),
        mean_us=_rounded(mean),
        median_us=_rounded(found.get("median", single)),
        p5_us=_rounded(found.get("p5", single)),
        p95_us=_rounded(found.get("p95", single)),
    )


def _first_of(statistics: dict[str, str]) -> str | None:
    return statistics.get("first") or statistics.get("curr")


def _rounded(value: str | float | None) -> float | None:
    return None if value is None else round(float(value), 1)


def _delegation(lines: list[str], delegate: str) -> tuple[Ops | None, bool | None]:
    """Which ops the delegate took, and whether the tool says that it was applied."""
    ops = _replaced(lines, delegate)
    kernels, said = None, bool(ops.delegated) if ops else None
    for line in lines:
        applied, ignored = _APPLIED.match(line), _IGNORED.match(line)
        if applied and means(applied.group(1), delegate):
            said = True
            kernels = 1 if applied.group(2) == "completely" else applied.group(3)
        elif ignored and means(ignored.group(1), delegate):
            return ops, False
        split = _SPLIT.match(line)
        if split and ops is None and delegate == "gpu":
            ops = Ops(total=sum(map(int, split.groups())), delegated=int(split.group(1)))
    if said is None and delegate == "xnnpack" and _CREATED_XNNPACK in lines:
        said = True
    if ops and ops.delegated and kernels:
        ops = dataclasses.replace(ops, partitions=int(kernels))
    return ops, said


def fallback(delegate: str, ops: Ops | None, applied: bool | None) -> tuple[str, ...]:
    """Returns notes about a delegate that did nothing, or may have done nothing."""
    if delegate == "none":
        return ()
    if applied is False or (ops is not None and not ops.delegated):
        return (f"{delegate} took no op: these are times of the CPU",)
    if ops is None and applied is None:
        return (
            f"{delegate} was requested, but the tool does not say that it was applied: it may have "
            "fallen back to the CPU",
        )
    return ()


def _replaced(lines: list[str], delegate: str) -> Ops | None:
    """Adds up the graphs; of several lines for one graph, the last one counts."""
    graphs: dict[str, tuple[int, int, int | None]] = {}
    for line in lines:
        found = _REPLACING.match(line)
        if found and found.group(2) and means(found.group(3), delegate):
            taken, total, pieces, graph = found.group(1, 2, 4, 5)
            graphs[graph or "0"] = (int(taken), int(total), pieces and int(pieces))
    if not graphs:
        return None
    taken, total, pieces = (list(column) for column in zip(*graphs.values(), strict=True))
    whole = sum(taken) == sum(total)
    return Ops(sum(total), sum(taken), _kernels(pieces), {} if whole else None)


def _kernels(pieces: list[int | None]) -> int | None:
    """The number of the delegate's pieces: delegate and CPU take turns, and of an even number of
    pieces each has half; of an odd number the tool does not say who began."""
    if any(piece is None or (piece > 1 and piece % 2) for piece in pieces):
        return None
    return sum((piece + 1) // 2 for piece in pieces)


def _unsupported(lines: list[str]) -> list[str]:
    """`OP: reason` for every kind of op that the GPU delegate refuses."""
    notes: list[str] = []
    inside = False
    for line in lines:
        if line.startswith(_UNSUPPORTED):
            inside = True
        elif inside and re.match(r"^[A-Z][A-Z0-9_]*:", line):
            notes.append(f"not taken: {line.strip().rstrip(':')}")
        else:
            inside = inside and not line.strip()
    return list(dict.fromkeys(notes))


def _warnings(lines: list[str], delegate: str) -> list[str]:
    """The tool's own warnings. LiteRT warns about every missing accelerator, even if it was not
    requested."""
    found = [line.strip() for line in lines if _WARNED.search(line)]
    own = [line for line in found if delegate.upper() in line or "registered" not in line]
    return [f"the tool said: {line}" for line in dict.fromkeys(own)]
