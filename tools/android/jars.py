"""Gets the jars of `jars.json` into a private folder: Kotlin's compiler, its library, and JUnit.

Maven fetches them into a repository in that folder, from the source in the machine's own settings.
A jar is accepted only if it has the SHA-256 of the list.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

_LIST = Path(__file__).with_name("jars.json")
_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
#: What every module is compiled and tested with.
MODULE = ("compiler", "library", "tests")
_T = TypeVar("_T")


class SetupError(RuntimeError):
    """What the tests need cannot be had here; says what that is."""


@dataclass(frozen=True)
class Jar:
    """A jar of Maven Central.

    Attributes:
        use: What it is for: "compiler", "library" and "tests" of every module; of the APK also
            "android", "resources", "tflite", "backporter" and "dexer"; of the guide's code "guide",
            what Android has itself; of the tests of the screens "screens" and "oldest", the oldest
            Android.
        type: "jar", or "aar" of a library of Android.
    """

    use: str
    group: str
    artifact: str
    version: str
    sha256: str
    type: str = "jar"

    @property
    def name(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"

    @property
    def file(self) -> str:
        return f"{self.artifact}-{self.version}.{self.type}"


def folder() -> Path:
    """The private folder: that of FR_KERAS_ANDROID, or one in the cache of the user."""
    given = os.environ.get("FR_KERAS_ANDROID")
    return Path(given) if given else Path.home() / ".cache" / "fr_keras" / "android"


def listed(uses: Sequence[str] = MODULE) -> list[Jar]:
    """Returns the jars of the list for these uses."""
    found = [Jar(**entry) for entry in json.loads(_LIST.read_text())]
    return [jar for jar in found if jar.use in uses]


def fetch(jars: Sequence[Jar], root: Path) -> dict[str, list[Path]]:
    """Returns the files of the jars by use, fetched where they are not there yet.

    Raises:
        SetupError: If Maven is missing, or fails, or a file is not the one of the list.
    """
    files = root / "jars"
    files.mkdir(parents=True, exist_ok=True)
    missing = [jar for jar in jars if not (files / jar.file).exists()]
    if missing:
        print(f"android: fetching {len(missing)} jars into {files}", flush=True)
        # In a folder of its own: a file in `jars` is always whole, and the one of the list.
        with tempfile.TemporaryDirectory(dir=root, prefix="fetching-") as partial:
            _copy(missing, Path(partial), root / "repository")
            for jar in missing:
                _check(jar, Path(partial) / jar.file)
                (Path(partial) / jar.file).rename(files / jar.file)
    found: dict[str, list[Path]] = {}
    for jar in jars:
        _check(jar, files / jar.file)
        found.setdefault(jar.use, []).append(files / jar.file)
    return found


def _copy(jars: Sequence[Jar], target: Path, repository: Path) -> None:
    """Has Maven copy jars into a folder, without what they depend on: the list is complete."""
    items = "".join(
        f"<artifactItem>{coordinates(jar.name)}<type>{jar.type}</type></artifactItem>"
        for jar in jars
    )
    options = f"<artifactItems>{items}</artifactItems><outputDirectory>{target}</outputDirectory>"
    maven(_PLUGIN, "copy", f"<configuration>{options}</configuration>", repository)


def maven(
    plugin: str,
    goal: str,
    options: str,
    repository: Path,
    project: str = "",
) -> None:
    """Runs one goal of a plugin of Maven.

    Args:
        plugin: Its group, artifact and version, with colons between.
        options: XML that configures it.
        repository: The folder into which Maven loads what it needs.
        project: XML of the project on which it runs.

    Raises:
        SetupError: If Maven is missing or fails; with what it said.
    """
    command = shutil.which("mvn")
    if command is None:
        raise SetupError("`mvn` is missing: install Maven 3.6 or newer (on Debian: maven)")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pom.xml").write_text(
            "<project><modelVersion>4.0.0</modelVersion><groupId>fr_keras</groupId>"
            f"<artifactId>android</artifactId><version>1</version>{project}<build><plugins>"
            f"<plugin>{coordinates(plugin)}{options}</plugin></plugins></build></project>\n"
        )
        done = subprocess.run(
            [command, "-B", "-q", f"-Dmaven.repo.local={repository}", f"{plugin}:{goal}"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    if done.returncode:
        said = "\n  ".join([line for line in done.stdout.splitlines() if "ERROR" in line][:6])
        raise SetupError(f"`mvn {plugin}:{goal}` failed; it needs Maven Central\n  {said}")


def script(description: str, set_up: Callable[[], _T], work: Callable[[_T], bool]) -> int:
    """Runs a script, and returns its exit code.

    Args:
        description: What it does.
        set_up: Gets what it needs. With `--if-possible` that may fail.
        work: Does it with that, and returns whether all was well.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--if-possible",
        action="store_true",
        help="succeed, and say why, where what it needs cannot be had",
    )
    optional = parser.parse_args().if_possible
    try:
        needed = set_up()
    except SetupError as error:
        print(f"{'not run' if optional else 'error'}: {error}", file=sys.stderr)
        return 0 if optional else 1
    try:
        return 0 if work(needed) else 1
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def coordinates(name: str) -> str:
    """Returns the XML of a group, an artifact and a version with colons between."""
    group, artifact, version = name.split(":")
    return (
        f"<groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>"
    )


def _check(jar: Jar, path: Path) -> None:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != jar.sha256:
        raise SetupError(
            f"'{path}' is not the file of the list: its SHA-256 is {digest}, not {jar.sha256}. "
            "Remove it and try again"
        )
