"""Every file on every target, one result after the other."""

import dataclasses
from collections.abc import Iterable, Iterator

from fr_keras.benchmark import arm64, devices, gpu, host
from fr_keras.benchmark.result import Result
from fr_keras.benchmark.subject import Subject

_TARGETS = {"host": host, "arm64": arm64, "gpu": gpu}


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a target measures.

    Attributes:
        delegates: Which ones; `None` for all that the target has.
        threads: Numbers of CPU threads; each is measured.
        runs: Inferences that are timed.
        warmup: Inferences before them.
    """

    delegates: tuple[str, ...] | None = None
    threads: tuple[int, ...] = (1,)
    runs: int = 50
    warmup: int = 5

    def __post_init__(self):
        for name, least in (("runs", 1), ("warmup", 0)):
            if getattr(self, name) < least:
                raise ValueError(
                    f"`{name}` must be at least {least}. Received: {getattr(self, name)}"
                )
        if not self.threads or min(self.threads) < 1:
            raise ValueError(f"`threads` must be numbers from 1. Received: {self.threads}")


def check(target: str, settings: Settings) -> None:
    """Says before the work what would stop it.

    Raises:
        ValueError: If the target has not got a delegate.
        MissingDevice: If the target is not set up on this machine.
    """
    chosen(settings, _TARGETS[target].DELEGATES, target)
    if target == "arm64":
        devices.find(target)
    elif target == "gpu":
        gpu.adapter()


def on(target: str, subjects: Iterable[Subject], settings: Settings) -> Iterator[Result]:
    """Runs files on a target of this machine.

    Args:
        target: `host`, `arm64` or `gpu`.
        subjects: The files.
        settings: How.

    Yields:
        A result for each file, delegate and number of threads; on a GPU for each precision.

    Raises:
        ValueError: If the target has not got a delegate.
        MissingDevice: If the target is not set up on this machine.
    """
    module = _TARGETS[target]
    delegates = chosen(settings, module.DELEGATES, target)
    for subject in subjects:
        for delegate in delegates:
            for threads in settings.threads:
                yield from _measured(target, subject, delegate, threads, settings)


def _measured(target, subject, delegate, threads, settings: Settings) -> Iterator[Result]:
    runs, warmup = settings.runs, settings.warmup
    if target == "host":
        yield host.measure(subject, delegate, threads, runs, warmup)
    elif target == "arm64":
        yield arm64.measure(subject, delegate, threads)
    else:
        for precision in gpu.PRECISIONS:
            yield gpu.measure(subject, precision, threads, runs, warmup)


def chosen(settings: Settings, known: tuple[str, ...], target: str) -> tuple[str, ...]:
    """The delegates that were asked for, or all of a target.

    Raises:
        ValueError: If the target has not got one of them.
    """
    if settings.delegates is None:
        return known
    strange = [one for one in settings.delegates if one not in known]
    if strange:
        raise ValueError(
            f"`delegates` must be some of {', '.join(known)} on the target '{target}'. "
            f"Received: {', '.join(strange)}"
        )
    return settings.delegates
