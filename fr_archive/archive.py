"""Archives: the contents of a file, and how they are encoded and decoded."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from fr_archive import _codebooks, _kernels, _series, container, skeletons
from fr_archive import architecture as architectures
from fr_archive._cosines import rebuild
from fr_archive._errors import ArchiveError
from fr_archive._kernels import InSpace
from fr_archive._steps import Quantized
from fr_archive.architecture import Config, Reference
from fr_archive.container import Kind, Section
from fr_archive.rangecoder import Decoder
from fr_archive.recipes import Source

#: The most numbers that the kernels in space of an archive may have.
MOST_KERNEL_NUMBERS = _kernels.MOST_NUMBERS
#: The most levels that a codebook may have.
MOST_LEVELS = _codebooks.MOST_LEVELS


@dataclass(frozen=True)
class Archive:
    """The contents of a file.

    Args:
        architecture: Which network the numbers belong to.
        tensors: The kept coefficients of each tensor, in zigzag order. The architecture says
            which tensors there are, and which shapes they have.
        vectors: The first DCT-II coefficients of each vector. Similar vectors should follow one
            another, because counts and steps are written as differences.
        skeleton: A flatbuffer without its numbers, from `skeletons.write`, or `None`.
        kernels: The kernels that lie in space. A file without any has the first version of the
            format, a file with them the second.

    Example:

    >>> archive = Archive(Reference("lenet5"), [Quantized((5, -1, 0, 1), step=-24)])
    >>> data = encode(archive)
    >>> decode(data) == archive
    True
    >>> decode(data, capacity=0.5).tensors[0].values
    (5, -1)
    """

    architecture: Reference | Config
    tensors: tuple[Quantized, ...]
    vectors: tuple[Quantized, ...] = ()
    skeleton: bytes | None = None
    kernels: tuple[InSpace, ...] = ()

    def __post_init__(self):
        for name in ("tensors", "vectors", "kernels"):
            object.__setattr__(self, name, tuple(getattr(self, name)))


@dataclass(frozen=True)
class Sizes:
    """Where the bytes of a file are.

    Attributes:
        total: The number of bytes of the file.
        header: The number of bytes of magic, version and checksum.
        sections: The number of bytes of each section with its own header, by name.
        tensors: The bits of information in each tensor.
        vectors: The bits of information in each vector.
        kernels: The bits of information in each kernel in space.
        tables: The bits in the counts and steps: those of the tensors, of the vectors, and of the
            kernels in space.
    """

    total: int
    header: int
    sections: dict[str, int]
    tensors: tuple[float, ...]
    vectors: tuple[float, ...]
    kernels: tuple[float, ...]
    tables: tuple[float, float, float]

    def of(self, data: bytes) -> "Sizes":
        """Returns the sizes of a file that differs in its skeleton alone."""
        found = container.read(data)
        return dataclasses.replace(self, total=len(data), sections=_section_sizes(found))


def encode(archive: Archive) -> bytes:
    """Returns the bytes of the file, the same for the same archive on every machine.

    Raises:
        ArchiveError: If the archive is beyond the limits of the format.
    """
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
            most 10^6. `None` reads everything.

    Raises:
        ArchiveError: If `data` is not an archive, is damaged, or is not as `encode` writes it.
    """
    file = _File(data)
    return file.archive(file.tensors(None if capacity is None else _fraction(capacity)))


def decode_prefix(data: bytes) -> Archive:
    """Returns the contents of the first bytes of a file: of each tensor, the first coefficients.

    These are exactly the first coefficients of the whole file. The checksum protects only the
    whole file, so damaged bytes in a prefix are not noticed.

    Raises:
        ArchiveError: If `data` does not reach the first coefficient, or is not an archive.
    """
    file = _File(data, cut=True)
    return file.archive(file.tensors())


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


def _fraction(capacity: Fraction | float) -> Fraction:
    # A float such as 0.1 is a little more than a tenth, so `ceil` could give one coefficient more.
    nearest = Fraction(capacity).limit_denominator(10**6) if 0 < capacity <= 1 else 0
    if nearest:
        return nearest
    raise ArchiveError(
        f"`capacity` must be at least a millionth and at most 1. Received: {capacity}"
    )


def _section_sizes(sections: Mapping[Kind, Section]) -> dict[str, int]:
    return {kind.name.lower(): one.start - one.begin + one.size for kind, one in sections.items()}


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
            sections=_section_sizes(self._sections),
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
