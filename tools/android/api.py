"""Checks that classes use nothing that the oldest Android which runs them lacks."""

from pathlib import Path

import jars

_PLUGIN = "org.codehaus.mojo:animal-sniffer-maven-plugin:1.24"
#: The classes and methods of Android 8.0.
OLDEST = "net.sf.androidscents.signature:android-api-level-26:8.0.0_r2"


def check(classes: Path, root: Path, signature: str = OLDEST) -> None:
    """Has Animal Sniffer compare what classes refer to with what Android has.

    Args:
        classes: The folder of the compiled classes.
        root: The private folder, in which Maven keeps what it needs.
        signature: The group, artifact and version of what that Android has.

    Raises:
        SetupError: If one refers to what is not there; with the names of these.
    """
    library = next(jar for jar in jars.listed() if jar.use == "library")
    options = f"<outputDirectory>{classes}</outputDirectory>"
    options += f"<signature>{jars.coordinates(signature)}</signature>"
    jars.maven(
        _PLUGIN,
        "check",
        f"<configuration>{options}</configuration>",
        root / "repository",
        f"<dependencies><dependency>{jars.coordinates(library.name)}</dependency></dependencies>",
    )
