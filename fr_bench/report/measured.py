"""Results of `fr-keras benchmark` as rows of tables; values that are absent stay absent."""

import dataclasses
import math
from collections.abc import Iterable, Sequence

from fr_bench.benchmark.result import STATUSES, Deviation, Metric, Result, Times
from fr_bench.report._comparing import common_threads, on_most_rows

#: Shown where nothing was measured.
ABSENT = "-"
#: How far outputs may differ: in steps of an integer output, or relative to a float output's range.
STEPS = 1
RELATIVE, RELATIVE_HALF = 1e-5, 1e-2
# These delegates compute in float16 unless the result says otherwise.
_HALF = ("gpu", "npu")


@dataclasses.dataclass(frozen=True)
class Fastest:
    """The fastest result of a file on a device."""

    us: float
    kernels: str
    threads: int | None


@dataclasses.dataclass(frozen=True)
class File:
    """A file and its results.

    Attributes:
        number: Its number in plots.
        name: Its name, with the start of its hash if several files have this name.
        bytes: Its size.
        results: All of its results.
        fastest: Device -> the fastest result there, with the threads that files are compared at.
    """

    number: int
    name: str
    bytes: int
    results: list[Result]
    fastest: dict[str, Fastest]

    @property
    def device_bytes(self) -> int | None:
        """The bytes on the device; older result files do not tell them."""
        return next((one.device_bytes for one in self.results if one.device_bytes), None)

    @property
    def download_bytes(self) -> int | None:
        """The bytes in a download; older result files do not tell them."""
        return next((one.download_bytes for one in self.results if one.download_bytes), None)

    @property
    def metrics(self) -> dict[str, list[Metric]]:
        """Name of a metric -> those on the most rows, with different values, the lowest first."""
        return on_most_rows(one.metric for one in self.results if one.metric is not None)

    @property
    def worst(self) -> Deviation | None:
        """The worst agreement of any output in all results."""
        return max(filter(None, map(worst, self.results)), key=_gap, default=None)

    @property
    def accuracy(self) -> float | None:
        """The lowest value of the first of `metrics`."""
        values = (one.value for found in self.metrics.values() for one in found)
        return next(filter(math.isfinite, values), None)


def by_file(results: Iterable[Result]) -> list[File]:
    """Groups results by file, in order; files with one name but different contents are separate."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for one in results:
        groups.setdefault((one.file, one.sha256), []).append(one)
    names = [name for name, _ in groups]
    threads = common_threads(
        {(device_label(one), one.threads) for one in group if _is_timed(one)}
        for group in groups.values()
    )
    return [
        File(
            number=number,
            name=name if names.count(name) == 1 else f"{name} ({sha256[:8]})",
            bytes=group[0].bytes,
            results=group,
            fastest=_fastest(group, threads),
        )
        for number, ((name, sha256), group) in enumerate(groups.items(), 1)
    ]


def device_label(result: Result) -> str:
    """The device of a result: the name of a phone, or a target with its hardware."""
    name = str(result.device.get("name", result.target))
    if result.target == "android":
        return name
    if name == result.target:
        name = str(result.device.get("processor", result.device.get("abi", "")))
    name = name.partition(" (")[0]  # drivers add their versions in parentheses
    return f"{result.target} ({name})" if name else result.target


def kernels(result: Result) -> str:
    """The delegate, and the precision in which a GPU computed."""
    return ", ".join(filter(None, (result.delegate, result.precision)))


def devices(results: Iterable[Result]) -> dict[str, list[str]]:
    """Device -> lines with the facts that are known about it and the tools that ran there."""
    found: dict[str, list[str]] = {}
    for one in results:
        label = device_label(one)
        known = one.device.items()
        facts = [
            f"{k.replace('_', ' ')}: {v}" for k, v in known if k != "name" or str(v) not in label
        ]
        lines = found.setdefault(label, [])
        lines += [line for line in (*facts, f"tool: {one.tool}") if line not in lines]
    return found


def typical(times: Times | None) -> float | None:
    """The median, or the mean if the tool gives no median."""
    if times is None:
        return None
    return times.mean_us if times.median_us is None else times.median_us


def worst(result: Result) -> Deviation | None:
    """The worst agreement of any output."""
    return max((result.agreement or {}).values(), key=_gap, default=None)


def stands_out(result: Result, agreement: Deviation) -> bool:
    """Whether outputs differ more than other kernels with the same weights should make them."""
    if agreement.steps is not None:
        return _gap(agreement) == math.inf or agreement.steps > STEPS
    half = (result.precision or ("float16" if result.delegate in _HALF else "")) == "float16"
    return _gap(agreement) > (RELATIVE_HALF if half else RELATIVE)


def where(result: Result) -> str:
    """The target and delegate of a result, such as `gpu, float16` or `host, xnnpack`."""
    if result.target == result.delegate:
        return kernels(result)
    return f"{result.target}, {kernels(result)}"


def agreements(file: File) -> dict[str, dict[str, tuple[Result, Deviation]]]:
    """Output -> target and delegate -> the result that agrees worst, with any number of threads."""
    found: dict[str, dict[str, tuple[Result, Deviation]]] = {}
    for one in file.results:
        for output, agreement in (one.agreement or {}).items():
            row = found.setdefault(output, {})
            held = row.get(where(one))
            if held is None or _gap(held[1]) < _gap(agreement):
                row[where(one)] = one, agreement
    return found


def profiled(file: File) -> list[Result]:
    """For each device, the fastest result with a profile, or the first if there are no times."""
    found: dict[str, Result] = {}
    for one in file.results:
        if one.profile:
            held = found.get(device_label(one))
            if held is None or (typical(one.times) or 0) < (typical(held.times) or 0):
                found[device_label(one)] = one
    return list(found.values())


def remarks(results: Sequence[Result]) -> list[tuple[str, str, str]]:
    """Rows of a status, which files ran where, and the reason or the notes; failures come first."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for one in results:
        texts = [text.rstrip(" .") for text in (one.message, *one.notes) if text]
        if one.status != "done" and not texts:
            texts = ["no reason is known"]
        if texts:
            key = one.status, f"{device_label(one)}, {kernels(one)}", "; ".join(texts)
            found.setdefault(key, []).append(one.file)
    every = {one.file for one in results}
    order = ("failed", "refused", "done")
    rows = []
    for status, place, text in sorted(found, key=lambda key: order.index(key[0])):
        files = dict.fromkeys(found[status, place, text])
        several = len(every) > 1 and {*files} == every
        rows.append((status, f"{'All files' if several else ', '.join(files)} on {place}", text))
    return rows


