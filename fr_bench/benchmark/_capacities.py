"""What the scheduler has to know of the files of one network, from results."""

from collections.abc import Iterable

from fr_bench.benchmark.result import Result

# What must be the same for all, and what must differ: results of one setting, a file each.
_SETTING = ("target", "device", "tool", "delegate", "threads", "precision")


def capacity_profile(results: Iterable[Result]) -> list[dict]:
    """Returns the profile of the capacities of one network, from a result for each.

    `fr_bench.scheduling.capacities` takes it. In Kotlin, make a `Capacity` of each entry.

    Args:
        results: A result for each file, from one device in one setting, on the same labelled rows:
            those that `load` reads, chosen by their attributes.

    Returns:
        For each result, in the same order, its `file`, its `accuracy` (the score, whatever it is
        called), the `memory` that the process gained, in bytes, and `latency_ms`, the median.

    Raises:
        ValueError: If there is none, a file is there twice, the results come from different
            settings or scores, or one lacks a figure; says which.

    Example:

    >>> from fr_bench.benchmark import Metric, Result, Times, capacity_profile
    >>> about = {"bytes": 900, "sha256": "", "target": "host", "device": {}, "tool": "LiteRT 2.3"}
    >>> figures = {"times": Times(runs=50, median_us=250.0), "peak_memory_bytes": 40_000}
    >>> score = Metric("accuracy", 0.91, rows=500)
    >>> result = Result("small.tflite", delegate="xnnpack", metric=score, **about, **figures)
    >>> capacity_profile([result])
    [{'file': 'small.tflite', 'accuracy': 0.91, 'memory': 40000, 'latency_ms': 0.25}]
    """
    results = list(results)
    _check(results)
    return [
        {
            "file": one.file,
            "accuracy": one.metric.value,
            "memory": one.peak_memory_bytes,
            "latency_ms": one.times.median_us / 1000,
        }
        for one in results
    ]


def _check(results: list[Result]) -> None:
    if not results:
        raise ValueError("`results` must hold a result for each capacity. Received: none")
    for one in results:
        lacking = [name for name, missing in _lacking(one).items() if missing]
        if lacking:
            raise ValueError(
                f"`results` must have {', '.join(lacking)} for '{one.file}'. A score needs "
                "labelled rows, a time a target that is not emulated. Received: status "
                f"'{one.status}'{f', {one.message}' if one.message else ''}"
            )
    for name in _SETTING:
        found = [getattr(one, name) for one in results]
        _alike(name, [one for place, one in enumerate(found) if one not in found[:place]])
    _alike("metric", sorted({(one.metric.name, one.metric.rows) for one in results}))
    files = [one.file for one in results]
    twice = sorted({name for name in files if files.count(name) > 1})
    if twice:
        raise ValueError(f"`results` must hold each file once. Received: {twice} more than once")


def _lacking(one: Result) -> dict[str, bool]:
    return {
        "`metric`": one.metric is None,
        "`times.median_us`": one.times is None or one.times.median_us is None,
        "`peak_memory_bytes`": one.peak_memory_bytes is None,
    }


def _alike(name: str, found: list) -> None:
    if len(found) > 1:
        raise ValueError(
            f"`results` must come from one device, in one setting, on the same rows; choose those "
            f"with the same `{name}`. Received: {found}"
        )
