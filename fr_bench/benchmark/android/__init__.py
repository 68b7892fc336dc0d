"""The target `android`: measures on phones, with `adb` and Android's `benchmark_model`."""

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from fr_bench.benchmark._subject import Subject
from fr_bench.benchmark.android import _phone, texts
from fr_bench.benchmark.android._binaries import INSTRUCTIONS
from fr_bench.benchmark.android._folder import Folder
from fr_bench.benchmark.android._measurement import Run, RunError, with_refused
from fr_bench.benchmark.android._session import Installed, Session, start
from fr_bench.benchmark.android._tool import ToolError
from fr_bench.benchmark.android.adb import Adb, AdbError, DeviceLost
from fr_bench.benchmark.result import Result

__all__ = [
    "DELEGATES",
    "INSTRUCTIONS",
    "AdbError",
    "DeviceLost",
    "Pace",
    "ToolError",
    "check_delegates",
    "measure",
    "texts",
]

DELEGATES = ("none", "xnnpack", "gpu", "nnapi", "npu")
#: The API level of Android 15, which deprecated NNAPI.
_NNAPI_ENDS = 35
_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class Pace:
    """How long things may take, in seconds.

    Attributes:
        rest: The pause before each measurement.
        cool: How much longer to wait for a warm phone.
        run: How long one run of the tool may take.
        back: How long to wait for a phone that disconnects.
    """

    rest: float = 5.0
    cool: float = 120.0
    run: float = 600.0
    back: float = 30.0


def measure(
    subjects: Iterable[Subject],
    delegates: Sequence[str],
    threads: Sequence[int] = (1,),
    *,
    tool: str | os.PathLike,
    adb: str = "adb",
    serial: str | None = None,
    runs: int = 50,
    warmup: int = 5,
    pace: Pace = Pace(),
) -> Iterator[Result]:
    """Runs files on a phone, one result after another.

    Files are pushed to a folder of their own on the phone. It is removed at the end, also after an
    error or Ctrl-C, and when the iterator is closed. So close the iterator:
    `with contextlib.closing(measure(...))`.

    Args:
        subjects: The files.
        delegates: Some of `DELEGATES`.
        threads: Numbers of CPU threads.
        tool: Android's `benchmark_model`, or a folder of several.
        adb: The `adb` program.
        serial: The serial number of the device; not needed if there is only one.
        runs: The number of timed inferences.
        warmup: The number of inferences before them.
        pace: How long things may take.

    Yields:
        A result for each file, delegate and number of threads. A result that failed or was refused
        says why, and the next result follows.

    Raises:
        AdbError: If there is no phone, or the tool cannot be copied to it or run there.
        DeviceLost: If the phone disconnects and does not come back, after a result that says so.
        ToolError: If the tool does not fit the phone, or is not a `benchmark_model`.
        ValueError: If a delegate is unknown.
    """
    check_delegates(delegates, DELEGATES)
    connection = Adb(adb, serial, pace.back)
    with Folder(connection) as folder:
        session = start(connection, folder, tool)
        for subject in subjects:
            lost = _put(session, subject)
            for delegate, number in ((d, n) for d in delegates for n in threads):
                one = _Case(session, subject, delegate, number, runs, warmup, pace)
                result, error = one.failed(lost) if lost else one.result()
                yield result
                if isinstance(error, DeviceLost):
                    raise error
            session.remove("model.tflite", "row*.bin")


def check_delegates(delegates: Sequence[str], known: Sequence[str]) -> None:
    """Raises a ValueError if a delegate is not known."""
    strange = [one for one in delegates if one not in known]
    if strange:
        raise ValueError(
            f"`delegates` must be some of {', '.join(known)}. Received: {', '.join(strange)}"
        )


def _put(session: Session, subject: Subject) -> AdbError | None:
    """Copies a file to the phone; returns the error if that fails."""
    try:
        session.put(subject)
    except AdbError as error:
        return error
    return None


@dataclasses.dataclass(frozen=True)
class _Case:
    session: Session
    subject: Subject
    delegate: str
    threads: int
    runs: int
    warmup: int
    pace: Pace

    def result(self) -> tuple[Result, Exception | None]:
        """Measures, and returns the error too if there was one."""
        installed, refusal = self.session.choose(self.delegate)
        common = self._common(installed)
        if refusal is not None:
            return Result(**common, status="refused", message=refusal), None
        try:
            return Result(**common, **self._measured(installed)), None
        except RunError as error:
            status = "refused" if error.refused else "failed"
            return Result(**common, status=status, message=str(error)), error
        except AdbError as error:
            return self.failed(error)

    def failed(self, error: AdbError) -> tuple[Result, AdbError]:
        """Returns the result of a phone that did not work, and the error."""
        installed, _ = self.session.choose(self.delegate)
        return Result(**self._common(installed), status="failed", message=str(error)), error

    def _measured(self, installed: Installed) -> dict:
        adb, notes = self.session.adb, self._notes()
        before, warnings = _phone.cool(adb, self.pace.rest, self.pace.cool)
        run = Run(self.session, installed, self.delegate, self.threads, self.warmup, self.pace.run)
        report = run.timed(self.runs)
        state = _phone.state(before, _phone.look(adb), *self.session.folder.watched())
        profile, why = _tried("op profile", lambda: run.profile(self.runs))
        outputs, unlike = _tried("comparison of outputs", lambda: run.outputs(self.subject))
        said = (*notes, *warnings, *report.notes, *why, *unlike)
        return {
            "times": report.times,
            "peak_memory_bytes": report.memory_bytes,
            "ops": with_refused(report.ops, profile, self.delegate),
            "profile": profile,
            "state": state,
            **({"notes": said} if outputs is None else self.subject.scores(outputs, said)),
        }

    def _notes(self) -> tuple[str, ...]:
        if self.delegate != "nnapi" or (self.session.api or 0) < _NNAPI_ENDS:
            return ()
        return ("NNAPI is deprecated since Android 15: LiteRT's NPU path, `npu` here, replaces it",)

    def _common(self, installed: Installed) -> dict:
        return {
            **self.subject.facts,
            "target": "android",
            "device": self.session.device,
            "tool": str(installed),
            "delegate": self.delegate,
            "precision": installed.tool.precision(self.delegate),
            "threads": self.threads,
        }


def _tried(what: str, step: Callable[[], _T | None]) -> tuple[_T | None, tuple[str, ...]]:
    """The result of a step, and the reason if it failed; the times are kept in either case."""
    try:
        return step(), ()
    except RunError as error:
        return None, (f"no {what}: {error}",)
