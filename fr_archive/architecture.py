"""The section that says which network the numbers belong to: canonical JSON, compressed.

A reference is the array `[name, arguments]`, and a configuration is an object. Both are plain
data: a reader builds the layers and networks that they name, and nothing in them can run.
"""

import json
import math
from dataclasses import dataclass, field
from importlib import resources

from fr_archive import lz
from fr_archive._errors import ArchiveError
from fr_archive.rangecoder import Decoder

MOST_TEXT = 1 << 21
DEEPEST = 100
_DICTIONARY = resources.files("fr_archive").joinpath("dictionary.txt").read_bytes()


@dataclass(frozen=True)
class Reference:
    """A network that the reader knows by name, such as one of `fr_keras.zoo`.

    Args:
        name: The name of the function that builds the network.
        arguments: The keyword arguments of this function, as plain JSON data.
    """

    name: str
    arguments: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Config:
    """A network that is described by its whole configuration.

    Args:
        config: The configuration, as plain JSON data.
    """

    config: dict


def write(architecture: Reference | Config) -> bytes:
    """Returns the payload of the section.

    Raises:
        ArchiveError: If `architecture` is not plain JSON data, too deep or too long.
    """
    if isinstance(architecture, Reference):
        data = [architecture.name, architecture.arguments]
    elif isinstance(architecture, Config):
        data = architecture.config
    else:
        raise ArchiveError(
            f"`architecture` must be a Reference or a Config. Received: {architecture!r:.100}"
        )
    text = _canonical(data)
    _parsed(data)
    if len(text) > MOST_TEXT:
        raise ArchiveError(
            f"`architecture` must take at most {MOST_TEXT} bytes as JSON. Received: {len(text)}"
        )
    return lz.compress(text, _DICTIONARY)


def read(decoder: Decoder) -> Reference | Config:
    """Returns the architecture that the section describes.

    Raises:
        ArchiveError: If `write` cannot have made the section.
    """
    text = lz.decompress(decoder, MOST_TEXT, _DICTIONARY)
    try:
        data = json.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise ArchiveError(f"The architecture is not JSON: {error}", decoder.position) from None
    try:
        if _canonical(data) != text:
            raise ArchiveError("It is not in canonical form")
        return _parsed(data)
    except ArchiveError as error:
        raise ArchiveError(f"The architecture is refused: {error}", decoder.position) from None


def _canonical(data: object) -> bytes:
    """The only JSON text that plain data have here: sorted keys, no spaces, UTF-8."""
    _check_plain(data, 1)
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _parsed(data: object) -> Reference | Config:
    match data:
        case [str(name), dict(arguments)] if name:
            return Reference(name, arguments)
        case dict():
            return Config(data)
    raise ArchiveError(
        "An architecture must be [name, {arguments}] with a name, or an object. "
        f"Received: {data!r:.100}"
    )


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
