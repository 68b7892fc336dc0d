"""The frames of a file of several networks: for each its length, a checksum, and sections.

frame = varint(length), crc32 (4 bytes, big-endian, of what follows), `length` bytes of sections
"""

import enum
import zlib
from collections.abc import Mapping
from typing import BinaryIO

from fr_archive import container
from fr_archive._errors import ArchiveError
from fr_archive.container import Section, varint

_CHECK_BYTES = 4
_CHUNK = 1 << 16


class Kind(enum.IntEnum):
    """What a section of a frame holds. Sections come in this order; 6 is skipped."""

    ARCHITECTURE = 0
    VECTORS = 1
    SKELETON = 2
    KERNELS = 3
    PROFILE = 4
    GROWTH = 5


def taken(file: BinaryIO, size: int) -> bytes:
    """Returns so many bytes of a file, or fewer where it ends.

    Memory is taken for what is there.
    """
    data = bytearray()
    while len(data) < size and (chunk := file.read(min(_CHUNK, size - len(data)))):
        data += chunk
    return bytes(data)


def read_frame(file: BinaryIO, position: int) -> tuple[int, bytes] | None:
    """Returns where the sections of a frame begin, and these; `None` if the file ends before.

    Args:
        file: A file at the beginning of the frame.
        position: Where that is.

    Raises:
        ArchiveError: If the frame is damaged.
    """
    head = bytearray()
    while not head or head[-1] > 127:
        byte = file.read(1)
        if not byte:
            return None
        head += byte
        if len(head) == container.LONGEST_VARINT:
            break
    try:
        size, length = container.read_varint(bytes(head), 0)
    except ArchiveError as error:
        raise error.at(position) from None
    check, body = taken(file, _CHECK_BYTES), taken(file, size)
    if len(body) < size or len(check) < _CHECK_BYTES:
        return None
    position += length
    if zlib.crc32(body) != int.from_bytes(check, "big"):
        raise ArchiveError("The checksum is wrong: the network is damaged", position)
    return position + _CHECK_BYTES, body


def split(body: bytes) -> dict[Kind, Section]:
    """Returns the sections of a frame, by kind.

    Raises:
        ArchiveError: If they break a rule of the format.
    """
    sections, position, last = {}, 0, -1
    while position < len(body):
        begin = position
        head, start = container.read_varint(body, begin)
        kind, section = head & 7, Section(begin, start, head >> 3)
        if not last < kind < 7:
            raise ArchiveError(f"Section {kind} must not follow section {last} here", begin)
        last, position = kind, start + section.size
        if kind in list(Kind):
            sections[Kind(kind)] = section
    if position > len(body):
        raise ArchiveError(f"Section {last} must end where its frame ends", len(body))
    return sections


def write_frame(payloads: Mapping[Kind, bytes]) -> bytes:
    """Returns the frame with these sections.

    Raises:
        ArchiveError: If a payload is too long.
    """
    body = b"".join(_section(kind, payloads[kind]) for kind in sorted(payloads))
    return varint(len(body)) + zlib.crc32(body).to_bytes(_CHECK_BYTES, "big") + body


def _section(kind: Kind, payload: bytes) -> bytes:
    if len(payload) > container.MOST_SECTION_BYTES:
        raise ArchiveError(
            f"A section may hold at most {container.MOST_SECTION_BYTES} bytes. Received: "
            f"{len(payload)} for {kind.name.lower()}"
        )
    return varint(len(payload) << 3 | kind) + payload
