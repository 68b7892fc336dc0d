"""Finds the targets that `tools/devices/setup.py` set up on this machine.

A set-up is a folder with a file `target.json`, which says everything that is needed to use it: the
command line of each program, the environment, and the versions of its parts.
"""

import dataclasses
import json
import os
from pathlib import Path

#: The environment variable that replaces the folder `~/.cache/fr_keras/devices`.
VARIABLE = "FR_KERAS_DEVICES"
FORMAT, VERSION = "fr-keras-device", 1
#: The targets that can be set up, and what they contain.
TARGETS = {
    "arm64": "the AArch64 kernels of LiteRT, under qemu",
    "gpu": "the GPU accelerator of LiteRT, on a software Vulkan driver",
    "adb": "Android's `adb`, and its daemon for tests",
}


class MissingDevice(RuntimeError):
    """Raised if a target is not set up; says what is missing and how to get it."""


@dataclasses.dataclass(frozen=True)
class Setup:
    """A target that is set up.

    Attributes:
        target: One of `TARGETS`.
        folder: The folder of the set-up.
        versions: Name of a package or wheel -> its version.
        programs: Name of a program -> its command line.
        environment: Environment variables that the programs need.
    """

    target: str
    folder: Path
    versions: dict[str, str]
    programs: dict[str, list[str]]
    environment: dict[str, str]

    def version(self, name: str) -> str:
        """Returns the version of a wheel, or of a package of any architecture."""
        return next(held for key, held in self.versions.items() if key.split(":")[0] == name)


def root() -> Path:
    """Returns the folder of all set-ups."""
    given = os.environ.get(VARIABLE)
    return Path(given) if given else Path.home() / ".cache" / "fr_keras" / "devices"


def command(target: str) -> str:
    """Returns the command that sets a target up."""
    return f"python tools/devices/setup.py {target}"


def find(target: str) -> Setup:
    """Returns a set-up.

    Raises:
        ValueError: If there is no such target.
        MissingDevice: If it is missing, unfinished, or made by another version of fr_keras.
    """
    if target not in TARGETS:
        raise ValueError(f"`target` must be one of {', '.join(TARGETS)}. Received: {target!r}")
    folder = root() / target
    try:
        held = json.loads((folder / "target.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _missing(target, f"there is none in '{folder}'") from None
    except ValueError:
        raise _missing(target, f"'{folder / 'target.json'}' is damaged") from None
    if (held.get("format"), held.get("version")) != (FORMAT, VERSION):
        raise _missing(target, f"the one in '{folder}' is of another version of fr_keras")
    found = Setup(target, folder, held["versions"], held["programs"], held["environment"])
    gone = [line[0] for line in found.programs.values() if not Path(line[0]).exists()]
    if gone:
        raise _missing(target, f"'{gone[0]}' is gone")
    return found


def _missing(target: str, why: str) -> MissingDevice:
    return MissingDevice(
        f"`{target}` ({TARGETS[target]}) needs a set-up, and {why}. To make it, run this in a "
        f"clone of fr_keras, on Debian 12 or newer: {command(target)}"
    )
