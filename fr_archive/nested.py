"""Files of several networks, each of which contains the one before: the third version of `.fr`.

    F7 46 52 03  frame ...  frame        from the smallest network to the largest
    frame = varint(length), crc32 (4 bytes, big-endian, of what follows), `length` bytes of sections

The first bytes of a file are already a network. A frame holds only what is new in its network.
"""

import dataclasses
import io
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from fr_archive import _growth_map, _kernels, _profiles, _series, container, skeletons
from fr_archive import architecture as architectures
from fr_archive._contents import Archive
from fr_archive._errors import ArchiveError
from fr_archive._frames import Kind, read_frame, split, taken, write_frame
from fr_archive._growth import GrownKernel, GrownVector
from fr_archive._plain import canonical
from fr_archive._signs import Signs
from fr_archive._succession import assembled, entries, new_kernels, new_vectors
from fr_archive.container import Section
from fr_archive.rangecoder import Decoder

VERSION = 3
MOST_NETWORKS = 64


@dataclasses.dataclass(frozen=True)
class Frame:
    """A network of a file.

    Attributes:
        archive: The network.
        bytes: The number of bytes of its frame.
        sections: The number of bytes of each section, by name, and of the header of the frame.
    """

    archive: Archive
    bytes: int
    sections: dict[str, int]


def encode_nested(archives: Iterable[Archive]) -> bytes:
    """Returns the bytes of a file of several networks, the same on every machine.

    Args:
        archives: The networks, from the smallest to the largest. Each has a profile with its
            `share`, which ascends up to 1, and no tensors. Its vectors and kernels are those of the
            network before, `GrownVector` and `GrownKernel` that contain those, or new. If the
            network before has a skeleton, its own is a `skeletons.Following` of that.

    Raises:
        ArchiveError: If the networks are not so, or beyond the limits of the format.

    Example:

    >>> from fr_archive import Archive, Axis, GrownVector, Quantized, Reference, decode
    >>> net = lambda units: Reference("net", {"units": units})
    >>> old, axis = Quantized((2,), step=0), Axis.of([False, True])
    >>> small = Archive(net(1), [], [old], profile={"share": 0.25})
    >>> grown = GrownVector(old, axis, Quantized((5,), step=0))
    >>> data = encode_nested([small, Archive(net(2), [], [grown], profile={"share": 1})])
    >>> decode(data, capacity=0.5) == small
    True
    """
    archives = list(archives)
    if not 1 <= len(archives) <= MOST_NETWORKS:
        raise ArchiveError(
            f"A file may hold 1 to {MOST_NETWORKS} networks. Received: {len(archives)}"
        )
    out = bytearray(container.MAGIC + bytes([VERSION]))
    totals, before = _Totals(), None
    for archive in archives:
        payloads = _payloads(archive, before)
        totals.add(archive, before, {kind: len(one) for kind, one in payloads.items()})
        out += write_frame(payloads)
        before = archive
    if len(out) > container.MOST_BYTES:
        raise ArchiveError(
            f"A file may have at most {container.MOST_BYTES} bytes. Received: {len(out)}"
        )
    if share_of(before) != 1:
        raise ArchiveError(
            f"The last network must have a `share` of 1. Received: {share_of(before)}"
        )
    return bytes(out)


def share_of(archive: Archive) -> float:
    """Returns what a network costs, as a share of the largest of its file."""
    return archive.profile["share"]


def frames(file: BinaryIO, begun: bytes = b"") -> Iterator[Frame]:
    """Yields the networks of a file, each as soon as its frame is there.

    A file that is cut ends with its last whole network, whose share is then below 1.

    Args:
        file: The file.
        begun: Its first bytes, as far as they have been read from it.

    Raises:
        ArchiveError: If it is not a file of several networks, is damaged, is not as
            `encode_nested` writes it, or is cut within its first network.
    """
    head = begun + taken(file, 4 - len(begun))
    if head != container.MAGIC + bytes([VERSION]):
        raise ArchiveError("This is not a .fr archive of several networks", len(head))
    totals, archive, position = _Totals(), None, len(head)
    while archive is None or share_of(archive) < 1:
        frame = read_frame(file, position)
        if frame is None and archive is None:
            raise ArchiveError("The file is cut within its first network", position)
        if frame is None:
            return
        start, body = frame
        if start + len(body) > container.MOST_BYTES:
            raise ArchiveError(f"A file may have at most {container.MOST_BYTES} bytes", start)
        try:
            sections = split(body)
            found = _read(body, sections, archive)
            totals.add(found, archive, {kind: one.size for kind, one in sections.items()})
        except ArchiveError as error:
            raise error.at(start + (error.offset or 0)) from None
        sizes = {one.name.lower(): at.start - at.begin + at.size for one, at in sections.items()}
        yield Frame(found, start - position + len(body), {"header": start - position, **sizes})
        archive, position = found, start + len(body)
    if file.read(1):
        raise ArchiveError("Nothing may follow the largest network", position)


def is_nested(data: bytes) -> bool:
    """Returns whether a file of several networks may begin so."""
    return data[:3] == container.MAGIC and data[3:4] == bytes([VERSION])


def network(data: bytes, capacity: float | None = None) -> tuple[Archive, bool]:
    """Returns a network of a file, and whether a larger one that was asked for may be cut off.

    Args:
        data: The file.
        capacity: The network is the largest whose share is at most this; `None` for 1.

    Raises:
        ArchiveError: As `frames` does; if each network of the file has a larger share.
    """
    wanted = 1 if capacity is None else capacity
    found = None
    for frame in frames(io.BytesIO(data)):
        if (share := share_of(frame.archive)) > wanted:
            break
        found = frame.archive
        if share == wanted < 1:
            break
    else:
        return found, share_of(found) < wanted
    if found is None:
        raise ArchiveError(
            f"`capacity` must be at least the share of the smallest network, {share}. "
            f"Received: {capacity}"
        )
    return found, False


