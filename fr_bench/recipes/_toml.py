"""Recipes as TOML files."""

import dataclasses
import json
import tomllib
from pathlib import Path

from fr_archive.files import write_bytes
from fr_bench.recipes._recipe import Recipe

_KEYS = tuple(field.name for field in dataclasses.fields(Recipe))


def read(path: str | Path) -> Recipe:
    """Returns the recipe of a file.

    Raises:
        ValueError: If it is no TOML, has an unknown key, or a value that its key does not take.
        FileNotFoundError: If there is no such file.
    """
    try:
        text = Path(path).read_text("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"'{path}' must be a text file in UTF-8. Received: {error}") from error
    return parsed(text, f"'{path}'")


def parsed(text: str, source: str) -> Recipe:
    """Returns the recipe of a TOML text.

    Args:
        text: The text.
        source: Where it comes from, for messages.

    Raises:
        ValueError: As `read` does.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{source} must be a recipe in TOML. Received: {error}") from error
    unknown = [key for key in values if key not in _KEYS]
    if unknown:
        raise ValueError(
            f"{source} must have only keys that recipes have: {', '.join(_KEYS)}. Received: "
            f"{', '.join(map(repr, unknown))}"
        )
    try:
        return Recipe(**values)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error


def write(recipe: Recipe, path: str | Path, overwrite: bool = False) -> None:
    """Writes a recipe to a file, from which `read` returns it.

    Raises:
        OSError: If the file exists and must not be replaced, or writing fails.
    """
    write_bytes(path, text_of(recipe).encode(), overwrite)


def text_of(recipe: Recipe) -> str:
    """The recipe as TOML: tables come last, for all that follows a table's name belongs to it."""
    values = {k: v for k, v in dataclasses.asdict(recipe).items() if v is not None}
    lines = [f"{k} = {_value(v)}" for k, v in values.items() if not isinstance(v, dict)]
    for key, table in values.items():
        if isinstance(table, dict):
            lines += ["", f"[{key}]"]
            lines += [f"{_text(name)} = {_value(one)}" for name, one in table.items()]
    return "\n".join(lines) + "\n"


def _value(value) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    return repr(value)


def _text(value: str) -> str:
    """A basic string of TOML, which is one of JSON but for the character DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
