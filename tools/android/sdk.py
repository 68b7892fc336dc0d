"""Gets Android's own programs from Debian packages into a private folder."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jvm
from jars import SetupError

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "devices"))
import packages
from packages import HOST, Archive

#: What of the packages' dependencies the programs load.
_LIBRARIES = ("android-lib", "libexpat", "libpng", "libprotobuf", "libzopfli", "zlib1g", "p7zip")


@dataclass(frozen=True)
class Tools:
    """The programs of Debian's packages, unpacked in a folder."""

    folder: Path

    @classmethod
    def set_up(cls, root: Path) -> "Tools":
        """Unpacks them, unless they are there.

        Raises:
            SetupError: If the packages cannot be had.
        """
        folder = root / "packages"
        if not folder.exists():
            names = ("aapt", "zipalign", "apksigner")
            print(f"android: packages {', '.join(names)} into {folder}", flush=True)
            try:
                archive = Archive(root / "apt")
                archive.update()
                # Of one release: the libraries of backports do not fit `aapt2`.
                resolved = archive.resolve(names, backports=False)
                wanted = (*names, "libapksig", *_LIBRARIES)
                found = [one for one in resolved if one.name.startswith(wanted)]
                found = [one for one in found if one.name not in HOST]
                partial = root / "packages.partial"
                packages.unpack(archive.download(found), partial)
                partial.rename(folder)
            except packages.SetupError as error:
                raise SetupError(str(error)) from error
            shutil.rmtree(root / "apt", ignore_errors=True)
        return cls(folder)

    def run(self, name: str, *arguments: object) -> str:
        """Returns what a program said."""
        usr = self.folder / "usr"
        triplet = f"{os.uname().machine}-linux-gnu"
        inner = (f"lib/{triplet}/android", f"lib/{triplet}", "lib", "lib/p7zip")
        environment = {"LD_LIBRARY_PATH": ":".join(str(usr / one) for one in inner)}
        program = usr / "lib" / "android-sdk" / "build-tools" / "debian" / name
        return run([str(program), *map(str, arguments)], environment)

    def sign(self, *arguments: object) -> str:
        """Returns what `apksigner` said."""
        java = self.folder / "usr" / "share" / "java"
        classes = jvm.joined([java / "apksigner.jar", java / "apksig.jar"])
        return run([jvm.java(), "-cp", classes, "com.android.apksigner.ApkSignerTool", *arguments])


def run(command: Sequence[object], environment: dict[str, str] | None = None) -> str:
    """Returns what a program said.

    Raises:
        SetupError: If it failed.
    """
    done = said(command, environment)
    if done.returncode:
        text = "\n  ".join((done.stdout + done.stderr).splitlines()[-8:])
        raise SetupError(f"`{Path(str(command[0])).name}` failed:\n  {text}")
    return done.stdout


def said(
    command: Sequence[object], environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess:
    """Returns what a program said, and its exit code.

    Raises:
        SetupError: If it is missing.
    """
    try:
        return subprocess.run(
            list(map(str, command)),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
        )
    except FileNotFoundError as error:
        raise SetupError(f"`{command[0]}` is missing") from error
