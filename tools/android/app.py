"""Compiles `android_demo/app`, runs its tests on the JVM, and makes an APK of it.

    python tools/android/app.py

After `jvm.py`, whose classes it takes. The logic is compiled without Android on the classpath, and
tested; then the rest against Android's own classes. The APK takes `aapt2`, `zipalign` and
`apksigner` of Debian's packages, in a private folder; where they cannot be had, that step says so.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import apk
import jars
import jvm
from jars import SetupError

APP = jvm.ROOT / "android_demo" / "app"
SOURCES = APP / "src" / "main" / "kotlin" / "org" / "frkeras" / "demo"
MODELS = APP / "src" / "main" / "assets" / "models"
BUILD = jvm.BUILD / "app"
#: The dexer takes classes as they are up to Java 8, without the newer ways to make lambdas.
FOR_DEX = ("-Xlambdas=class", "-Xsam-conversions=class", "-Xstring-concat=inline")


def python(script: str, *arguments: str) -> None:
    """Runs a script of this folder on the library of this tree."""
    command = [sys.executable, str(Path(__file__).with_name(script)), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(jvm.ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    if subprocess.run(command, env=environment).returncode:
        raise SetupError(f"`{script}` failed")


def test_logic(found: dict[str, list[Path]]) -> bool:
    """Compiles the logic and its tests, and returns whether they pass."""
    module, logic, tests = jvm.BUILD / "main", BUILD / "logic", BUILD / "test"
    if not module.is_dir():
        raise SetupError("the classes of frarchive are missing: run `tools/android/jvm.py` first")
    libraries = [module, *found["library"]]
    jvm.kotlinc(found, SOURCES / "logic", logic, libraries, FOR_DEX)
    jvm.kotlinc(
        found,
        APP / "src" / "test" / "kotlin",
        tests,
        [logic, *libraries, *found["tests"]],
        [f"-Xfriend-paths={logic}"],
    )
    python("app_corpus.py", str(BUILD / "corpus"))
    results = BUILD / "results.json"
    results.unlink(missing_ok=True)
    properties = {
        "app.corpus": BUILD / "corpus",
        "app.models": MODELS,
        "app.results": results,
    }
    command = [jvm.java(), f"-Xmx{jvm.HEAP}", *(f"-D{k}={v}" for k, v in properties.items())]
    command += ["-jar", str(found["tests"][0]), "execute", "--scan-classpath", str(tests)]
    command += ["--class-path", jvm.joined([tests, logic], libraries)]
    command += ["--reports-dir", str(BUILD / "reports"), "--details", "tree"]
    command += ["--disable-banner", "--disable-ansi-colors", "--fail-if-no-tests"]
    if subprocess.run(command, stdin=subprocess.DEVNULL).returncode:
        return False
    python("app_results.py", str(results))
    return True


def compile_app(found: dict[str, list[Path]], resources: Path) -> list[Path]:
    """Compiles what is not logic against Android, and returns all that the app is made of."""
    libraries = unpacked(found["tflite"])
    ids, screens = BUILD / "ids", BUILD / "screens"
    command = ["javac", "--release", "8", "-Xlint:-options", "-d", str(ids)]
    done = subprocess.run([*command, *map(str, resources.rglob("R.java"))])
    if done.returncode:
        raise SetupError("`javac` is missing or refuses the ids of the resources")
    mine = [jvm.BUILD / "main", BUILD / "logic", ids]
    sources = BUILD / "sources"
    shutil.rmtree(sources, ignore_errors=True)
    shutil.copytree(SOURCES, sources, ignore=shutil.ignore_patterns("logic"))
    classpath = [*found["android"], *mine, *libraries, *found["library"]]
    jvm.kotlinc(found, sources, screens, classpath, FOR_DEX)
    return [*mine, screens, *libraries, *found["library"]]


def unpacked(archives: Sequence[Path]) -> list[Path]:
    """The classes of libraries of Android."""
    found = []
    for path in archives:
        target = BUILD / "libraries" / f"{path.stem}.jar"
        target.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path) as archive:
            target.write_bytes(archive.read("classes.jar"))
        found.append(target)
    return found


def main() -> int:
    shutil.rmtree(BUILD, ignore_errors=True)
    root = jars.folder().resolve()
    try:
        found = jars.fetch(jars.listed(), root)
        python("models.py")
        if not test_logic(found):
            return 1
        found = jars.fetch(jars.listed((*jars.MODULE, *apk.USES)), root)
        tools = apk.Tools.set_up(root)
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    try:
        resources = apk.link(tools, found, APP, BUILD)
        classes = compile_app(found, resources)
        apk.check_classes(classes, found["android"], BUILD)
        apk.make(tools, found, classes, BUILD)
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
