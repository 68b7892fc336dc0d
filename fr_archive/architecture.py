"""The section that says which network the numbers belong to: canonical JSON, compressed.

A reference is the array `[name, arguments]`, and a configuration is an object. Both are plain
data: a reader builds the layers and networks that they name, and nothing in them can run.
"""

from dataclasses import dataclass, field
from importlib import resources

from fr_archive import lz
from fr_archive._errors import ArchiveError
from fr_archive._plain import canonical, parsed
from fr_archive.rangecoder import Decoder

MOST_TEXT = 1 << 21
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


def text(architecture: Reference | Config) -> bytes:
    """Returns the text of the section.

    Raises:
        ArchiveError: If `architecture` is not plain JSON data, or too deep.
    """
    if isinstance(architecture, Reference):
        data = [architecture.name, architecture.arguments]
    elif isinstance(architecture, Config):
        data = architecture.config
    else:
        raise ArchiveError(
            f"`architecture` must be a Reference or a Config. Received: {architecture!r:.100}"
        )
    text = canonical(data)
    _network(data)
    return text


def write(architecture: Reference | Config, before: bytes = b"") -> bytes:
    """Returns the payload of the section.

    Args:
        architecture: The network.
        before: What the window holds behind the dictionary.

    Raises:
        ArchiveError: If `architecture` is not plain JSON data, too deep or too long.
    """
    found = text(architecture)
    if len(found) > MOST_TEXT:
        raise ArchiveError(
            f"`architecture` must take at most {MOST_TEXT} bytes as JSON. Received: {len(found)}"
        )
    return lz.compress(found, _DICTIONARY + before)


def read(decoder: Decoder, before: bytes = b"") -> Reference | Config:
    """Returns the architecture that the section describes.

    Args:
        decoder: A decoder at the beginning of the section.
        before: What the window holds behind the dictionary.

    Raises:
        ArchiveError: If `write` cannot have made the section.
    """
    found = lz.decompress(decoder, MOST_TEXT, _DICTIONARY + before)
    try:
        return _network(parsed(found))
    except ArchiveError as error:
        raise ArchiveError(f"The architecture is refused: {error}", decoder.position) from None


def _network(data: object) -> Reference | Config:
    match data:
        case [str(name), dict(arguments)] if name:
            return Reference(name, arguments)
        case dict():
            return Config(data)
    raise ArchiveError(
        "An architecture must be [name, {arguments}] with a name, or an object. "
        f"Received: {data!r:.100}"
    )
