"""What is compared between files: scores on the most rows, and times at equal threads."""

from collections.abc import Iterable, Sequence

from fr_bench.benchmark.result import Metric


def on_most_rows(metrics: Iterable[Metric]) -> dict[str, list[Metric]]:
    """Returns name of a metric -> those on the most rows that differ, the lowest first."""
    found: dict[str, list[Metric]] = {}
    for one in metrics:
        held = found.setdefault(one.name, [])
        if held and one.rows > held[0].rows:
            held.clear()
        if (not held or one.rows == held[0].rows) and one not in held:
            held.append(one)
    return {name: sorted(held, key=lambda one: one.value) for name, held in found.items()}


def interval(metrics: Sequence[Metric]) -> str:
    """Returns the interval that holds those of all metrics, and the number of rows."""
    ends = [one.interval for one in metrics if one.interval is not None]
    rows = f"n = {metrics[0].rows:,}"
    if not ends:
        return rows
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    return f"{100 * low:.2f} to {100 * high:.2f} %, {rows}"


def common_threads(files: Iterable[set[tuple[str, int | None]]]) -> dict[str, int | None]:
    """Returns device -> the threads with which most files were timed; of several, the most.

    Args:
        files: The devices and numbers of threads of the times of each file.
    """
    found: dict[str, dict[int | None, int]] = {}
    for pairs in files:
        for device, threads in pairs:
            counts = found.setdefault(device, {})
            counts[threads] = counts.get(threads, 0) + 1
    return {
        device: max(counts, key=lambda n, counts=counts: (counts[n], n or 0))
        for device, counts in found.items()
    }
