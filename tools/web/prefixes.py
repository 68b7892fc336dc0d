"""Writes beginnings of archives, and the verdict of the Python implementation on each.

    PYTHONPATH=.:tests:tools/android python tools/web/prefixes.py build/web/prefixes

The folder has the form of that of `tools/android/corpus.py`; `decode_prefix` takes the place of
`decode`.
"""

import argparse
import functools
from collections.abc import Iterator
from pathlib import Path

import corpus

import fr_archive

MODELS = Path(__file__).parents[2] / "android_demo" / "models"
#: Each file is cut at its last bytes one by one, and evenly before them.
ONE_BY_ONE = 16
EVENLY = 24


def cases() -> Iterator[tuple[str, bytes]]:
    """Yields beginnings of archives, each with a name of its own."""
    # The reader in TypeScript takes no files of several networks.
    for path in (*sorted(corpus.GOLDENS.glob("archive_v[12]*.fr")), MODELS / "digits.fr"):
        data = path.read_bytes()
        size = len(data)
        ends = {*range(0, size, max(1, size // EVENLY)), *range(size - ONE_BY_ONE, size + 1)}
        yield from ((f"{path.stem}-{end}", data[:end]) for end in sorted(ends))


def write(folder: Path) -> None:
    """Writes the two files."""
    folder.mkdir(parents=True, exist_ok=True)
    judge = functools.partial(corpus.verdict, decode=fr_archive.decode_prefix)
    count = corpus.write_files(folder, cases(), judge)
    print(f"web: {count} beginnings of archives with their verdicts in {folder}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    write(parser.parse_args().folder)
