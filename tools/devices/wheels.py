"""Gets wheels for AArch64, in the versions of `constraints.txt`."""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from packages import SetupError, run

CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
#: Debian 12 has glibc 2.36; wheels name the oldest that they run on.
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")


def pinned(name: str) -> str:
    """Returns the version of a package in `constraints.txt`."""
    found = re.search(rf"^{re.escape(name)}==(\S+)$", CONSTRAINTS.read_text(), re.MULTILINE)
    if found is None:
        raise SetupError(f"`{name}` must be pinned in '{CONSTRAINTS}', as name==version")
    return found[1]


def install(names: Iterable[str], folder: Path) -> None:
    """Downloads and unpacks wheels for Debian 12's Python 3.11, with nothing that they need."""
    platforms = [part for one in PLATFORMS for part in ("--platform", one)]
    run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        + ["--target", str(folder), "--no-compile", "--no-deps", "--only-binary=:all:"]
        + ["--implementation", "cp", "--python-version", "3.11", *platforms]
        + [f"{name}=={pinned(name)}" for name in names],
        "pip and PyPI are needed for the wheels",
    )
