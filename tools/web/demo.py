"""Builds the page of `web/demo` into `build/web/demo`, and tests it in a headless Chromium.

    python tools/web/demo.py

It needs Node 20 or newer, npm and Chromium. The page is a folder of static files: any server can
give it out, and `fr-keras serve` does so with the headers that threads need.
"""

import sys
from pathlib import Path

import node

sys.path.insert(0, str(node.ROOT / "tools" / "android"))

import jars

PAGE = node.WEB / "demo"
TARGET = node.BUILD / "demo"
#: Networks that a browser cannot run.
ODD = node.BUILD / "odd"


def build() -> None:
    """Makes the folder of the page.

    Raises:
        SetupError: If a step fails; it says why.
    """
    node.compile_reader()
    node.run(["tsc"], PAGE, "the compiler refuses `web/demo`")
    script, models = Path(__file__).with_name("models.py"), TARGET / "models"
    sources = (script, node.ROOT / "fr_keras", node.ROOT / "fr_bench" / "page")
    if not node.is_newer(models / "index.json", *sources):
        node.python(script, str(models))
    odd = Path(__file__).with_name("odd.py")
    if not node.is_newer(ODD / "open.tflite", odd):
        node.python(odd, str(ODD))
    node.bundle(TARGET)


def set_up() -> str:
    """Gets Node and the packages, and returns the path of Chromium.

    Raises:
        SetupError: If they cannot be had.
    """
    node.node()
    found = node.chromium()
    node.install()
    return found


def work(chromium: str) -> bool:
    """Builds and tests the page, and returns whether all passed and Python reads the results."""
    build()
    folders = {"FR_KERAS_PAGE": str(TARGET), "FR_KERAS_ODD": str(ODD)}
    if not node.passes(PAGE, {"CHROMIUM": chromium, **folders}):
        return False
    node.python(Path(__file__).with_name("results.py"), str(node.BUILD / "browser.json"))
    return True


if __name__ == "__main__":
    sys.exit(jars.script(__doc__.splitlines()[0], set_up, work))
