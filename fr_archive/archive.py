"""Archives: what a file holds, and the way there and back."""

from dataclasses import dataclass
from fractions import Fraction

from fr_archive import _series, container, skeletons
from fr_archive import architecture as architectures
from fr_archive._cosines import rebuild
from fr_archive._errors import ArchiveError
from fr_archive._steps import Quantized
from fr_archive.architecture import Config, Reference
from fr_archive.container import Kind, Section
from fr_archive.rangecoder import Decoder
from fr_archive.recipes import Source


@dataclass(frozen=True)
class Archive:
    """What a file holds.

    Args:
        architecture: Which network this is.
        tensors: The kept coefficients of each tensor, in zigzag order. The architecture says
            which tensors there are, and their shapes.
        vectors: The first DCT-II coefficients of each vector. Similar ones should follow one
            another, for a count and a step are written as differences.
        skeleton: A flatbuffer without its numbers, from `skeletons.write`, or `None`.

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

    def __post_init__(self):
        object.__setattr__(self, "tensors", tuple(self.tensors))
        object.__setattr__(self, "vectors", tuple(self.vectors))


@dataclass(frozen=True)
class Sizes:
    """Where the bytes of a file are.

    Attributes:
        total: The bytes of the file.
        header: Its magic, version and checksum.
        sections: The bytes of each section with its own header, by name.
        tensors: The bits of information in each tensor.
        vectors: The bits of information in each vector.
        tables: The bits in the counts and steps of the tensors, and of the vectors.
    """

    total: int
    header: int
    sections: dict[str, int]
    tensors: tuple[float, ...]
    vectors: tuple[float, ...]
    tables: tuple[float, float]


def encode(archive: Archive) -> bytes:
    """Returns the file: the same bytes for the same archive, on every machine.

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
    return container.write(payloads)


def decode(data: bytes, capacity: Fraction | float | None = None) -> Archive:
    """Returns what a file holds.

    Args:
        data: The file.
        capacity: Above 0 and up to 1: reads only the first `ceil(capacity * n)` of the `n`
            coefficients of each tensor. Rounded to a fraction with a denominator of at most 10^6.

    Raises:
        ArchiveError: If `data` is no archive, or damaged, or not as `encode` writes it.
    """
    return _File(data).archive(None if capacity is None else _fraction(capacity))


def decode_prefix(data: bytes) -> Archive:
    """Returns what the first bytes of a file decide: each tensor as far as it goes.

    What comes is the beginning of each tensor of the whole file, but a checksum protects only the
    whole: damaged bytes go unseen.

    Raises:
        ArchiveError: If `data` does not reach the first coefficient, or is no archive.
    """
    return _File(data, cut=True).archive()


def expand(archive: Archive) -> bytes:
    """Returns the .tflite file that the skeleton of an archive makes, the same on every machine.

    Args:
        archive: One that was decoded whole.

    Raises:
        ArchiveError: If it has no skeleton, or one that does not fit.
    """
    if archive.skeleton is None:
        raise ArchiveError(
            "`archive` must have a skeleton to make a .tflite file: pack it with one. "
            "Received: an archive without"
        )
    return skeletons.expand(archive.skeleton, source(archive))


def source(archive: Archive) -> Source:
    """Returns what the recipes of a skeleton take from an archive."""
    return Source(
        lambda number: archive.tensors[number].reals(),
        lambda number, length: rebuild(archive.vectors[number], length),
    )


def sizes(data: bytes) -> Sizes:
    """Returns where the bytes of a file are.

    Raises:
        ArchiveError: If `data` is no archive.
    """
    return _File(data).sizes()


def _fraction(capacity: Fraction | float) -> Fraction:
    # A float such as 0.1 is a little more than a tenth, which would round up to one more.
    nearest = Fraction(capacity).limit_denominator(10**6) if 0 < capacity <= 1 else 0
    if nearest:
        return nearest
    raise ArchiveError(
        f"`capacity` must be at least a millionth and at most 1. Received: {capacity}"
    )


class _File:
    """A file whose frame was checked."""

    def __init__(self, data: bytes, cut: bool = False):
        self._data = bytes(data)
        self._sections = container.read(self._data, cut)

    def archive(self, capacity: Fraction | None = None) -> Archive:
        return Archive(
            architecture=architectures.read(self._decoder(self._sections[Kind.ARCHITECTURE])),
            tensors=self._tensors(capacity).series,
            vectors=self._vectors().series,
            skeleton=self._skeleton(),
        )

    def sizes(self) -> Sizes:
        tensors, vectors = self._tensors(), self._vectors()
        return Sizes(
            total=len(self._data),
            header=container.HEADER_BYTES,
            sections={
                kind.name.lower(): section.start - section.begin + section.size
                for kind, section in self._sections.items()
            },
            tensors=tensors.bits,
            vectors=vectors.bits,
            tables=(tensors.table_bits, vectors.table_bits),
        )

    def _tensors(self, capacity: Fraction | None = None) -> _series.Read:
        section = self._sections[Kind.COEFFICIENTS]
        return _series.read(self._decoder(section), section.size, _series.interleaved, capacity)

    def _vectors(self) -> _series.Read:
        section = self._sections.get(Kind.VECTORS)
        if section is None:
            return _series.Read((), 0.0, ())
        found = _series.read(self._decoder(section), section.size, _series.one_by_one)
        if not found.series:
            raise ArchiveError("A section of vectors holds one or more", section.start)
        return found

    def _skeleton(self) -> bytes | None:
        section = self._sections.get(Kind.SKELETON)
        return section and self._data[section.start : section.start + section.size]

    def _decoder(self, section: Section) -> Decoder:
        end = section.start + section.size
        return Decoder(self._data, section.start, min(end, len(self._data)), end > len(self._data))
