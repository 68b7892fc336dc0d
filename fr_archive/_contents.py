"""`Archive`: what a file holds, or one of the networks that a file holds."""

from dataclasses import dataclass

from fr_archive._growth import GrownVector, SpaceKernel
from fr_archive._steps import Quantized
from fr_archive.architecture import Config, Reference
from fr_archive.skeletons import Following


@dataclass(frozen=True)
class Archive:
    """A network as a file holds it.

    Args:
        architecture: Which network the numbers belong to.
        tensors: The kept coefficients of each tensor, in zigzag order. The architecture says
            which tensors there are, and which shapes they have.
        vectors: The first DCT-II coefficients of each vector. Similar vectors should follow one
            another, because counts and steps are written as differences.
        skeleton: A flatbuffer without its numbers, from `skeletons.write`, or `None`.
        kernels: The kernels that lie in space. A file without any has the first version of the
            format, a file with them the second.
        profile: In a file of several networks, what is known of this one: its `share` of what the
            largest costs, and figures such as `accuracy`, `memory` and `latency_ms`. `None` in
            other files.

    In a file of several networks, vectors and kernels may be `GrownVector` and `GrownKernel`, which
    contain those of the network before, and the skeleton a `skeletons.Following`.

    Example:

    >>> from fr_archive import decode, encode
    >>> archive = Archive(Reference("lenet5"), [Quantized((5, -1, 0, 1), step=-24)])
    >>> data = encode(archive)
    >>> decode(data) == archive
    True
    >>> decode(data, capacity=0.5).tensors[0].values
    (5, -1)
    """

    architecture: Reference | Config
    tensors: tuple[Quantized, ...]
    vectors: tuple[Quantized | GrownVector, ...] = ()
    skeleton: bytes | Following | None = None
    kernels: tuple[SpaceKernel, ...] = ()
    profile: dict | None = None

    def __post_init__(self):
        for name in ("tensors", "vectors", "kernels"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
