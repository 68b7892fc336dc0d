"""Runs Android devices on this machine for tests: the real `adb` with the real daemon `adbd`.

    with Network(folder) as network:
        phone = network.phone()
        ...  # `network.adb` is a program, and `phone.serial` a device that it sees

The daemon asks for no authorization and listens on every interface, so it gets a network of its
own, which only this `adb` shares. (It also listens on a vsock port, which no namespace isolates.)
Its file system is this machine's, except for `/data`, which is small and in memory, and `/system`,
which has the programs of Android that are needed. Needs Linux with user namespaces, and the
set-ups `adb` and `arm64`.
"""

import ast
import contextlib
import os
import shlex
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import loopback_app
import loopback_system as system

from fr_bench.benchmark import devices

_SERVER_PORT, _FIRST_PORT = 5137, 5600
_WAIT = 20.0
# Brings the loopback interface up, which a new network has down, and stays.
_HOLD = """
import fcntl, signal, socket, struct
with socket.socket() as one:
    flags = struct.unpack("16sH", fcntl.ioctl(one, 0x8913, b"lo" + bytes(30))[:18])[1]
    fcntl.ioctl(one, 0x8914, struct.pack("16sH14x", b"lo", flags | 1))
print("ready", flush=True)
signal.pause()
"""


class Network:
    """A network of its own with an adb server, as a context.

    Args:
        folder: For all that it writes.

    Raises:
        MissingDevice: If `adb` is not set up.
    """

    def __init__(self, folder: Path):
        self._setup = devices.find("adb")
        self._folder = folder.resolve()
        self._phones: list[Phone] = []
        self._stranger: subprocess.Popen | None = None
        #: The program to give as `--adb`.
        self.adb = self._folder / "adb"

    def __enter__(self) -> "Network":
        for name in ("home", "tmp"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        self._holder = subprocess.Popen(
            ["unshare", "--net", *_mapped(), sys.executable, "-c", _HOLD],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        if self._holder.stdout.readline() != b"ready\n":
            raise devices.MissingDevice("the kernel does not allow a network namespace here")
        words = [*self.inside(), "env", *self.environment(), *self._setup.programs["adb"]]
        self.adb.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        self.adb.chmod(0o755)
        return self

    def __exit__(self, *error) -> None:
        for phone in self._phones:
            phone.remove()
        with contextlib.suppress(subprocess.SubprocessError):
            self.run_adb("kill-server")
        for process in filter(None, (self._stranger, self._holder)):
            _end(process)
            process.stdout.close()

    def phone(self, **settings) -> "Phone":
        """Adds a phone, connected; see `Phone`."""
        port = _FIRST_PORT + 2 * len(self._phones)
        phone = Phone(self, self._folder / f"phone{port}", port, **settings)
        self._phones.append(phone)
        phone.runtime()
        phone.plug()
        return phone

    def stranger(self) -> str:
        """Adds a device that asks for authorization and gets none; returns its serial number."""
        port = _FIRST_PORT - 2
        words = [*self.inside(), sys.executable, str(Path(__file__).with_name("stranger.py"))]
        self._stranger = subprocess.Popen(
            [*words, str(port)], stdout=subprocess.PIPE, start_new_session=True
        )
        self._stranger.stdout.readline()
        self.run_adb("connect", f"127.0.0.1:{port}")
        return f"127.0.0.1:{port}"

    def run_adb(self, *arguments: str) -> str:
        """What `adb` says."""
        done = subprocess.run(
            [self.adb, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=_WAIT
        )
        return done.stdout.decode(errors="replace")

    def inside(self) -> list[str]:
        """The words that run a program in the network."""
        spaces = f"/proc/{self._holder.pid}/ns"
        user = [f"--user={spaces}/user", "--preserve-credentials"] if _mapped() else []
        return ["nsenter", f"--net={spaces}/net", *user]

    def environment(self, **more: str) -> list[str]:
        """`env` words for the programs of the set-up."""
        values = {
            **self._setup.environment,
            "HOME": str(self._folder / "home"),
            "TMPDIR": str(self._folder / "tmp"),
            "ANDROID_ADB_SERVER_PORT": str(_SERVER_PORT),
            **more,
        }
        return [f"{name}={value}" for name, value in values.items()]

    def adbd(self, port: int) -> list[str]:
        """The command line of a daemon, for its own file system."""
        path = "/system/bin:/usr/bin:/bin"
        words = self.environment(ADBD_PORT=str(port), PATH=path, TMPDIR="/data/local/tmp")
        return ["env", "-i", *words, *self._setup.programs["adbd"]]


class Phone:
    """A phone that may be unplugged and plugged in again, and changed meanwhile.

    Args:
        network: Where it is.
        folder: For its `/system`.
        port: Of its daemon.
        size: Of its `/data`.
        options: Mount options of `/data`, such as `noexec`.
        properties: Besides those of `loopback_system.PROPERTIES`.
    """

    def __init__(
        self,
        network: Network,
        folder: Path,
        port: int,
        size: str = "64m",
        options: Sequence[str] = (),
        properties: dict[str, str] | None = None,
    ):
        self._network, self._folder, self._port = network, folder, port
        self._size, self._options = size, options
        self._disk: subprocess.Popen | None = None
        self._daemon: subprocess.Popen | None = None
        self.serial = f"127.0.0.1:{port}"
        self.system = folder / "system"
        for name in ("bin", "dumpsys", "battery"):
            (self.system / name).mkdir(parents=True)
        (folder / "root").mkdir()
        listed = {**system.PROPERTIES, **(properties or {})}
        text = "".join(f"[{name}]: [{value}]\n" for name, value in listed.items())
        (self.system / "properties").write_text(text)
        self.program("getprop", system.GETPROP)
        self.program("dumpsys", system.DUMPSYS)
        self.battery()
        self.service("power", "  mWakefulness=Awake\n")
        self.heat(0)
        (self.system / "battery" / "current_now").write_text("-250000\n")

    @property
    def data(self) -> Path:
        """Its `/data`, from outside."""
        return Path(f"/proc/{self._disk.pid}/root{self._folder}/root/data")

    def program(self, name: str, text: str) -> None:
        """Puts a program on its PATH."""
        path = self.system / "bin" / name
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)

    def service(self, name: str, text: str) -> None:
        """Sets what `dumpsys NAME` says."""
        (self.system / "dumpsys" / name).write_text(text)

    def heat(self, status: int) -> None:
        """Sets its thermal status."""
        self.service("thermalservice", f"IsStatusOverride: false\nThermal Status: {status}\n")

    def battery(self, **changes: str) -> None:
        """Sets its battery: `loopback_system.BATTERY` but for what is given."""
        values = {
            **system.BATTERY,
            **{name.replace("_", " "): one for name, one in changes.items()},
        }
        lines = "".join(f"  {name}: {value}\n" for name, value in values.items())
        self.service("battery", f"Current Battery Service state:\n{lines}")

    def runtime(self) -> None:
        """Puts the Python of the set-up `arm64` on its PATH, as `arm64-python`."""
        found = devices.find("arm64")
        self.program(
            "arm64-python",
            system.ARM64.format(
                environment=shlex.join(f"{k}={v}" for k, v in found.environment.items()),
                python=shlex.join(found.programs["python"]),
            ),
        )

    def install(self, apk: Path, **settings) -> None:
        """Puts a stand-in for the app of `android_demo` there; see `loopback_app.install`."""
        loopback_app.install(self.system, apk, ["arm64-python"], loopback_app.FOLDER, **settings)

    def plug(self) -> None:
        """Starts its daemon and waits until adb sees it."""
        if self._disk is None:
            self._disk = self._mounted()
        network, root = self._network, self._folder / "root"
        space = f"--mount=/proc/{self._disk.pid}/ns/mnt"
        chroot = ["chroot", str(root), *network.adbd(self._port)]
        self._daemon = self._started([*network.inside(), space, *chroot], None)
        end = time.monotonic() + _WAIT
        while f"{self.serial}\tdevice" not in network.run_adb("devices"):
            if time.monotonic() > end:
                raise devices.MissingDevice(f"the loopback device did not start: {self._log()}")
            time.sleep(0.1)
            network.run_adb("connect", self.serial)

    def unplug(self) -> None:
        """Ends its daemon; what runs and lies there stays."""
        if self._daemon is not None:
            _end(self._daemon)
            self._daemon = None

    def remove(self) -> None:
        """Ends all that runs there, and its file system."""
        self.unplug()
        if self._disk is not None:
            for process in self.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            _end(self._disk)
            self._disk.stdout.close()

    def processes(self) -> list[int]:
        """What runs there, but for the daemon."""
        space = os.readlink(f"/proc/{self._disk.pid}/ns/mnt")
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.readlink(entry / "ns" / "mnt") == space:
                    found.append(int(entry.name))
        own = [one.pid for one in (self._disk, self._daemon) if one is not None]
        return [one for one in found if one not in own]

    def _mounted(self) -> subprocess.Popen:
        mounts = system.ROOT.format(
            root=self._folder / "root",
            system=self.system,
            size=self._size,
            options="".join(f",{one}" for one in self._options),
        )
        words = [*self._network.inside(), "unshare", "--mount", "sh", "-c", mounts]
        disk = self._started(words, subprocess.PIPE)
        if disk.stdout.readline() != b"ready\n":
            raise devices.MissingDevice(f"the loopback device has no disk: {self._log()}")
        return disk

    def _started(self, words: list[str], stdout) -> subprocess.Popen:
        with open(self._folder / "log", "ab") as log:
            return subprocess.Popen(
                words,
                stdout=log if stdout is None else stdout,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def _log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")[-500:]

    def files(self) -> str:
        """What lies in the folder that anyone may write."""
        return self._network.run_adb("-s", self.serial, "shell", "ls -A /data/local/tmp")


def _mapped() -> list[str]:
    return [] if os.geteuid() == 0 else ["--map-root-user"]


def _end(process: subprocess.Popen) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def tool(path: Path, **settings: str) -> Path:
    """Writes a `benchmark_model` for a phone with the `runtime`; see `benchmark_model.SETTINGS`."""
    source = Path(__file__).with_name("benchmark_model.py").read_text()
    begin = source.index("SETTINGS = {")
    end = source.index("}\n", begin) + 1
    held = {**ast.literal_eval(source[begin + len("SETTINGS = ") : end]), **settings}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{source[:begin]}SETTINGS = {held!r}{source[end:]}")
    return path
