"""Compiles the Kotlin code of `docs/android.md`, and tests what runs without Android.

It also compiles the example that `fr-keras compress` writes.

    python tools/android/guide.py

Run it after `jvm.py`, whose classes it uses. The code with `Interpreter` is compiled against
TensorFlow Lite, because LiteRT has the same names. The code with `CompiledModel` is compiled
against the declarations in `stubs`.
"""

import shutil
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import app
import jars
import jvm
from jars import SetupError

SOURCES = jvm.ROOT / "android_demo" / "guide" / "src"
STUBS = Path(__file__).with_name("stubs")
ARCHIVE = jvm.ROOT / "android_demo" / "models" / "digits.fr"
BUILD = jvm.BUILD / "guide"
#: What it is compiled with besides what every module is.
USES = ("guide", "tflite")


def unpacked(archives: Sequence[Path], folder: Path) -> list[Path]:
    """Returns the classes of libraries of Android, in a folder."""
    found = []
    folder.mkdir(parents=True, exist_ok=True)
    for path in archives:
        target = folder / f"{path.stem}.jar"
        with zipfile.ZipFile(path) as archive:
            target.write_bytes(archive.read("classes.jar"))
        found.append(target)
    return found


def compile_guide(found: dict[str, list[Path]]) -> list[Path]:
    """Compiles the code and its tests, and returns what these need."""
    module, stubs, main = jvm.BUILD / "main", BUILD / "stubs", BUILD / "main"
    if not module.is_dir():
        raise SetupError("the classes of frarchive are missing: run `tools/android/jvm.py` first")
    libraries = [module, *found["library"], *found["guide"]]
    jvm.kotlinc(found, STUBS, stubs, found["library"], [])
    tflite = unpacked(found["tflite"], BUILD / "libraries")
    jvm.kotlinc(found, SOURCES / "main" / "kotlin", main, [stubs, *tflite, *libraries], [])
    example = BUILD / "example"
    app.python("guide_example.py", str(example))
    jvm.kotlinc(found, example, BUILD / "example_classes", [*tflite, *libraries], [])
    tests = [main, *libraries, *found["tests"]]
    jvm.kotlinc(found, SOURCES / "test" / "kotlin", BUILD / "test", tests, [])
    return [main, *libraries]


def set_up() -> dict[str, list[Path]]:
    """The jars, by use.

    Raises:
        SetupError: If they or Java cannot be had.
    """
    jvm.java()
    return jars.fetch(jars.listed((*jars.MODULE, *USES)), jars.folder().resolve())


def work(found: dict[str, list[Path]]) -> bool:
    """Compiles and tests the code, and returns whether all passed."""
    shutil.rmtree(BUILD, ignore_errors=True)
    classes = compile_guide(found)
    expected = BUILD / "expected.json"
    app.python("guide_corpus.py", str(expected))
    properties = {"guide.expected": expected, "guide.archive": ARCHIVE}
    return jvm.run_tests(found, BUILD / "test", classes, properties)


if __name__ == "__main__":
    sys.exit(jars.script(__doc__.splitlines()[0], set_up, work))
