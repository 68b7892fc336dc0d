"""Turns examples in docstrings into code: Markdown would take lines with `>>>` for quotations."""

import re

import griffe

_EXAMPLE = re.compile(r"^(?P<indent> *)>>> .*(?:\n(?P=indent)(?!\s*$).+)*", re.MULTILINE)


def fenced(docstring: str) -> str:
    """Returns a docstring with a fence around each example."""
    return _EXAMPLE.sub(
        lambda found: f"{found['indent']}```pycon\n{found[0]}\n{found['indent']}```", docstring
    )


class Doctests(griffe.Extension):
    """Fences the examples of all docstrings."""

    def on_instance(self, *, obj: griffe.Object, **kwargs) -> None:
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)
