"""The `.fr` archive: a network as a download of kilobytes.

Needs only numpy, so that a file can be read where TensorFlow is not installed. The format is
specified in `docs/archive-format.md`.

Example:

>>> import fr_archive
>>> tensor = fr_archive.quantize([0.75, -0.25, 0.1], step=fr_archive.nearest_step(0.25))
>>> data = fr_archive.encode(fr_archive.Archive(fr_archive.Reference("lenet5"), [tensor]))
>>> fr_archive.decode(data).tensors[0].reals()
array([ 0.75, -0.25,  0.  ], dtype=float32)
"""

from fr_archive._axes import Axis
from fr_archive._codebooks import Codebook
from fr_archive._contents import Archive
from fr_archive._cosines import cosines
from fr_archive._errors import ArchiveError
from fr_archive._growth import GrownKernel, GrownVector, new_parts, rebuild
from fr_archive._signs import Signs
from fr_archive._steps import STEPS_AN_OCTAVE, Kernel, Quantized, quantize
from fr_archive._steps import nearest as nearest_step
from fr_archive._steps import value as step_value
from fr_archive._unpacking import unpack
from fr_archive.architecture import Config, Reference
from fr_archive.archive import Sizes, decode, decode_prefix, encode, expand, sizes, stream
from fr_archive.nested import encode_nested

__version__ = "0.1.0"

__all__ = [
    "Archive",
    "ArchiveError",
    "Axis",
    "Codebook",
    "Config",
    "GrownKernel",
    "GrownVector",
    "Kernel",
    "Quantized",
    "Reference",
    "STEPS_AN_OCTAVE",
    "Signs",
    "Sizes",
    "cosines",
    "decode",
    "decode_prefix",
    "encode",
    "encode_nested",
    "expand",
    "nearest_step",
    "new_parts",
    "quantize",
    "rebuild",
    "sizes",
    "step_value",
    "stream",
    "unpack",
]
