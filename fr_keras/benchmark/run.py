"""Every file on every target, one result after the other."""

import dataclasses
from collections.abc import Iterable, Iterator

from fr_keras.benchmark import host
from fr_keras.benchmark.result import Result
from fr_keras.benchmark.subject import Subject


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


def on(target: str, subjects: Iterable[Subject], settings: Settings) -> Iterator[Result]:
    """Runs files on a target of this machine.

    Args:
        target: `host`.
        subjects: The files.
        settings: How.

    Yields:
        A result for each file, delegate and number of threads.

    Raises:
        ValueError: If the target has not got a delegate.
    """
    delegates = chosen(settings, host.DELEGATES, target)
    for subject in subjects:
        for delegate in delegates:
            for threads in settings.threads:
                yield host.measure(subject, delegate, threads, settings.runs, settings.warmup)


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
