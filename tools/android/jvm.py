"""Compiles `android_demo/frarchive` with Kotlin's own compiler and runs its tests on the JVM.

    python tools/android/jvm.py

It needs a JDK 11 or newer and Maven. The jars are in `~/.cache/fr_keras/android`, or in the folder
that the variable FR_KERAS_ANDROID names, and nothing outside this folder and `build/android` is
changed. First, `corpus.py` writes the verdicts of the Python implementation on some thousand
archives.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import api
import jars
from jars import SetupError

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "android_demo" / "frarchive"
BUILD = ROOT / "build" / "android"
#: The tests show that this much suffices for any archive, however hostile.
HEAP = "256m"
_COMPILER = "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"
_LAUNCHER = "org.junit.platform.console.ConsoleLauncher"
_COMPILER_HEAP = "1g"


def program(name: str) -> str:
    """Returns the path of a program of the JDK.

    Raises:
        SetupError: If there is none.
    """
    home = os.environ.get("JAVA_HOME")
    found = shutil.which(name, path=str(Path(home) / "bin") if home else None)
    if found is None:
        raise SetupError(
            f"`{name}` is missing: install a JDK 11 or newer (on Debian: openjdk-17-jdk-headless), "
            "or let JAVA_HOME name one"
        )
    return found


def java() -> str:
    """Returns the command that runs the JVM.

    Raises:
        SetupError: If there is none.
    """
    return program("java")


def compile_module(found: dict[str, list[Path]]) -> tuple[Path, Path]:
    """Compiles the module and its tests, and returns the folders of their classes.

    Raises:
        SetupError: If the compiler refuses them; with what it said.
    """
    main, test = BUILD / "main", BUILD / "test"
    for target in (main, test):
        shutil.rmtree(target, ignore_errors=True)
    library = found["library"]
    sources = MODULE / "src" / "main"
    kotlinc(found, sources / "kotlin", main, library, ["-Xexplicit-api=strict"])
    shutil.copytree(sources / "resources", main, dirs_exist_ok=True)
    kotlinc(
        found,
        MODULE / "src" / "test" / "kotlin",
        test,
        [main, *library, *found["tests"]],
        [f"-Xfriend-paths={main}"],
    )
    return main, test


def kotlinc(
    found: dict[str, list[Path]],
    sources: Path,
    target: Path,
    classpath: Sequence[Path],
    options: Sequence[str],
    pattern: str = "**/*.kt",
) -> None:
    """Compiles the files of a folder.

    Raises:
        SetupError: If the compiler refuses them; it says why.
    """
    command = [java(), f"-Xmx{_COMPILER_HEAP}", "-cp", joined(found["compiler"], found["library"])]
    command += [_COMPILER, "-no-stdlib", "-no-reflect", "-jvm-target", "1.8", "-Werror"]
    # No class that Android 8 does not have.
    command += ["-Xjdk-release=1.8"]
    command += [*options, "-cp", joined(classpath), "-d", str(target)]
    command += map(str, sorted(sources.glob(pattern)))
    print(f"android: compiling {sources.relative_to(ROOT)}", flush=True)
    if subprocess.run(command, stdin=subprocess.DEVNULL).returncode:
        raise SetupError(f"the compiler refuses '{sources.relative_to(ROOT)}'")


def write_corpus() -> Path:
    """Has Python write what it says about archives, and returns the folder."""
    corpus = BUILD / "corpus"
    path = os.pathsep.join(str(ROOT / name) for name in ("", "tests"))
    command = [sys.executable, str(Path(__file__).with_name("corpus.py")), str(corpus)]
    if subprocess.run(command, env={**os.environ, "PYTHONPATH": path}).returncode:
        raise SetupError("the archives to compare with cannot be written")
    return corpus


def run_tests(
    found: dict[str, list[Path]],
    tests: Path,
    classes: Sequence[Path],
    properties: dict[str, object],
    heap: str = HEAP,
) -> bool:
    """Runs tests, and returns whether all passed.

    Args:
        found: The jars, by use.
        tests: The folder of the classes of the tests.
        classes: What else they need.
        properties: What the tests are told, by name.
        heap: How much memory the JVM has.
    """
    command = [java(), f"-Xmx{heap}", *(f"-D{name}={path}" for name, path in properties.items())]
    command += ["-cp", joined(found["tests"], [tests], classes), _LAUNCHER, "execute"]
    command += ["--scan-classpath", str(tests), "--reports-dir", str(BUILD / "reports")]
    command += ["--details", "tree"]
    command += ["--disable-banner", "--disable-ansi-colors", "--fail-if-no-tests"]
    return subprocess.run(command, stdin=subprocess.DEVNULL).returncode == 0


def joined(*paths: Sequence[Path]) -> str:
    return os.pathsep.join(str(path) for some in paths for path in some)


def set_up() -> dict[str, list[Path]]:
    """The jars, by use.

    Raises:
        SetupError: If they or Java cannot be had.
    """
    java()
    root = jars.folder().resolve()
    found = jars.fetch(jars.listed(), root)
    api.set_up(root)
    return found


def work(found: dict[str, list[Path]]) -> bool:
    """Compiles and tests the module, and returns whether all passed."""
    main, test = compile_module(found)
    print("android: comparing with the classes of Android 8.0", flush=True)
    api.check(main, jars.folder().resolve())
    return run_tests(found, test, [main, *found["library"]], {"frarchive.corpus": write_corpus()})


if __name__ == "__main__":
    sys.exit(jars.script(__doc__.splitlines()[0], set_up, work))
