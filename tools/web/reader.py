"""Checks the types of `web/frarchive`, and tests it in Node on archives with Python's verdicts.

    python tools/web/reader.py

It needs Node 20 or newer and npm. The archives are those of `tools/android/corpus.py`, which are
written where they are missing or older than their sources. Their mutations are a few thousand; the
variable FRARCHIVE_MUTATIONS asks for more.
"""

import sys
from pathlib import Path

import node

sys.path.insert(0, str(node.ROOT / "tools" / "android"))

import jars

PACKAGE = node.WEB / "frarchive"
TOOLS = node.ROOT / "tools"
CORPUS = node.ROOT / "build" / "android" / "corpus"
PREFIXES = node.BUILD / "prefixes"


def write_corpora() -> None:
    """Has Python write what it says about archives and about beginnings of archives."""
    for script, folder in (
        (TOOLS / "android" / "corpus.py", CORPUS),
        (Path(__file__).with_name("prefixes.py"), PREFIXES),
    ):
        sources = (script, script.parent, node.ROOT / "fr_archive", *_of_tests())
        if not node.is_newer(folder / "verdicts.tsv", *sources):
            node.python(script, str(folder))


def _of_tests() -> list[Path]:
    """The tests that make archives for the corpus."""
    folder = node.ROOT / "tests"
    return [*folder.glob("test_archive_*.py"), *folder.glob("corpus_*.py")]


def set_up() -> None:
    """Gets Node and the packages.

    Raises:
        SetupError: If they cannot be had.
    """
    node.node()
    node.install()


def work(_: None) -> bool:
    """Compiles and tests the package, and returns whether all passed."""
    node.compile_reader()
    write_corpora()
    return node.passes(PACKAGE, {})


if __name__ == "__main__":
    sys.exit(jars.script(__doc__.splitlines()[0], set_up, work))
