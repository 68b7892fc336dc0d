"""Finds the targets that `tools/devices/setup.py` set up on this machine.

A set-up is a folder with a stamp, `target.json`, which says all that is needed to use it: the
command line of each program, the environment, and the versions of what is in it.
"""

import dataclasses
import json
import os
from pathlib import Path

#: Environment variable with another folder than `~/.cache/fr_keras/devices`.
VARIABLE = "FR_KERAS_DEVICES"
FORMAT, VERSION = "fr-keras-device", 1
#: What can be set up, and what it is for.
TARGETS = {
    "arm64": "the AArch64 kernels of LiteRT, under qemu",
    "gpu": "the GPU accelerator of LiteRT, on a software Vulkan driver",
    "adb": "Android's `adb`, and its daemon for tests",
}


class MissingDevice(RuntimeError):
    """A target that is not set up on this machine; says what is missing and how to get it."""


@dataclasses.dataclass(frozen=True)
class Setup:
    """A target that is set up.

    Attributes:
        target: One of `TARGETS`.
        folder: Where it is.
        versions: Name of each package and wheel -> its version.
        programs: Name -> command line.
        environment: Variables that the programs need.
    """

    target: str
    folder: Path
    versions: dict[str, str]
    programs: dict[str, list[str]]
    environment: dict[str, str]

    def version(self, name: str) -> str:
        """The version of a package, of whatever architecture, or of a wheel."""
        return next(held for key, held in self.versions.items() if key.split(":")[0] == name)


def root() -> Path:
    """The folder of all set-ups."""
    given = os.environ.get(VARIABLE)
    return Path(given) if given else Path.home() / ".cache" / "fr_keras" / "devices"


def command(target: str) -> str:
    """The command that sets a target up."""
    return f"python tools/devices/setup.py {target}"


def find(target: str) -> Setup:
    """Returns a set-up.

    Raises:
        ValueError: If there is no such target.
        MissingDevice: If it is not there, half-finished, or of another version of fr_keras.
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
        raise _missing(target, f"that in '{folder}' is of another version of fr_keras")
    found = Setup(target, folder, held["versions"], held["programs"], held["environment"])
    gone = [line[0] for line in found.programs.values() if not Path(line[0]).exists()]
    if gone:
        raise _missing(target, f"'{gone[0]}' is gone")
    return found


def _missing(target: str, why: str) -> MissingDevice:
    return MissingDevice(
        f"`{target}` ({TARGETS[target]}) needs a set-up, and {why}. In a checkout of fr_keras, on "
        f"Debian 12 or newer, this makes it: {command(target)}"
    )
