"""The targets of a grid: which are there, and what each measures of a file."""

import contextlib
from collections.abc import Callable

from fr_bench.benchmark import Result, Subject, run
from fr_bench.benchmark.android.adb import Adb
from fr_bench.grid._folder import DONE, FAILED, OPEN

# LiteRT's default on a CPU, and what Android has that is not deprecated; the GPU has one delegate.
_DELEGATES = {
    "host": ("xnnpack",), "arm64": ("xnnpack",), "android": ("xnnpack", "gpu"), "gpu": None
}  # fmt: skip


class Targets:
    """The targets of a run. One that drops out is not asked again before the next run.

    Args:
        names: The names of the targets.
        runs: The number of timed inferences of each file.
        phone: How to reach the phone.
        say: Tells the user a line.

    Raises:
        ValueError: If a name is unknown, or `android` has no tool.
        RuntimeError: If none of the targets is there.

    Attributes:
        names: The names of the targets.
        absent: Name of a target -> why it is not there.
    """

    def __init__(
        self, names: tuple[str, ...], runs: int, phone: run.Phone, say: Callable[[str], None]
    ):
        if not names or len({*names}) < len(names) or not {*names} <= {*_DELEGATES}:
            raise ValueError(
                f"`targets` must hold one or more different names out of {tuple(_DELEGATES)}. "
                f"Received: {names}"
            )
        if "android" in names and phone.tool is None:
            raise ValueError(
                "`targets` with 'android' need `phone` with a tool, Android's `benchmark_model`; "
                f"`fr-keras doctor` says where to get it. Received: {phone}"
            )
        self.names, self._runs, self._phone, self._say = names, runs, phone, say
        self.absent = {name: why for name in names if (why := self._why_absent(name))}
        if len(self.absent) == len(names):
            missing = "; ".join(f"'{name}': {why}" for name, why in self.absent.items())
            raise RuntimeError(
                "`targets` must have at least one that is there: set one up, or measure on 'host'. "
                f"Received: {missing}"
            )
        for name, why in self.absent.items():
            say(f"The target '{name}' is not there, so its cells stay open: {why}")

    def measure(self, name: str, subject: Subject) -> dict:
        """What a target measures of a file, as plain data."""
        if name in self.absent:
            return {"state": OPEN, "why": self.absent[name]}
        results = run.on(name, [subject], self._settings(name), self._phone)
        try:
            with contextlib.closing(results):
                found = list(results)
        except RuntimeError as error:  # the device dropped out
            self.absent[name] = f"it dropped out: {error}"
            self._say(f"The target '{name}' dropped out; its cells stay open: {error}")
            return {"state": OPEN, "why": self.absent[name]}
        return _measured(found)

    def _settings(self, name: str) -> run.Settings:
        return run.Settings(_DELEGATES[name], threads=(1,), runs=self._runs)

    def _why_absent(self, name: str) -> str | None:
        try:
            run.check(name, self._settings(name), self._phone)
            if name == "android":
                Adb(self._phone.adb, self._phone.serial)
        except RuntimeError as error:
            return str(error)
        return None


def _measured(results: list[Result]) -> dict:
    """The fastest result of a file on a target, as plain data; what it does not tell is `None`."""
    held = [one for one in results if one.status == "done"]
    if not held:
        why = "; ".join(dict.fromkeys(f"{one.delegate}: {one.message}" for one in results))
        return {"state": FAILED, "why": why or "the target gave no result"}
    best = min(held, key=_speed)
    times = best.times
    return {
        "state": DONE, "why": "",
        "device": best.device, "tool": best.tool, "delegate": best.delegate,
        "threads": best.threads, "precision": best.precision,
        "runs": times and times.runs, "median_us": times and _median(best),
        "p95_us": times and times.p95_us, "cpu_use": times and times.cpu_use,
        "milliwatts": _power(best), "peak_memory_bytes": best.peak_memory_bytes,
        "ops": best.ops and [best.ops.delegated, best.ops.total],
        "longest_op": _longest(best), "agrees": _agreement(best), "notes": list(best.notes),
    }  # fmt: skip


def _median(result: Result) -> float | None:
    """Older tools on phones give no median, but a mean."""
    times = result.times
    return times.mean_us if times.median_us is None else times.median_us


def _speed(result: Result) -> float:
    median = None if result.times is None else _median(result)
    return float("inf") if median is None else median


def _power(result: Result) -> float | None:
    """The power, if the device tells one: a counter that stands still or runs back tells none."""
    power = result.state and result.state.milliwatts
    return power if power and power > 0 else None


def _longest(result: Result) -> list | None:
    """The kind of op that takes most of the time, and its share."""
    whole = sum(one.us for one in result.profile or ())
    if not whole:
        return None
    longest = max(result.profile, key=lambda one: one.us)
    return [longest.op, round(longest.us / whole, 4)]


def _agreement(result: Result) -> float | None:
    """The share of rows whose arg-max is that of the reference on the host, of the worst output."""
    found = [one.argmax for one in (result.agreement or {}).values() if one.argmax is not None]
    return min(found, default=None)
