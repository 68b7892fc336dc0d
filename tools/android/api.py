"""Checks that classes use only what the oldest Android that runs them has."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import jars

_PLUGIN = "org.codehaus.mojo:animal-sniffer-maven-plugin:1.24"
#: The classes and methods of Android 8.0.
_OLDEST = "net.sf.androidscents.signature:android-api-level-26:8.0.0_r2"


def set_up(root: Path) -> None:
    """Has Maven get what `check` needs.

    Raises:
        SetupError: If it cannot be had.
    """
    with tempfile.TemporaryDirectory() as nothing:
        check(Path(nothing), root)


def check(classes: Path, root: Path, guarded: Sequence[str] = ()) -> None:
    """Has Animal Sniffer compare what classes refer to with what Android 8.0 has.

    Args:
        classes: The folder of the compiled classes.
        root: The private folder, in which Maven keeps what it needs.
        guarded: Classes of Android of which newer parts are used only where they are there.

    Raises:
        SetupError: If one refers to what is not there; with the names of these.
    """
    library = next(jar for jar in jars.listed() if jar.use == "library")
    options = f"<outputDirectory>{classes}</outputDirectory>"
    options += f"<signature>{jars.coordinates(_OLDEST)}</signature>"
    options += f"<ignores>{''.join(f'<ignore>{one}</ignore>' for one in guarded)}</ignores>"
    jars.maven(
        _PLUGIN,
        "check",
        f"<configuration>{options}</configuration>",
        root / "repository",
        f"<dependencies><dependency>{jars.coordinates(library.name)}</dependency></dependencies>",
    )
