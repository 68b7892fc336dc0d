"""A thin client for the `adb` program: one device, time limits, and retries if it disconnects."""

import dataclasses
import os
import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

#: Time limits in seconds: for a command, and for pushing or pulling a file.
LIMIT, COPY_LIMIT = 30, 600
#: How many seconds a device that disconnected has to come back, and how often it may disconnect.
RETURN, RETRIES = 30, 2
_END = "fr_keras-end"
_T = TypeVar("_T")

# A text that adb itself prints -> what it means and what to do.
_STATES = {
    "unauthorized": (
        "the device is unauthorized: unlock it and allow USB debugging for this computer"
    ),
    "offline": "the device is offline: plug it in again, or run `adb reconnect`",
    "no permissions": (
        "this user may not use the device: see https://developer.android.com/studio/run/device "
        "for the udev rules"
    ),
}
_LOST = re.compile(
    r"device '[^']*' not found|device not found|no devices/emulators found|device offline"
    r"|error: closed|protocol fault|connect failed|failed to get feature set|device still auth"
)
_WRONG_ABI = re.compile(
    r"[Ee]xec format error|not executable: \d+-bit ELF|not executable: magic|CANNOT LINK EXECUTABLE"
    r"|syntax error: unexpected|inaccessible or not found"
)


class AdbError(RuntimeError):
    """Raised if a device cannot be used or refuses something; says why and what to do."""


class DeviceLost(AdbError):
    """Raised if the device disconnected and did not come back in time."""


