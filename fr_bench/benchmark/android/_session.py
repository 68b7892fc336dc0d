"""One phone with its tools, which the measurements of one command share."""

import dataclasses
import os
import tempfile
from pathlib import Path

from fr_bench.benchmark._subject import Subject
from fr_bench.benchmark.android import _binaries, _phone, _tool
from fr_bench.benchmark.android._folder import PATH, Folder
from fr_bench.benchmark.android.adb import Adb, AdbError, complaint


@dataclasses.dataclass(frozen=True)
class Installed:
    """A tool in the folder on the device.

    Attributes:
        name: The name of its file there.
        binary: The file on this machine from which it was copied.
        tool: The abilities of the tool.
    """

    name: str
    binary: _binaries.Binary
    tool: _tool.Tool

    def __str__(self) -> str:
        return f"benchmark_model ({self.tool.dialect}), sha256 {self.binary.digest}"


@dataclasses.dataclass(frozen=True)
class Session:
    """A phone that is ready.

    Attributes:
        adb: The phone.
        folder: The folder for everything on it.
        tools: The dialects that the user gave, the classic one first.
        device: The description of the phone for results.
        api: Android's API level.
    """

    adb: Adb
    folder: Folder
    tools: tuple[Installed, ...]
    device: dict[str, str | int]
    api: int | None

    def choose(self, delegate: str) -> tuple[Installed, str | None]:
        """Returns the tool for a delegate; if no tool has it, one of them and why it cannot."""
        refusals = [(one, one.tool.refusal(delegate)) for one in self.tools]
        able = [(one, why) for one, why in refusals if why is None]
        return next(iter(able or refusals))

    def put(self, subject: Subject) -> None:
        """Copies a file and its rows to the phone.

        Raises:
            AdbError: If that fails.
        """
        files = {"model.tflite": subject.content}
        if any(one.tool.writes_outputs for one in self.tools):
            for part, rows in enumerate(subject.inputs):
                files |= {row_file(n, part): row.tobytes() for n, row in enumerate(rows)}
        with tempfile.TemporaryDirectory(prefix="fr_keras-") as name:
            for file, content in files.items():
                (Path(name) / file).write_bytes(content)
                self.adb.push(Path(name) / file, f"{PATH}/{file}")

    def remove(self, *patterns: str) -> None:
        """Removes files on the phone."""
        self.adb.check(f"cd {PATH} && rm -f {' '.join(patterns)}")

    def read(self, file: str) -> bytes | None:
        """Returns the content of a file on the phone; `None` if the tool did not write it."""
        return self.adb.read(f"{PATH}/{file}")


def row_file(row: int, part: int) -> str:
    """Returns the name of the file with one row of one input."""
    return f"row{row}-{part}.bin"


def start(adb: Adb, folder: Folder, given: str | os.PathLike) -> Session:
    """Copies the tools that fit the device there, and asks each what it can do.

    Raises:
        AdbError: If the tools cannot be copied to the device or run there.
        ToolError: If no tool fits, or one is not a `benchmark_model`.
    """
    properties = adb.properties()
    fit = _binaries.fitting(_binaries.find(given), _phone.abis(properties))
    tools: dict[str, Installed] = {}
    for number, binary in enumerate(fit):
        one = _install(adb, binary, f"benchmark_model{number}")
        tools.setdefault(one.tool.dialect, one)
    ordered = [tools[dialect] for dialect in _tool.SWITCHES if dialect in tools]
    device = _phone.device(properties, adb.shell("nproc").text, adb.shell(_phone.CPUINFO).text)
    return Session(adb, folder, tuple(ordered), device, _phone.api(properties))


def _install(adb: Adb, binary: _binaries.Binary, name: str) -> Installed:
    adb.push(binary.path, f"{PATH}/{name}")
    adb.check(["chmod", "755", f"{PATH}/{name}"])
    for library in binary.libraries:
        adb.push(library, f"{PATH}/{library.name}")
    paths = f"LD_LIBRARY_PATH={PATH} " if binary.libraries else ""
    answer = adb.shell(f"cd {PATH} && {paths}{PATH}/{name} --help")
    try:
        # Builds differ in the exit code of --help.
        return Installed(name, binary, _tool.read_help(answer.text))
    except _tool.ToolError as error:
        if answer.code > 1:
            raise AdbError(f"'{binary.path}' did not run: {complaint(answer)}") from None
        raise _tool.ToolError(f"{error}. Received: '{binary.path}'") from None