class _Totals:
    """What the networks of a file take together: the limits hold for all of them."""

    def __init__(self):
        self._networks = self._texts = self._bytes = 0
        self._vectors = self._kernels = 0

    def add(self, archive: Archive, before: Archive | None, sizes: dict[Kind, int]) -> None:
        """Counts a network, with the bytes of its sections.

        Raises:
            ArchiveError: If it is one too many, or does not follow the one before.
        """
        share, least = share_of(archive), 0 if before is None else share_of(before)
        if share <= least:
            raise ArchiveError(
                "The networks of a file must have shares that ascend, so no two of them may "
                f"coincide. Received: {share} after {least}"
            )
        self._networks += 1
        self._texts += len(architectures.text(archive.architecture))
        self._bytes += sizes.get(Kind.KERNELS, 0)
        self._vectors += sum(one.size for one in new_vectors(archive, before))
        self._kernels += sum(one.size for one in new_kernels(archive, before))
        sizes_of = [(max(one.size, one.columns), one) for one in archive.kernels]
        whole = sum(size for size, _ in sizes_of)
        coded = whole - sum(size for size, one in sizes_of if isinstance(one, Signs))
        free = _series.FREE_NUMBERS + _series.MOST_NUMBERS_A_BYTE * self._bytes
        for found, most, what in (
            (self._networks, MOST_NETWORKS, "networks"),
            (self._texts, architectures.MOST_TEXT, "bytes of JSON in all"),
            (self._vectors, _series.MOST_NUMBERS, "numbers of vectors in all"),
            (self._kernels, _kernels.MOST_NUMBERS, "numbers of kernels in all"),
            (coded, free, "numbers of kernels in so many bytes"),
            (whole, _kernels.MOST_NUMBERS, "numbers in the kernels of a network"),
        ):
            if found > most:
                raise ArchiveError(f"A file may hold at most {most} {what}. Received: {found}")


def _payloads(archive: Archive, before: Archive | None) -> dict[Kind, bytes]:
    if archive.tensors or archive.profile is None:
        raise ArchiveError(
            "Each of several networks must have a profile and no tensors of coefficients: bake FR "
            f"layers. Received: {len(archive.tensors)} tensors, profile={archive.profile}"
        )
    text, profile = _windows(before)
    payloads = {
        Kind.ARCHITECTURE: architectures.write(archive.architecture, text),
        Kind.PROFILE: _profiles.write(archive.profile, profile),
    }
    vectors, kernels = new_vectors(archive, before), new_kernels(archive, before)
    if any(isinstance(one, GrownKernel | GrownVector) for one in (*vectors, *kernels)):
        raise ArchiveError("Nothing can have grown in the first network of a file")
    if vectors:
        payloads[Kind.VECTORS] = _series.write(vectors, _series.one_by_one)
    if kernels:
        payloads[Kind.KERNELS] = _kernels.write(kernels)
    if archive.skeleton is not None:
        payloads[Kind.SKELETON] = _skeleton(archive.skeleton, before and before.skeleton)
    if before:
        payloads[Kind.GROWTH] = _growth_map.write(*entries(archive, before))
    return payloads


def _windows(before: Archive | None) -> tuple[bytes, bytes]:
    """With what the windows of the architecture and of the profile begin."""
    if before is None:
        return b"", b"\0"
    return architectures.text(before.architecture), b"\0" + canonical(before.profile)


def _skeleton(skeleton: bytes | skeletons.Following, before) -> bytes:
    follows = skeleton.before if isinstance(skeleton, skeletons.Following) else None
    if follows != before:
        raise ArchiveError(
            "A skeleton must follow that of the network before: write it with `before`"
        )
    return skeleton.payload if before is not None else bytes(skeleton)


def _read(body: bytes, sections: dict[Kind, Section], before: Archive | None) -> Archive:
    """The network of a frame."""

    def decoder(kind):
        section = sections[kind]
        return Decoder(body, section.start, section.start + section.size)

    needed = {Kind.ARCHITECTURE, Kind.PROFILE} | ({Kind.GROWTH} if before else set())
    if not needed <= {*sections} or (Kind.GROWTH in sections and not before):
        raise ArchiveError(
            "A frame must hold an architecture and a profile, and one after the first a growth", 0
        )
    text, profile = _windows(before)
    architecture = architectures.read(decoder(Kind.ARCHITECTURE), text)
    vectors, kernels = [], []
    if Kind.VECTORS in sections:
        size = sections[Kind.VECTORS].size
        vectors = _series.read(decoder(Kind.VECTORS), size, _series.one_by_one).series
    if Kind.KERNELS in sections:
        kernels = _kernels.read(decoder(Kind.KERNELS), sections[Kind.KERNELS].size).kernels
    if (Kind.VECTORS in sections) != bool(vectors):
        raise ArchiveError("A section of vectors must hold at least one", 0)
    if before:
        vectors, kernels = assembled(decoder(Kind.GROWTH), before, vectors, kernels)
    skeleton = None
    if Kind.SKELETON in sections:
        section = sections[Kind.SKELETON]
        skeleton = body[section.start : section.start + section.size]
        if before and before.skeleton is not None:
            skeleton = skeletons.Following(skeleton, before.skeleton)
    found = _profiles.read(decoder(Kind.PROFILE), profile)
    return Archive(architecture, (), vectors, skeleton, kernels, found)