class TookTooLong(AdbError):
    """Raised if a command was stopped at its time limit."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """The output of a command on the device, stderr included, and its exit code."""

    code: int
    text: str


class Adb:
    """One device.

    Args:
        program: The `adb` program: a name on PATH or a path.
        serial: The serial number of the device; `None` if there is only one.
        back: How many seconds it has to come back if it disconnects.

    Raises:
        AdbError: If the program or the device does not exist, the device is not ready, or there are
            several and `serial` is `None`.
    """

    def __init__(self, program: str = "adb", serial: str | None = None, back: float = RETURN):
        self._program, self._back = program, back
        self.serial = self._only(serial)

    def shell(
        self, command: str | Sequence[str], limit: float = LIMIT, tries: int = RETRIES + 1
    ) -> Answer:
        """Runs a command on the device and returns its `Answer`, whatever its exit code is.

        Args:
            command: A line for the shell of the device, or words, which are then quoted.
            limit: The time limit in seconds.
            tries: How often to run it if the device disconnects meanwhile.

        Raises:
            DeviceLost: If the device is gone.
            TookTooLong: If it did not finish in time; it may still run on the device.
        """
        line = command if isinstance(command, str) else shlex.join(command)
        # Older devices do not pass on exit codes, and a device that disconnects gives none.
        wrapped = f"{{ {line}\n}} 2>&1; c=$?; echo; echo {_END} $c"
        return self._again(lambda: self._shell(wrapped, limit), tries)

    def _shell(self, wrapped: str, limit: float) -> Answer:
        code, said = self._call(["shell", wrapped], limit)
        text, mark, end = said.rpartition(f"\n{_END} ")
        if not mark:
            self._fail(code, said)
            raise DeviceLost(f"the device ended the command without an exit code: {_last(said)}")
        return Answer(int(end.split()[0]), text.removesuffix("\n"))

    def check(self, command: str | Sequence[str], limit: float = LIMIT) -> str:
        """Runs a command like `shell`, but it must succeed; returns its output.

        Raises:
            AdbError: If it fails; the message is from `complaint`.
        """
        answer = self.shell(command, limit)
        if answer.code:
            raise AdbError(complaint(answer))
        return answer.text

    def push(self, local: str | os.PathLike, remote: str) -> None:
        """Copies a file to the device."""
        self._again(lambda: self._copy(["push", str(local), remote]), RETRIES + 1)

    def pull(self, remote: str, local: str | os.PathLike) -> None:
        """Copies a file from the device."""
        self._again(lambda: self._copy(["pull", remote, str(local)]), RETRIES + 1)

    def read(self, remote: str) -> bytes | None:
        """Returns the content of a file on the device; `None` if the file does not exist."""
        if self.shell(["test", "-f", remote]).code:
            return None
        with tempfile.TemporaryDirectory(prefix="fr_keras-") as name:
            self.pull(remote, Path(name) / "file")
            return (Path(name) / "file").read_bytes()

    def properties(self) -> dict[str, str]:
        """Returns the properties that `getprop` lists."""
        return dict(re.findall(r"^\[([^\]]+)\]: \[([^\]]*)\]", self.check("getprop"), re.MULTILINE))

    def _copy(self, arguments: list[str]) -> None:
        code, said = self._call(arguments, COPY_LIMIT)
        if code:
            self._fail(code, said)
            raise AdbError(f"adb {arguments[0]} failed: {complaint(Answer(code, said))}")

    def _fail(self, code: int, said: str) -> None:
        """Raises an error if adb itself complains, or if the device is gone."""
        for state, message in _STATES.items():
            if code and re.search(rf"\b{state}\b", said):
                raise (DeviceLost if state == "offline" else AdbError)(message)
        # adb has many messages for an interrupted copy, so ask whether the device is still there.
        if code and (_LOST.search(said) or self._devices().get(self.serial) != "device"):
            raise DeviceLost(f"the device disconnected: {_last(said)}")

    def _again(self, step: Callable[[], _T], tries: int) -> _T:
        try:
            return step()
        except DeviceLost as error:
            if tries == 1 or not self._returns():
                raise DeviceLost(
                    f"{error}. Check the cable and the power, then run the command again"
                ) from error
        return self._again(step, tries - 1)

    def _returns(self) -> bool:
        """Waits until the device is there again."""
        end = time.monotonic() + self._back
        while time.monotonic() < end:
            if self._devices().get(self.serial) == "device":
                return True
            time.sleep(min(1.0, self._back / 4))
        return False

    def _devices(self) -> dict[str, str]:
        code, said = self._call(["devices"], LIMIT, serial=False)
        if code:
            raise AdbError(f"`{self._program} devices` failed: {_last(said)}")
        return dict(re.findall(r"^(\S+)\t(.+?)\s*$", said, re.MULTILINE))

    def _only(self, serial: str | None) -> str:
        found = self._devices()
        if serial is None and len(found) > 1:
            names = ", ".join(f"{name} ({state})" for name, state in found.items())
            raise AdbError(
                f"`serial` must name one of the devices, because there are several: {names}"
            )
        if serial is not None and serial not in found:
            names = ", ".join(found) or "none"
            raise AdbError(f"`serial` must be a device that adb sees: {names}. Received: {serial}")
        if not found:
            raise AdbError(
                "adb sees no device: plug one in, turn on its developer options and USB debugging, "
                "and check that `adb devices` lists it"
            )
        name = serial or next(iter(found))
        for state, message in _STATES.items():
            if found[name].startswith(state):
                raise AdbError(message)
        if found[name] != "device":
            raise AdbError(f"the device is not ready: adb gives its state as '{found[name]}'")
        return name

    def _call(self, arguments: list[str], limit: float, serial: bool = True) -> tuple[int, str]:
        command = [self._program, *(("-s", self.serial) if serial else ()), *arguments]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=limit,
                check=False,
            )
        except FileNotFoundError:
            raise AdbError(
                f"`adb` must be a program on PATH or a path to one: get it with Android's platform "
                f"tools, https://developer.android.com/tools/adb. Received: {self._program}"
            ) from None
        except PermissionError:
            raise AdbError(f"`adb` must be executable. Received: {self._program}") from None
        except subprocess.TimeoutExpired:
            raise TookTooLong(f"it took more than {limit:g} seconds and was stopped") from None
        text = done.stdout.decode(errors="replace").replace("\r\n", "\n")
        # Messages go into result files, which must not contain serial numbers.
        return done.returncode, text.replace(self.serial, "SERIAL") if serial else text


def complaint(answer: Answer) -> str:
    """Explains why a command failed on the device, with its last lines."""
    said = f"{_last(answer.text)} (exit code {answer.code})"
    if "No space left" in answer.text:
        return f"there is no space left on the device: free some, then run it again. {said}"
    if _WRONG_ABI.search(answer.text) and answer.code in (2, 126, 127):
        return f"the device cannot execute it, because it is for another ABI: {said}"
    if re.search(
        r"[Pp]ermission denied|Operation not permitted|Read-only file system", answer.text
    ):
        return f"the device does not permit it: {said}"
    if answer.code > 128:
        return f"it was stopped by signal {answer.code - 128}: {said}"
    return said


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " / ".join(lines[-3:])[-500:] or "it printed nothing"
