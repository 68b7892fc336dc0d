"""Archives: the contents of a file, and how they are encoded and decoded."""

import warnings
from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO

from fr_archive import _codebooks, _kernels, _series, container, nested, skeletons
from fr_archive import architecture as architectures
from fr_archive._contents import Archive
from fr_archive._errors import ArchiveError
from fr_archive._frames import taken
from fr_archive._growth import GrownKernel, GrownVector, rebuild
from fr_archive._kernels import InSpace
from fr_archive._sizes import Sizes, section_sizes
from fr_archive.container import Kind, Section
from fr_archive.rangecoder import Decoder
from fr_archive.recipes import Source

#: The most numbers that the kernels in space of an archive may have.
MOST_KERNEL_NUMBERS = _kernels.MOST_NUMBERS
#: The most levels that a codebook may have.
MOST_LEVELS = _codebooks.MOST_LEVELS


def encode(archive: Archive) -> bytes:
    """Returns the bytes of the file, the same for the same archive on every machine.

    Raises:
        ArchiveError: If the archive is beyond the limits of the format, or is one of several
            networks of a file.
    """
    parts = (*archive.vectors, *archive.kernels, archive.skeleton)
    of_several = (GrownKernel, GrownVector, skeletons.Following)
    if archive.profile is not None or any(isinstance(one, of_several) for one in parts):
        raise ArchiveError(
            "`archive` must be the only network of its file: write it with those before and after "
            "it by `encode_nested`. Received: one of several networks, with a profile"
        )
    payloads = {
        Kind.ARCHITECTURE: architectures.write(archive.architecture),
        Kind.COEFFICIENTS: _series.write(archive.tensors, _series.interleaved),
    }
    if archive.vectors:
        payloads[Kind.VECTORS] = _series.write(archive.vectors, _series.one_by_one)
    if archive.skeleton is not None:
        payloads[Kind.SKELETON] = bytes(archive.skeleton)
    if archive.kernels:
        payloads[Kind.KERNELS] = _kernels.write(archive.kernels)
    return container.write(payloads)


def kernel_size(kernel: InSpace) -> int:
    """Returns how many bytes a kernel in space takes if it is the only one, its shape included."""
    return _kernels.size(kernel)


def with_skeleton(data: bytes, skeleton: bytes) -> bytes:
    """Returns a file with a skeleton added or replaced; its numbers are not coded again.

    Raises:
        ArchiveError: If `data` is not an archive, or the skeleton is too long.
    """
    payloads = {
        kind: data[one.start : one.start + one.size] for kind, one in container.read(data).items()
    }
    return container.write({**payloads, Kind.SKELETON: skeleton})


def decode(data: bytes, capacity: Fraction | float | None = None) -> Archive:
    """Returns the contents of a file.

    Args:
        data: The bytes of the file.
        capacity: A number above 0 and at most 1: reads only the first `ceil(capacity * n)` of the
            `n` coefficients of each tensor. It is rounded to a fraction with a denominator of at
            most 10^6. In a file of several networks: gives the largest whose share is at most
            this; it reads the one after that, too, to see its share. `None` reads everything.

    Raises:
        ArchiveError: If `data` is not an archive, is damaged, or is not as `encode` writes it; if
            all of several networks have a larger share.

    Warns if the file is cut, and a network that was asked for may be missing.
    """
    if nested.is_nested(data):
        if capacity is not None:
            _fraction(capacity)
        archive, cut = nested.network(data, capacity)
        if cut:
            _warn_of_cut(archive)
        return archive
    file = _File(data)
    return file.archive(file.tensors(None if capacity is None else _fraction(capacity)))


def decode_prefix(data: bytes) -> Archive:
    """Returns the contents of the first bytes of a file: of each tensor, the first coefficients.

    These are exactly the first coefficients of the whole file. The checksum protects only the
    whole file, so damaged bytes in a prefix are not noticed. Of several networks, it is the
    largest that is there; each has a checksum of its own.

    Raises:
        ArchiveError: If `data` does not reach the first coefficient, or the end of the first
            network, or is not an archive.
    """
    if nested.is_nested(data):
        return nested.network(data)[0]
    file = _File(data, cut=True)
    return file.archive(file.tensors())


def stream(file: BinaryIO) -> Iterator[Archive]:
    """Yields the networks of a file while it arrives, from the smallest to the largest.

    A file of one network yields that.

    Args:
        file: The file, at its beginning: open for reading bytes, or a download.

    Raises:
        ArchiveError: If it is not an archive or is damaged, but not before the networks that come
            before the damage; if it is cut within its first network.

    Warns after the last whole network if the file is cut.

    Example:

    >>> import io
    >>> from fr_archive import Archive, Reference, encode_nested
    >>> networks = [Archive(Reference("net"), [], profile={"share": one}) for one in (0.5, 1)]
    >>> [one.profile["share"] for one in stream(io.BytesIO(encode_nested(networks)))]
    [0.5, 1]
    """
    head = taken(file, 4)
    if not nested.is_nested(head):
        yield decode(head + taken(file, container.MOST_BYTES))
        return
    archive = None
    for frame in nested.frames(file, head):
        archive = frame.archive
        yield archive
    if nested.share_of(archive) < 1:
        _warn_of_cut(archive)


