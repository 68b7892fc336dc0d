"""The target `android` with the app of `android_demo`, which measures the files that it bundles.

An intent starts each measurement, and the app writes the result to its folder. Both go through
`adb`.
"""

import dataclasses
import io
import json
import re
import secrets
import shlex
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from fr_bench.benchmark import result as results
from fr_bench.benchmark._subject import Subject, subject
from fr_bench.benchmark.android import Pace, _phone, check_delegates
from fr_bench.benchmark.android.adb import Adb, AdbError, DeviceLost
from fr_bench.benchmark.result import Result

PACKAGE = "org.frkeras.demo"
ACTIVITY = f"{PACKAGE}/.BenchmarkActivity"
#: Where the app writes: the only folder of an app that adb's shell can read on every Android.
FOLDER = f"/sdcard/Android/media/{PACKAGE}"
#: The delegates of the app, some of `android.DELEGATES`.
DELEGATES = ("none", "xnnpack", "gpu", "nnapi")
#: The smallest and the largest numbers that the app takes.
LIMITS = {"threads": (1, 64), "warmup": (0, 10_000), "runs": (1, 10_000)}
_MODELS = "assets/models"
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_LARGEST = 2**28
_PACE = Pace()
# Each measurement runs in a new process, which may crash or be closed before it is done.
_RUN = """rm -f {output} {output}.error
am start -S -W {intent}
p=$(pidof {package})
[ -n "$p" ] || exit 1
head -n 1 /proc/stat
while [ -d "/proc/$p" ] && ! [ -e {output} ] && ! [ -e {output}.error ]; do
cat {current} 2>/dev/null
sleep 1
done
head -n 1 /proc/stat"""


class _AppError(RuntimeError):
    """Raised if a measurement failed; says why."""


def measure(
    subjects: Sequence[Subject],
    delegates: Sequence[str],
    threads: Sequence[int] = (1,),
    *,
    adb: str = "adb",
    serial: str | None = None,
    runs: int = 50,
    warmup: int = 5,
    pace: Pace = _PACE,
) -> Iterator[Result]:
    """Lets the app measure its files, one result after another.

    The app must be installed, and the screen must be on. The app is closed at the end, also after
    an error or Ctrl-C, and when the iterator is closed. Outputs are compared on rows that the app
    bundles.

    Args:
        subjects: Some of the files that the app bundles, or none for all.
        delegates: Some of `DELEGATES`.
        threads: Numbers of CPU threads.
        adb: The `adb` program.
        serial: The serial number of the device; not needed if there is only one.
        runs: The number of timed inferences.
        warmup: The number of inferences before them.
        pace: How long things may take.

    Yields:
        A result for each file, delegate and number of threads, as from `android.measure`.

    Raises:
        AdbError: If there is no phone, or the app is not on it.
        DeviceLost: If the phone disconnects and does not come back, after a result that says so.
        ValueError: If a delegate is unknown, a number is not within `LIMITS`, or the app does not
            bundle one of the files.
    """
    check_delegates(delegates, DELEGATES)
    _check_numbers(threads=threads, warmup=[warmup], runs=[runs])
    connection = Adb(adb, serial, pace.back)
    files = _chosen(bundled(connection), subjects)
    said = (connection.shell(command).text for command in ("nproc", _phone.CPUINFO))
    device = _phone.device(connection.properties(), *said)
    try:
        for one, delegate, number in ((f, d, n) for f in files for d in delegates for n in threads):
            case = _Case(connection, device, one, delegate, number, runs, warmup, pace)
            found, error = case.result()
            yield found
            if isinstance(error, DeviceLost):
                raise error
    finally:
        _close(connection)


def _check_numbers(**given: Sequence[int]) -> None:
    for name, numbers in given.items():
        least, most = LIMITS[name]
        strange = [str(one) for one in numbers if not least <= one <= most]
        if strange:
            raise ValueError(
                f"`{name}` must be {least} to {most:,} for the app. Received: {', '.join(strange)}"
            )


