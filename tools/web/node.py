"""Finds Node and Chromium, and gets what `web/package-lock.json` names into `web/node_modules`.

npm fetches it from the registry of the machine's own settings, and checks each package against the
lock file. No script of a package is run.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "android"))

from jars import SetupError

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "web"
BUILD = ROOT / "build" / "web"
_OLDEST = 20
_BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


def node() -> str:
    """Returns the path of Node.

    Raises:
        SetupError: If it is missing or too old.
    """
    found = shutil.which("node")
    if found is None or shutil.which("npm") is None:
        raise SetupError(f"`node` or `npm` is missing: install Node {_OLDEST} or newer with npm")
    version = subprocess.run([found, "--version"], capture_output=True, text=True).stdout.strip()
    if int(version.lstrip("v").partition(".")[0] or 0) < _OLDEST:
        raise SetupError(f"Node must be {_OLDEST} or newer. Found: {version} at '{found}'")
    return found


def chromium() -> str:
    """Returns the path of a Chromium; the variable CHROMIUM may name one.

    Raises:
        SetupError: If there is none.
    """
    given = os.environ.get("CHROMIUM")
    found = given or next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found is None:
        raise SetupError(
            "Chromium is missing: install it (on Debian: chromium), or let CHROMIUM name one"
        )
    return found


def install() -> None:
    """Gets the packages of the lock file, where it has changed since.

    Raises:
        SetupError: If npm fails; it says why.
    """
    lock, mark = WEB / "package-lock.json", WEB / "node_modules" / ".package-lock.json"
    if mark.exists() and mark.stat().st_mtime >= lock.stat().st_mtime:
        return
    print("web: fetching packages", flush=True)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    if subprocess.run(command, cwd=WEB, stdin=subprocess.DEVNULL).returncode:
        raise SetupError("`npm ci` failed; it needs the npm registry")


def compile_reader() -> None:
    """Checks the types of `web/frarchive`, and compiles it to JavaScript.

    Raises:
        SetupError: If the compiler refuses it; it says why.
    """
    package = WEB / "frarchive"
    shutil.rmtree(package / "dist", ignore_errors=True)
    run(["tsc"], package, "the compiler refuses `web/frarchive`")


def run(tool: list[str], folder: Path, problem: str) -> None:
    """Runs a program of the packages in a folder.

    Raises:
        SetupError: With `problem`, if it fails.
    """
    command = [str(WEB / "node_modules" / ".bin" / tool[0]), *tool[1:]]
    if subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL).returncode:
        raise SetupError(problem)


def bundle(target: Path) -> None:
    """Bundles the page of `web/demo` into a folder.

    Raises:
        SetupError: If that fails; it says why.
    """
    command = [node(), "build.js", str(target)]
    if subprocess.run(command, cwd=WEB / "demo", stdin=subprocess.DEVNULL).returncode:
        raise SetupError("`web/demo/build.js` failed")


def passes(folder: Path, variables: dict[str, str]) -> bool:
    """Runs the tests of a folder, and returns whether all passed."""
    tests = sorted(map(str, (folder / "test").glob("*.test.js")))
    command = [node(), "--test", "--test-reporter=spec", *tests]
    environment = {**os.environ, **variables}
    done = subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL)
    return done.returncode == 0


def python(script: Path, *arguments: str) -> None:
    """Runs a script on the library of this tree.

    Raises:
        SetupError: If it fails; it says why.
    """
    folders = (ROOT, ROOT / "tests", ROOT / "tools" / "android")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, folders)),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    if subprocess.run([sys.executable, str(script), *arguments], env=environment).returncode:
        raise SetupError(f"`{script.name}` failed")


def is_newer(made: Path, *sources: Path) -> bool:
    """Whether a file is there and newer than all files of these folders, or these files."""
    if not made.exists():
        return False
    files = [file for one in sources for file in ([one] if one.is_file() else one.rglob("*.py"))]
    return all(file.stat().st_mtime <= made.stat().st_mtime for file in files)