def decode_with_sizes(data: bytes) -> tuple[Archive, Sizes]:
    """Returns what `decode` and `sizes` return, and reads the file only once.

    Raises:
        ArchiveError: As in `decode`.
    """
    file = _File(data)
    parts = file.tensors(measured=True), file.vectors(measured=True), file.kernels()
    return file.archive(*parts), file.sizes(*parts)


def expand(archive: Archive) -> bytes:
    """Returns the .tflite file that an archive makes from its skeleton, the same on every machine.

    Args:
        archive: An archive that was decoded whole.

    Raises:
        ArchiveError: If it has no skeleton, or one that does not fit.
    """
    if archive.skeleton is None:
        raise ArchiveError(
            "`archive` must have a skeleton to make a .tflite file: pack it with one. "
            "Received: an archive without a skeleton"
        )
    return skeletons.expand(archive.skeleton, source(archive))


def source(archive: Archive) -> Source:
    """Returns the numbers of an archive as the recipes of a skeleton take them."""
    return Source(
        lambda number: archive.tensors[number].reals(),
        lambda number, length: rebuild(archive.vectors[number], length),
        lambda number: archive.kernels[number].reals(),
    )


def sizes(data: bytes) -> Sizes:
    """Returns where the bytes of a file are.

    Raises:
        ArchiveError: If `data` is not an archive.
    """
    return decode_with_sizes(data)[1]


def _warn_of_cut(archive: Archive) -> None:
    warnings.warn(
        "The file ends before its largest network: it was cut. This is the last whole network, "
        f"with a share of {nested.share_of(archive)}",
        stacklevel=3,
    )


def _fraction(capacity: Fraction | float) -> Fraction:
    # A float such as 0.1 is a little more than a tenth, so `ceil` could give one coefficient more.
    nearest = Fraction(capacity).limit_denominator(10**6) if 0 < capacity <= 1 else 0
    if nearest:
        return nearest
    raise ArchiveError(
        f"`capacity` must be at least a millionth and at most 1. Received: {capacity}"
    )


class _File:
    """A file whose frame has been checked."""

    def __init__(self, data: bytes, cut: bool = False):
        self._data = bytes(data)
        self._sections = container.read(self._data, cut)

    def archive(
        self,
        tensors: _series.Read,
        vectors: _series.Read | None = None,
        kernels: _kernels.Read | None = None,
    ) -> Archive:
        return Archive(
            architecture=architectures.read(self._decoder(self._sections[Kind.ARCHITECTURE])),
            tensors=tensors.series,
            vectors=(vectors or self.vectors()).series,
            skeleton=self._skeleton(),
            kernels=(kernels or self.kernels()).kernels,
        )

    def sizes(self, tensors: _series.Read, vectors: _series.Read, kernels: _kernels.Read) -> Sizes:
        return Sizes(
            total=len(self._data),
            header=container.HEADER_BYTES,
            sections=section_sizes(self._sections),
            tensors=tensors.bits,
            vectors=vectors.bits,
            kernels=kernels.bits,
            tables=(tensors.table_bits, vectors.table_bits, kernels.table_bits),
        )

    def tensors(self, capacity: Fraction | None = None, measured: bool = False) -> _series.Read:
        section = self._sections[Kind.COEFFICIENTS]
        return _series.read(
            self._decoder(section), section.size, _series.interleaved, capacity, measured
        )

    def vectors(self, measured: bool = False) -> _series.Read:
        section = self._sections.get(Kind.VECTORS)
        if section is None:
            return _series.Read((), 0.0, ())
        found = _series.read(
            self._decoder(section), section.size, _series.one_by_one, measured=measured
        )
        if not found.series:
            raise ArchiveError("A section of vectors must hold at least one", section.start)
        return found

    def kernels(self) -> _kernels.Read:
        section = self._sections.get(Kind.KERNELS)
        if section is None:
            return _kernels.Read((), 0.0, ())
        return _kernels.read(self._decoder(section), section.size)

    def _skeleton(self) -> bytes | None:
        section = self._sections.get(Kind.SKELETON)
        return section and self._data[section.start : section.start + section.size]

    def _decoder(self, section: Section) -> Decoder:
        end = section.start + section.size
        return Decoder(self._data, section.start, min(end, len(self._data)), end > len(self._data))