def bundled(adb: Adb) -> list[Subject]:
    """Returns the files in the app on a phone.

    Raises:
        AdbError: If the app is not there, or another app has its name.
    """
    path = re.search(r"^package:(.+)$", adb.shell(["pm", "path", PACKAGE]).text, re.MULTILINE)
    content = adb.read(path.group(1)) if path else None
    if content is None:
        raise AdbError(
            f"the app {PACKAGE} is not on the phone: build it with `make android` and install it "
            "with `adb install build/android/app/app.apk`"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as apk, tempfile.TemporaryDirectory() as name:
            index = json.loads(_member(apk, "index.json"))
            return [_bundled(apk, one["file"], Path(name)) for one in index["files"]]
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
        raise AdbError(f"the app {PACKAGE} is not that of android_demo: {error!r}") from error


def _bundled(apk: zipfile.ZipFile, name: str, folder: Path) -> Subject:
    if not _NAME.fullmatch(name):
        raise ValueError(f"'{name}' is not a valid file name")
    (folder / name).write_bytes(_member(apk, name))
    return subject(folder / name, rows=1)


def _member(apk: zipfile.ZipFile, name: str) -> bytes:
    entry = apk.getinfo(f"{_MODELS}/{name}")
    if entry.file_size > _LARGEST:
        raise ValueError(f"'{name}' is too large")
    return apk.read(entry)


def _chosen(found: list[Subject], wanted: Sequence[Subject]) -> list[Subject]:
    known = {one.file: one.sha256 for one in found}
    for one in wanted:
        if known.get(one.file) != one.sha256:
            why = "has another file of that name" if one.file in known else "has no such file"
            raise ValueError(
                f"`subjects` must be files that the app bundles: {', '.join(known)}. "
                f"Received: '{one.file}', but the app {why}"
            )
    names = [one.file for one in wanted] or list(known)
    return [one for name in names for one in found if one.file == name]


def intent(
    output: str, file: str, delegate: str, threads: int, runs: int, warmup: int
) -> list[str]:
    """Returns the arguments of `am start` that let the app measure one file.

    Args:
        output: The name of the result file in `FOLDER`; if there is none, a file with `.error`
            after this name says why.
        file: The name of a bundled file.
        delegate: The delegate.
        threads: The number of CPU threads.
        runs: The number of timed inferences.
        warmup: The number of inferences before them.
    """
    extras = {
        "output": output,
        "files": file,
        "delegates": delegate,
        "threads": str(threads),
        "runs": str(runs),
        "warmup": str(warmup),
    }
    words = [word for name, text in extras.items() for word in ("--es", name, text)]
    return ["-n", ACTIVITY, *words]


def _close(adb: Adb) -> None:
    try:
        adb.shell(f"am force-stop {PACKAGE}; rm -f {FOLDER}/fr_keras-*", tries=1)
    except AdbError:
        return  # the first error says more, and the next measurement begins a new process


@dataclasses.dataclass(frozen=True)
class _Case:
    adb: Adb
    device: dict[str, str | int]
    subject: Subject
    delegate: str
    threads: int
    runs: int
    warmup: int
    pace: Pace

    def result(self) -> tuple[Result, Exception | None]:
        """Measures, and returns the error too if there was one."""
        try:
            return self._measured(), None
        except (_AppError, AdbError) as error:
            return self._failed(str(error)), error

    def _measured(self) -> Result:
        before, warnings = _phone.cool(self.adb, self.pace.rest, self.pace.cool)
        if before.awake is False:
            raise _AppError("the screen is off: unlock it, the app measures only while it is shown")
        output = f"{FOLDER}/fr_keras-{secrets.token_hex(8)}.json"
        said = self._run(output)
        found = self._answer(output, said)
        stats, currents = _phone.watched(said)
        return dataclasses.replace(
            found,
            device=self.device,
            state=_phone.state(before, _phone.look(self.adb), stats, currents),
            notes=(*found.notes, *warnings),
        )

    def _run(self, output: str) -> str:
        words = intent(
            Path(output).name,
            self.subject.file,
            self.delegate,
            self.threads,
            self.runs,
            self.warmup,
        )
        script = _RUN.format(
            package=PACKAGE,
            intent=shlex.join(words),
            output=output,
            current=_phone.CURRENT,
        )
        try:
            # In a shell of its own, which `exit` may leave.
            return self.adb.shell(f"(\n{script}\n)", self.pace.run).text
        except BaseException:
            _close(self.adb)
            raise

    def _answer(self, output: str, said: str) -> Result:
        """The result that the app wrote."""
        refusal = self.adb.read(f"{output}.error")
        if refusal is not None:
            raise _AppError(refusal.decode(errors="replace").strip()[:500])
        content = self.adb.read(output)
        if content is None:
            wrong = re.search(r"^Error: .*", said, re.MULTILINE)
            if wrong:
                raise _AppError(f"`am start` failed: {wrong.group()}")
            raise _AppError("the app ended before it was done: `adb logcat` says why")
        try:
            (found,) = results.parse(content, "the result of the app")
        except ValueError as error:
            raise _AppError(str(error)) from error
        if found.status != "done":
            # The app may have failed before it had the flatbuffer of an archive.
            found = dataclasses.replace(found, sha256=self.subject.sha256)
        # The app does not know what a file takes in a download.
        found = dataclasses.replace(found, **self.subject.sizes)
        facts = {**self.subject.facts, "delegate": self.delegate, "target": "android"}
        if any(getattr(found, name) != value for name, value in facts.items()):
            raise _AppError(f"the app measured something else: {found.file} on {found.delegate}")
        return found

    def _failed(self, message: str) -> Result:
        return Result(
            **self.subject.facts,
            target="android",
            device=self.device,
            tool=PACKAGE,
            delegate=self.delegate,
            threads=self.threads,
            status="failed",
            message=message,
        )
