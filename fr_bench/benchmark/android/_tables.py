"""The op profile that `benchmark_model` prints as tables."""

import re

from fr_bench.benchmark.result import OpTime

_REGULAR = "Operator-wise Profiling Info for Regular Benchmark Runs"
_INITIAL = "Profiling Info for Benchmark Initialization"
_TITLE = "Summary by node type"
_HEADER = re.compile(r"\[node type\].*\[count\].*\[avg (ms|us)\]", re.IGNORECASE)
_OTHER = re.compile(r"^(?:Subgraph \(index: [1-9]\d*\)|Delegate internal)")
_ROW = re.compile(r"^\s*(\S.*?)\s*\t\s*(\d+)\s*\t\s*([-+.\deE]+)\s*\t")
_SCALE = {"ms": 1000.0, "us": 1.0}


def read(lines: list[str]) -> tuple[OpTime, ...] | None:
    """Returns the last summary by node type for the first graph, the longest times first.

    Args:
        lines: The lines of the output, without prefixes.
    """
    found, initial, other = None, False, False
    for number, line in enumerate(lines):
        initial = (initial or _INITIAL in line) and _REGULAR not in line
        other = (other or bool(_OTHER.match(line))) and _REGULAR not in line
        if _TITLE in line and not initial and not other:
            found = _table(lines[number + 1 :]) or found
    return found


def _table(lines: list[str]) -> tuple[OpTime, ...]:
    header = _HEADER.search(lines[0]) if lines else None
    if header is None:
        return ()
    scale = _SCALE[header.group(1).lower()]
    rows = []
    for line in lines[1:]:
        row = _ROW.match(line)
        if row is None:
            break
        rows.append(OpTime(row.group(1), int(row.group(2)), round(float(row.group(3)) * scale, 1)))
    return tuple(sorted(rows, key=lambda row: -row.us))
