"""Plain data as JSON text in its one canonical form: sorted keys, no spaces, UTF-8."""

import json
import math

from fr_archive._errors import ArchiveError

DEEPEST = 100


def canonical(data: object) -> bytes:
    """Returns the only JSON text that plain data have here.

    Raises:
        ArchiveError: If it is not plain data, or too deep.
    """
    _check_plain(data, 1)
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def parsed(text: bytes) -> object:
    """Returns the data of a canonical text.

    Raises:
        ArchiveError: If it is not JSON, or not in canonical form.
    """
    try:
        data = json.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise ArchiveError(f"It is not JSON: {error}") from None
    if canonical(data) != text:
        raise ArchiveError("It is not in canonical form")
    return data


def _check_plain(data: object, depth: int) -> None:
    """Refuses values that JSON would change, or that another language would not read."""
    if depth > DEEPEST:
        raise ArchiveError(f"JSON may be at most {DEEPEST} levels deep here")
    kind = type(data)
    if kind is dict:
        for key, value in data.items():
            _check_text(key)
            _check_plain(value, depth + 1)
    elif kind is list:
        for value in data:
            _check_plain(value, depth + 1)
    elif kind is str:
        _check_text(data)
    elif kind is int and not -(1 << 63) <= data < 1 << 63:
        raise ArchiveError("Whole numbers must fit into 64 bits")
    elif kind is float and not math.isfinite(data):
        raise ArchiveError(f"JSON cannot hold {data}: numbers must be finite")
    elif kind not in (int, float, bool, type(None)):
        raise ArchiveError(
            "JSON data must be dict, list, str, int, float, bool or None: convert them first. "
            f"Received: {data!r:.100} of type {kind.__name__}"
        )


def _check_text(text: object) -> None:
    if type(text) is not str:
        raise ArchiveError(f"JSON keys must be strings. Received: {text!r:.100}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ArchiveError(f"Text must be valid Unicode. Received: {text!a:.100}") from None