def delegation(files: list[File]) -> list[tuple[File, Result]]:
    """The results that say which ops a delegate took, without repeating an answer."""
    found = {}
    for file in files:
        for one in file.results:
            if one.ops and one.delegate != "none":
                key = file.number, device_label(one), kernels(one), repr(one.ops)
                found.setdefault(key, (file, one))
    return list(found.values())


def summary(results: Sequence[Result], files: list[File]) -> dict:
    """Returns everything that the page shows besides the files."""
    timed = list(dict.fromkeys(name for file in files for name in file.fastest))
    targets = {device_label(one): one.target for one in results}
    computer = next((name for name in timed if targets[name] == "host"), None)
    others = [name for name in timed if name != computer] if computer else []
    rows = [(file, one) for file in files for one in file.results]
    agreement = [
        (file, output, found) for file in files for output, found in agreements(file).items()
    ]
    return {
        "counts": {name: sum(one.status == name for one in results) for name in STATUSES},
        "devices": devices(results),
        "metrics": list(dict.fromkeys(one.metric.name for one in results if one.metric)),
        "timed": timed,
        "computer": computer,
        "others": others,
        "ratios": [f"{name} : computer" for name in others],
        "remarks": remarks(results),
        "agreement": agreement,
        "places": list(dict.fromkeys(place for *_, found in agreement for place in found)),
        "delegated": delegation(files),
        "profiles": [(file, one) for file in files for one in profiled(file)],
        "states": [(file, one) for file, one in rows if one.state],
    }


def milliseconds(us: float | None) -> str:
    """Microseconds as milliseconds, with three digits or more."""
    if us is None:
        return ABSENT
    value = us / 1000
    digits = 3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{digits}f}"


def difference(agreement: Deviation | None) -> str:
    """A difference in steps of an integer output, or relative to the range of a float output."""
    if agreement is None:
        return ABSENT
    if agreement.largest == 0:
        return "equal"
    if agreement.steps is not None:
        return f"{agreement.steps:g} step{'s' * (agreement.steps != 1)}"
    return f"{agreement.relative:.1e}"


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction in percent."""
    return ABSENT if value is None else f"{100 * value:.{digits}f} %"


def whole(value: float | None, scale: float = 1) -> str:
    """A whole number with separators."""
    return ABSENT if value is None else f"{value / scale:,.0f}"


def counted(ops: dict[str, int] | None) -> str:
    """The numbers of ops by name."""
    return ABSENT if ops is None else ", ".join(f"{n} {name}" for name, n in ops.items()) or "none"


def score(result: Result, name: str) -> str:
    """The metric with this name, and its rows."""
    metric = result.metric
    if metric is None or metric.name != name:
        return ABSENT
    return f"{percent(metric.value, 2)} of {metric.rows:,}"


def pair(values: tuple | None) -> str:
    """A value before and after."""
    return ABSENT if values is None else " to ".join(f"{one:g}" for one in dict.fromkeys(values))


def _gap(agreement: Deviation) -> float:
    """The relative difference; NaN counts as infinite."""
    return math.inf if math.isnan(agreement.relative) else agreement.relative


def _is_timed(result: Result) -> bool:
    return 0 < (typical(result.times) or 0) < math.inf


def _fastest(results: list[Result], threads: dict[str, int | None]) -> dict[str, Fastest]:
    found: dict[str, Fastest] = {}
    for one in results:
        if not _is_timed(one) or one.threads != threads[device_label(one)]:
            continue
        us, held = typical(one.times), found.get(device_label(one))
        if held is None or us < held.us:
            idle = one.delegate != "none" and one.ops is not None and not one.ops.delegated
            ran = f"{kernels(one)} (took no op)" if idle else kernels(one)
            found[device_label(one)] = Fastest(us, ran, one.threads)
    return found
