"""`docs/mistakes.md`, which is made from what the commands say of `mistake_cases.MISTAKES`.

To write the page anew: `python tests/mistakes_page.py`.
"""

import contextlib
import re
import shutil
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from mistake_cases import MISTAKES, Mistake
from mistake_files import make_files

from fr_bench import compression
from fr_keras_cli import main

PAGE = Path(__file__).parents[1] / "docs" / "mistakes.md"
_HEAD = """\
# Mistakes of a newcomer

This page shows what fr-keras does with wrong or unusual input. `make test` makes each of these
mistakes, and fails if the command says something else. `...` stands for what is left out here, such
as scores.

| mistake | command | what fr-keras says | exit code | what to do |
|---|---|---|--:|---|
"""


class _NoRounds:
    """In place of the trainings of `compress`, which are the same after every mistake."""

    def __init__(self, *_):
        pass

    def whole(self) -> list:
        return []

    def run(self, cells, engine) -> tuple[list, list]:
        return [], []


def made(mistake: Mistake, folder: Path) -> Result:
    """Makes a mistake in the folder of `make_files`, and returns what the command said."""
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        patch.chdir(folder)
        for name in ("compressed", "phone"):
            stack.callback(shutil.rmtree, folder / name, ignore_errors=True)
        if not mistake.trains:
            patch.setattr(compression, "Rounds", _NoRounds)
            patch.setattr(compression, "seconds_per_row", lambda *_: 1.0)
            nothing = compression.Compression(None, [], [], {"metric": "accuracy"}, folder)
            patch.setattr(compression, "finish", lambda *_: nothing)
        if mistake.before is not None:
            mistake.before(patch)
        return CliRunner().invoke(main, mistake.command.split())


def said(mistake: Mistake, done: Result) -> str:
    """What the page shows of the output: the line, with dots for what the pattern leaves out.

    Raises:
        ValueError: If the command said something else.
    """
    pattern = "(.*)".join(part.strip() for part in re.split(r" ?\.\* ?", mistake.line))
    for line in done.output.splitlines():
        found = re.search(pattern, line)
        if found is not None:
            text, start = found[0], found.start()
            for number in range(len(found.groups()), 0, -1):
                begin, end = (one - start for one in found.span(number))
                text = f"{text[:begin].rstrip()} ... {text[end:].lstrip()}"
            return text.replace("|", r"\|")
    raise ValueError(f"no line like {mistake.line!r} in:\n{done.output}")


def page(lines: dict[str, str]) -> str:
    """The page, from what the command said of each mistake."""
    rows = (
        f"| {one.did} | `fr-keras {one.command}` | {lines[name]} | {one.code} | {one.todo} |\n"
        for name, one in MISTAKES.items()
    )
    return _HEAD + "".join(rows)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        make_files(Path(temporary))
        PAGE.write_text(
            page({name: said(one, made(one, Path(temporary))) for name, one in MISTAKES.items()})
        )
