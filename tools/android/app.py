"""Compiles the logic of `android_demo/app`, without Android, and runs its tests on the JVM.

    python tools/android/app.py

Run it after `jvm.py` and `scheduler.py`, whose classes it uses. It first puts the models of the app
into its assets.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import jars
import jvm
import scheduler
from jars import SetupError

APP = jvm.ROOT / "android_demo" / "app"
SOURCES = APP / "src" / "main" / "kotlin" / "org" / "frkeras" / "demo"
TESTS = APP / "src" / "test" / "kotlin" / "org" / "frkeras" / "demo"
MODELS = APP / "src" / "main" / "assets" / "models"
BUILD = jvm.BUILD / "app"
#: The classes of the modules that the app uses, and the script that makes them.
MODULES = {jvm.BUILD / "main": "jvm.py", scheduler.BUILD / "main": "scheduler.py"}


def python(script: str, *arguments: str) -> None:
    """Runs a script of this folder on the library of this tree."""
    command = [sys.executable, str(Path(__file__).with_name(script)), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(jvm.ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    if subprocess.run(command, env=environment).returncode:
        raise SetupError(f"`{script}` failed")


def compile_logic(found: dict[str, list[Path]]) -> list[Path]:
    """Compiles the logic without Android, and its tests; returns what these need."""
    logic = BUILD / "logic"
    for module, script in MODULES.items():
        if not module.is_dir():
            raise SetupError(f"'{module}' is missing: run `tools/android/{script}` first")
    libraries = [*MODULES, *found["library"]]
    jvm.kotlinc(found, SOURCES / "logic", logic, libraries, [])
    jvm.kotlinc(
        found,
        TESTS / "logic",
        BUILD / "test",
        [logic, *libraries, *found["tests"]],
        [f"-Xfriend-paths={logic}"],
    )
    return [logic, *libraries]


def run_tests(found: dict[str, list[Path]], classes: Sequence[Path]) -> bool:
    """Runs the tests, and returns whether all passed and Python reads what they leave."""
    results = BUILD / "results.json"
    results.unlink(missing_ok=True)
    properties = {
        "app.corpus": BUILD / "corpus",
        "app.models": MODELS,
        "app.results": results,
    }
    if not jvm.run_tests(found, BUILD / "test", classes, properties):
        return False
    python("app_results.py", str(results))
    return True


def set_up() -> dict[str, list[Path]]:
    """The jars, by use.

    Raises:
        SetupError: If they or Java cannot be had.
    """
    jvm.java()
    return jars.fetch(jars.listed(), jars.folder().resolve())


def work(found: dict[str, list[Path]]) -> bool:
    """Compiles and tests the logic, and returns whether all passed."""
    shutil.rmtree(BUILD, ignore_errors=True)
    python("models.py")
    classes = compile_logic(found)
    python("app_corpus.py", str(BUILD / "corpus"))
    return run_tests(found, classes)


if __name__ == "__main__":
    sys.exit(jars.script(__doc__.splitlines()[0], set_up, work))
