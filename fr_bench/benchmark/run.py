"""Runs every file on every target, one result after another."""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

from fr_bench.benchmark import android, arm64, devices, gpu, host
from fr_bench.benchmark._subject import Subject, Unfit
from fr_bench.benchmark.android import app
from fr_bench.benchmark.result import Result

#: The most rows that are compared on a slow target unless the user says how many.
SLOW_ROWS = 64
_TARGETS = {"host": host, "arm64": arm64, "gpu": gpu, "android": android}


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a target measures.

    Attributes:
        delegates: The delegates; `None` for all that the target has.
        threads: Numbers of CPU threads to measure with, one after another; `None` for 1, and on
            the host also for as many as there are cores.
        runs: The number of timed inferences.
        warmup: The number of inferences before them.
        slow_rows: The most rows on a target where a row may take seconds: under emulation, on a
            phone, and on the GPU, which may be a software driver; `None` for all.
    """

    delegates: tuple[str, ...] | None = None
    threads: tuple[int, ...] | None = None
    runs: int = 50
    warmup: int = 5
    slow_rows: int | None = SLOW_ROWS

    def __post_init__(self):
        for name, least in (("runs", 1), ("warmup", 0)):
            if getattr(self, name) < least:
                raise ValueError(
                    f"`{name}` must be at least {least}. Received: {getattr(self, name)}"
                )
        if self.threads is not None and (not self.threads or min(self.threads) < 1):
            raise ValueError(f"`threads` must be numbers of at least 1. Received: {self.threads}")

    def threads_on(self, target: str) -> tuple[int, ...]:
        """Returns the numbers of threads to measure with on a target."""
        if self.threads is not None:
            return self.threads
        return tuple(sorted({1, host.cores()})) if target == "host" else (1,)


@dataclasses.dataclass(frozen=True)
class Phone:
    """How to reach the target `android`.

    Attributes:
        tool: Android's `benchmark_model`, or a folder of several; not needed with the app.
        app: Whether the app of `android_demo` measures instead.
        adb: The `adb` program.
        serial: The serial number of the device; not needed if there is only one.
    """

    tool: Path | None = None
    app: bool = False
    adb: str = "adb"
    serial: str | None = None


def check(target: str, settings: Settings, phone: Phone | None = None) -> None:
    """Raises an error before the work if something would stop it.

    Raises:
        ValueError: If the target has none of the delegates.
        MissingDevice: If the target is not set up on this machine.
    """
    chosen(settings, target, phone)
    if target == "arm64":
        devices.find(target)
    elif target == "gpu":
        gpu.adapter()


def on(
    target: str,
    subjects: Sequence[Subject | Unfit],
    settings: Settings,
    phone: Phone | None = None,
) -> Iterator[Result]:
    """Runs files on a target. Close the iterator, so that a phone is left clean.

    Args:
        target: `host`, `arm64`, `gpu` or `android`.
        subjects: The files; for the app, some of the files that it bundles, or none for all.
        settings: How to measure.
        phone: How to reach the phone, for `android`.

    Yields:
        A result for each file, delegate and number of threads, and on a GPU for each precision. A
        file that cannot be measured gives one failed result.

    Raises:
        ValueError: If the target has none of the delegates.
        RuntimeError: If the target is not set up on this machine (`devices.MissingDevice`), or if
            there is no phone (`android.AdbError`).
    """
    delegates = chosen(settings, target, phone)
    for unfit in (one for one in subjects if isinstance(one, Unfit)):
        yield _failed(target, unfit, delegates[0])
    fit = [one for one in subjects if isinstance(one, Subject)]
    if target != "host" and settings.slow_rows is not None:
        fit = [one.on_fewer(settings.slow_rows) for one in fit]
    if subjects and not fit:
        return
    if target == "android":
        measure = app.measure if phone.app else functools.partial(android.measure, tool=phone.tool)
        yield from measure(
            fit,
            delegates,
            settings.threads_on(target),
            adb=phone.adb,
            serial=phone.serial,
            runs=settings.runs,
            warmup=settings.warmup,
        )
        return
    for subject in fit:
        for delegate in delegates:
            for threads in settings.threads_on(target):
                yield from _measured(target, subject, delegate, threads, settings)


def _failed(target: str, unfit: Unfit, delegate: str) -> Result:
    """The result of a file that could not be measured."""
    device, tool = {"name": target}, "none"  # a phone is not asked for its name
    if target == "host":
        device, tool = host.device(), host.tool()
    elif target == "arm64":
        setup = devices.find(target)
        device, tool = arm64.device(setup), arm64.tool(setup)
    elif target == "gpu":
        device, tool = gpu.device(gpu.adapter()), host.tool()
    facts = dataclasses.asdict(unfit)
    return Result(
        **facts, target=target, device=device, tool=tool, delegate=delegate, status="failed"
    )


def _measured(target, subject, delegate, threads, settings: Settings) -> Iterator[Result]:
    runs, warmup = settings.runs, settings.warmup
    if target == "host":
        yield host.measure(subject, delegate, threads, runs, warmup)
    elif target == "arm64":
        yield arm64.measure(subject, delegate, threads)
    else:
        for precision in gpu.PRECISIONS:
            yield gpu.measure(subject, precision, threads, runs, warmup)


def chosen(settings: Settings, target: str, phone: Phone | None = None) -> tuple[str, ...]:
    """Returns the delegates of a target, or those of them that the settings name.

    Raises:
        ValueError: If the target has none of the delegates that the settings name.
    """
    by_app = target == "android" and phone is not None and phone.app
    known = (app if by_app else _TARGETS[target]).DELEGATES
    if settings.delegates is None:
        return known
    both = tuple(one for one in settings.delegates if one in known)
    if not both:
        raise ValueError(
            f"`delegates` must be some of {', '.join(known)} on the target '{target}'. "
            f"Received: {', '.join(settings.delegates)}"
        )
    return both
