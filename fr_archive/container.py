"""The frame of the file: magic, version, checksum, and sections, each with its kind and length.

    F7 46 52 version  crc32 (4 bytes, big-endian, of all that follows)  section ...  coefficients
    section = varint(8 * length + kind), then `length` bytes

The rules leave only one way to write the same sections.
"""

import enum
import os
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from fr_archive._errors import ArchiveError

MAGIC = b"\xf7FR"
#: A file with kernels in space has the second version, any other one the first.
VERSIONS = (1, 2)
HEADER_BYTES = 8
LONGEST_VARINT = 4
MOST_SECTION_BYTES = (1 << 7 * LONGEST_VARINT - 3) - 1
MOST_BYTES = 4 << 7 * LONGEST_VARINT - 3


class Kind(enum.IntEnum):
    """What a section holds. Sections come in this order; 4 to 6 are skipped."""

    ARCHITECTURE = 0
    VECTORS = 1
    SKELETON = 2
    KERNELS = 3
    COEFFICIENTS = 7


@dataclass(frozen=True)
class Section:
    """Where a section and its payload begin, and how long the file says the payload is."""

    begin: int
    start: int
    size: int


def load(path: str | os.PathLike) -> bytes:
    """Returns the bytes of a file on disk without looking at them.

    Raises:
        ArchiveError: If it is longer than any archive.
        OSError: If it cannot be read.
    """
    size = Path(path).stat().st_size
    if size > MOST_BYTES:
        raise ArchiveError(f"'{path}' has {size} bytes, but no archive has more than {MOST_BYTES}")
    return Path(path).read_bytes()


def write(payloads: Mapping[Kind, bytes]) -> bytes:
    """Returns the file with these sections.

    Raises:
        ArchiveError: If a payload is too long.
    """
    body = bytearray()
    for kind in sorted(payloads):
        payload = payloads[kind]
        if len(payload) > MOST_SECTION_BYTES:
            raise ArchiveError(
                f"A section may hold at most {MOST_SECTION_BYTES} bytes. Received: {len(payload)} "
                f"for {kind.name.lower()}"
            )
        body += varint(len(payload) << 3 | kind) + payload
    return MAGIC + bytes([_version(payloads)]) + zlib.crc32(body).to_bytes(4, "big") + body


def read(data: bytes, cut: bool = False) -> dict[Kind, Section]:
    """Returns the sections of a file, by kind.

    Args:
        data: The file.
        cut: Accepts a file that ends within its last section, whose checksum is then not tested.

    Raises:
        ArchiveError: If the frame breaks a rule of the format.
    """
    if data[:3] != MAGIC[: len(data)] or (len(data) < HEADER_BYTES and not cut):
        raise ArchiveError(
            "This is not a .fr archive: it must begin with F7 46 52 and 5 more bytes", 0
        )
    if data[3:4] == b"\x03":
        raise ArchiveError("This file holds several networks: read it with `decode` or `stream`", 3)
    if data[3:4] and data[3] not in VERSIONS:
        raise ArchiveError(
            f"Only versions 1 to 3 of the format are known, not {data[3]}: use a newer fr_archive",
            3,
        )
    sections, position = {}, HEADER_BYTES
    last = -1
    if not cut:
        _check_sum(data)
    while last != Kind.COEFFICIENTS:
        begin = position
        head, position = read_varint(data, begin)
        kind, section = head & 7, Section(begin, position, head >> 3)
        if kind <= last:
            raise ArchiveError(f"Section {kind} must not follow section {last}", begin)
        last = kind
        position += section.size
        if position > len(data) and not (cut and kind == Kind.COEFFICIENTS):
            raise ArchiveError(
                f"Section {kind} should end at byte {position}, but the file is cut", len(data)
            )
        if kind in list(Kind):
            sections[Kind(kind)] = section
    if position < len(data):
        raise ArchiveError("Nothing may follow the coefficients", position)
    if cut and position == len(data):
        _check_sum(data)
    if Kind.ARCHITECTURE not in sections:
        raise ArchiveError("The architecture must come first", HEADER_BYTES)
    if data[3] != _version(sections):
        raise ArchiveError("A file must have version 2 if it holds kernels in space, else 1", 3)
    return sections


def _version(sections: Collection[Kind]) -> int:
    return VERSIONS[Kind.KERNELS in sections]


def _check_sum(data: bytes) -> None:
    if zlib.crc32(data[HEADER_BYTES:]) != int.from_bytes(data[4:HEADER_BYTES], "big"):
        raise ArchiveError("The checksum is wrong: the file is damaged", 4)


def varint(number: int) -> bytes:
    """Returns a number as bytes of seven bits, lowest first; the top bit says that more follow."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def read_varint(data: bytes, start: int) -> tuple[int, int]:
    """Returns the number that begins at a byte, and where it ends.

    Raises:
        ArchiveError: If the data end before, or the number is too long.
    """
    number = 0
    for place in range(LONGEST_VARINT):
        if start + place >= len(data):
            raise ArchiveError("The file is cut before the coefficients", len(data))
        byte = data[start + place]
        number |= (byte & 127) << 7 * place
        if byte < 128:
            if place and not byte:
                break
            return number, start + place + 1
    raise ArchiveError(
        "A section must begin with its kind and length, in as few bytes as possible", start
    )
