"""How the vectors and kernels of a network contain those of the network before it in a file."""

from collections.abc import Iterator, Sequence

from fr_archive import _growth_map
from fr_archive._axes import boxes
from fr_archive._contents import Archive
from fr_archive._errors import ArchiveError
from fr_archive._growth import GrownKernel, GrownVector
from fr_archive._growth_map import Entry
from fr_archive.rangecoder import Decoder


def entries(archive: Archive, before: Archive) -> tuple[list[Entry], list[Entry]]:
    """Returns how the vectors and kernels of a network contain those of the one before.

    Raises:
        ArchiveError: If something has grown from something else.
    """
    return (
        [_entry(one, place, before.vectors) for place, one in enumerate(archive.vectors)],
        [_entry(one, place, before.kernels) for place, one in enumerate(archive.kernels)],
    )


def _entry(one, place: int, before: Sequence) -> Entry:
    old = before[place] if place < len(before) else None
    if one == old:
        return ()
    if not isinstance(one, GrownKernel | GrownVector):
        return None
    if one.before != old:
        raise ArchiveError(
            "What has grown must contain what has its place in the network before. Received: "
            f"another one at place {place}"
        )
    return one.axes if isinstance(one, GrownKernel) else (one.axis,)


def new_vectors(archive: Archive, before: Archive | None) -> list:
    """Returns the new vectors of a network, and the new parts of those that have grown."""
    found = entries(archive, before)[0] if before else [None] * len(archive.vectors)
    pairs = zip(archive.vectors, found, strict=True)
    return [one.new if entry else one for one, entry in pairs if entry != ()]


def new_kernels(archive: Archive, before: Archive | None) -> list:
    """Returns the new kernels of a network, and the new parts of those that have grown."""
    found = entries(archive, before)[1] if before else [None] * len(archive.kernels)
    pairs = zip(archive.kernels, found, strict=True)
    return [part for one, entry in pairs if entry != () for part in (one.new if entry else (one,))]


def assembled(decoder: Decoder, before: Archive, vectors: Sequence, kernels: Sequence):
    """Returns the vectors and kernels of a network.

    Args:
        decoder: A decoder at the beginning of the section that says how they grow.
        before: The network before.
        vectors: Those of the frame.
        kernels: Those of the frame.

    Raises:
        ArchiveError: If they do not fit together.
    """
    entries = _growth_map.read(decoder)
    new = [iter(vectors), iter(kernels)]
    try:
        whole = (
            [
                _grown(one, place, before.vectors, new[0], _one_vector)
                for place, one in enumerate(entries[0])
            ],
            [
                _grown(one, place, before.kernels, new[1], _one_kernel)
                for place, one in enumerate(entries[1])
            ],
        )
    except StopIteration:
        raise ArchiveError("A frame must hold what its growth says is new", 0) from None
    if any(next(rest, None) is not None for rest in new):
        raise ArchiveError("A frame must hold nothing that its growth does not place", 0)
    return whole


def _grown(entry: Entry, place: int, before: Sequence, new: Iterator, join):
    if entry is None:
        one = next(new)
        if before[place : place + 1] == (one,):
            raise ArchiveError(f"Number {place} is said to be new, but is the one before", 0)
        return one
    if place >= len(before):
        raise ArchiveError(f"Number {place} cannot have grown: the network before has none", 0)
    return join(before[place], entry, new) if entry else before[place]


def _one_vector(before, axes: tuple, new: Iterator) -> GrownVector:
    return GrownVector(before, axes[0], next(new))


def _one_kernel(before, axes: tuple, new: Iterator) -> GrownKernel:
    return GrownKernel(before, axes, [next(new) for _ in boxes(axes)])
