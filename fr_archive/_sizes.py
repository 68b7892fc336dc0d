"""`Sizes`: where the bytes of a file are."""

import dataclasses
from collections.abc import Mapping

from fr_archive import container
from fr_archive.container import Kind, Section


@dataclasses.dataclass(frozen=True)
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
        return dataclasses.replace(self, total=len(data), sections=section_sizes(found))


def section_sizes(sections: Mapping[Kind, Section]) -> dict[str, int]:
    """Returns the number of bytes of each section with its own header, by name."""
    return {kind.name.lower(): one.start - one.begin + one.size for kind, one in sections.items()}
