"""One run at a time in a folder."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import filelock

_LOCK = ".lock"


@contextlib.contextmanager
def alone(out: Path) -> Iterator[None]:
    """Makes a folder if it is not there, and holds it against other runs.

    The system lets go of it when the process ends, however that happens.

    Raises:
        RuntimeError: If another run holds it.
    """
    out.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(out / _LOCK, blocking=False)
    try:
        held = lock.acquire()
    except filelock.Timeout as error:
        raise RuntimeError(
            "`out` must be a folder in which no other run is at work: wait for its end, or "
            f"choose another folder. Received: {out}"
        ) from error
    with held:
        yield
