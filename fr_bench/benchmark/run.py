"""Every file on every target, one result after the other."""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

from fr_bench.benchmark import android, arm64, devices, gpu, host
from fr_bench.benchmark._subject import Subject, Unfit
from fr_bench.benchmark.android import app
from fr_bench.benchmark.result import Result

_TARGETS = {"host": host, "arm64": arm64, "gpu": gpu, "android": android}


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a target measures.

    Attributes:
        delegates: Which ones; `None` for all that the target has.
        threads: Numbers of CPU threads, each of which is measured; `None` for 1, on the host also
            one for each core.
        runs: Inferences that are timed.
        warmup: Inferences before them.
    """

    delegates: tuple[str, ...] | None = None
    threads: tuple[int, ...] | None = None
    runs: int = 50
    warmup: int = 5

    def __post_init__(self):
        for name, least in (("runs", 1), ("warmup", 0)):
            if getattr(self, name) < least:
                raise ValueError(
                    f"`{name}` must be at least {least}. Received: {getattr(self, name)}"
                )
        if self.threads is not None and (not self.threads or min(self.threads) < 1):
            raise ValueError(f"`threads` must be numbers from 1. Received: {self.threads}")

    def threads_on(self, target: str) -> tuple[int, ...]:
        """The numbers of threads that are measured on a target."""
        if self.threads is not None:
            return self.threads
        return tuple(sorted({1, host.cores()})) if target == "host" else (1,)


@dataclasses.dataclass(frozen=True)
class Phone:
    """How the target `android` is reached.

    Attributes:
        tool: Its `benchmark_model`, or a folder of them; not needed for the app.
        app: Whether the app of `android_demo` measures instead.
        adb: The `adb` program.
        serial: Which device; not needed where there is one.
    """

    tool: Path | None = None
    app: bool = False
    adb: str = "adb"
    serial: str | None = None


def check(target: str, settings: Settings, phone: Phone | None = None) -> None:
    """Says before the work what would stop it.

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
        subjects: The files; for the app those of its own, and none for all of these.
        settings: How.
        phone: For `android`.

    Yields:
        A result for each file, delegate and number of threads; on a GPU for each precision. One
        failed result for a file that cannot be measured.

    Raises:
        ValueError: If the target has none of the delegates.
        RuntimeError: If the target is not set up on this machine, or there is no phone; by
            `devices.MissingDevice` and `android.AdbError`.
    """
    delegates = chosen(settings, target, phone)
    for unfit in (one for one in subjects if isinstance(one, Unfit)):
        yield _failed(target, unfit, delegates[0])
    fit = [one for one in subjects if isinstance(one, Subject)]
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
    """The result of a file that did not come to be measured."""
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
    """The delegates of a target, or those of them that were asked for.

    Raises:
        ValueError: If it has none of these.
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
