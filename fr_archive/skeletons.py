"""The skeleton: a flatbuffer without its numbers, and the recipes that fill it.

    text = words of the file, as a varint, program, zeros up to a whole word, words in no gap

All of it is compressed as one text. A negative word, if it is not below minus the length of the
file, is the distance from a table of a flatbuffer to its layout. Written as a position instead, it
is the same for all tables of a layout, and costs nothing.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fr_archive import lz
from fr_archive._errors import ArchiveError
from fr_archive.container import varint
from fr_archive.filling import Filled, Part, fill
from fr_archive.programs import Gap, Reader, Site, Writer
from fr_archive.rangecoder import Decoder
from fr_archive.recipes import Evaluator, Source

MOST_TEXT = 1 << 22
MOST_BYTES = 1 << 26
_IDENTIFIER = b"TFL3"


@dataclass(frozen=True)
class Following:
    """A skeleton in a file of several networks that follows that of the network before.

    Attributes:
        payload: The payload of the section.
        before: The skeleton of the network before.
    """

    payload: bytes
    before: "bytes | Following"


def write(
    content: bytes,
    sites: Sequence[Site],
    gaps: Sequence[Gap],
    source: Source,
    before: bytes | Following | None = None,
) -> bytes | Following:
    """Returns the skeleton from which `expand` makes `content` again: the payload of a section.

    Args:
        content: The flatbuffer, in whole words.
        sites: The ops whose constants are made by recipes.
        gaps: Where these constants are, in the order of the file.
        source: The numbers that the recipes take.
        before: In a file of several networks, the skeleton of the network before.

    Raises:
        ArchiveError: If the recipes do not give these bytes, or the rest is too long.
    """
    filled = list(_filled(sites, [_scale(content, site) for site in sites], Evaluator(source)))
    data = [_padded(filled[gap.site].data(gap.part)) for gap in gaps]
    for gap, one in zip(gaps, data, strict=True):
        if content[gap.start : gap.start + len(one)] != one:
            raise ArchiveError(f"The recipe of site {gap.site} does not give its {gap.part.name}")
    lengths = [len(one) for one in data]
    kept = _kept([gap.start for gap in gaps], lengths, len(content))
    words = np.frombuffer(content, "<i4")[kept].astype(np.int64)
    head = varint(len(content) // 4) + Writer().program(sites, gaps, lengths)
    text = head + bytes(-len(head) % 4) + _turned(words, kept, len(content)).tobytes()
    if len(text) > MOST_TEXT or len(content) > MOST_BYTES:
        raise ArchiveError(
            f"A skeleton may hold at most {MOST_TEXT} bytes that no recipe makes, and its file at "
            f"most {MOST_BYTES}: keep fewer coefficients, or store more layers in the DCT domain. "
            f"Received: {len(text)} of {len(content)} bytes"
        )
    if before is None:
        return lz.compress(text)
    return Following(lz.compress(text, b"\0" + text_of(before)), before)


def expand(skeleton: bytes | Following, source: Source) -> bytes:
    """Returns the flatbuffer of a skeleton, the same bytes on every machine.

    Raises:
        ArchiveError: If `write` cannot have made the skeleton, a recipe makes no sense or takes too
            much, or the gaps do not fit.
    """
    text = text_of(skeleton)
    reader = Reader(text)
    size = 4 * reader.number(MOST_BYTES // 4)
    reader.steps()
    gaps = reader.gaps()
    if any(text[reader.position : reader.position + -reader.position % 4]):
        raise ArchiveError("The program of a skeleton must be filled up with zeros to a whole word")
    template = text[reader.position + -reader.position % 4 :]
    evaluator = Evaluator(source)
    for node in reader.nodes:  # in order, so that no evaluation recurses deeply
        evaluator.array(node)
    lengths = [
        _length(evaluator.array(reader.sites[site].kernel), part, reader.sites[site].by_channel)
        for _, site, part in gaps
    ]
    starts = (4 * np.cumsum([skipped for skipped, _, _ in gaps], dtype=np.int64)).tolist()
    before = np.cumsum([0, *lengths]).tolist()
    starts = [start + more for start, more in zip(starts, before, strict=False)]
    kept = _kept(starts, lengths, size)
    if len(template) != 4 * len(kept):
        raise ArchiveError(
            f"A skeleton of {size} bytes with these gaps must have {len(kept)} words outside of "
            f"them, not {len(template) / 4}"
        )
    words = np.zeros(size // 4, "<i4")
    words[kept] = _turned(np.frombuffer(template, "<i4").astype(np.int64), kept, size)
    content = bytearray(words.tobytes())
    places: dict[int, list[tuple[int, Part]]] = {}
    for start, (_, site, part) in zip(starts, gaps, strict=True):
        places.setdefault(site, []).append((start, part))
    filled = _filled(reader.sites, [_scale(content, site) for site in reader.sites], evaluator)
    for number, one in enumerate(filled):  # one at a time: many sites may share a large kernel
        for start, part in places.get(number, ()):
            data = one.data(part)
            content[start : start + len(data)] = data
    if content[4:8] != _IDENTIFIER:
        raise ArchiveError("The skeleton does not make a TFLite flatbuffer")
    return bytes(content)


def text_of(skeleton: bytes | Following) -> bytes:
    """Returns the text of a skeleton.

    Raises:
        ArchiveError: If `write` cannot have compressed it, or it has more than `MOST_TEXT` bytes
            together with those that it follows.
    """
    chain = [skeleton]
    while isinstance(chain[-1], Following):
        chain.append(chain[-1].before)
    text, left = b"", MOST_TEXT
    for one in reversed(chain):
        payload = one.payload if isinstance(one, Following) else one
        text = lz.decompress(Decoder(payload, 0, len(payload)), left, b"\0" + text)
        left -= len(text)
    return text


def _filled(
    sites: Sequence[Site], scales: Sequence[float], evaluator: Evaluator
) -> Iterator[Filled]:
    for site in sites:
        evaluator.count_filling(site.kernel)
    for site, scale in zip(sites, scales, strict=True):
        bias = None if site.bias is None else evaluator.array(site.bias)
        yield fill(evaluator.array(site.kernel), bias, scale, site.by_channel)


def _scale(content: bytes, site: Site) -> float:
    """The scale of the input of an op; it is 0 if it lies in a gap."""
    if not 0 <= site.scale_at <= len(content) - 4:
        raise ArchiveError(f"The scale of a site lies outside of the file, at {site.scale_at}")
    return struct.unpack_from("<f", content, site.scale_at)[0]


def _length(kernel: np.ndarray, part: Part, by_channel: bool) -> int:
    """The number of bytes of a gap."""
    channels = len(kernel) if kernel.ndim else 0
    scales = channels if by_channel else 1
    sizes = {Part.KERNEL: kernel.size, Part.SCALES: 4 * scales}
    sizes |= {Part.BIAS: 4 * channels, Part.BIAS_SCALES: 4 * scales}
    return sizes[part] + -sizes[part] % 4


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _kept(starts: Sequence[int], lengths: Sequence[int], size: int) -> np.ndarray:
    """The indices of the words of a file that lie in no gap."""
    end = 0
    inside = np.zeros(size // 4, bool)
    for start, length in zip(starts, lengths, strict=True):
        if start % 4 or start < end or start + length > size or size % 4:
            raise ArchiveError(
                f"Gaps must follow one another within the {size} bytes of the file, in whole "
                f"words. Received: {length} bytes at {start}, after a gap that ends at {end}"
            )
        end = start + length
        inside[start // 4 : end // 4] = True
    return np.flatnonzero(~inside)


def _turned(words: np.ndarray, places: np.ndarray, size: int) -> np.ndarray:
    """Turns words from `-size` to -1 from distances into positions; doing it twice undoes it."""
    inside = (words >= -size) & (words < 0)
    return np.where(inside, -1 - (1 + words - 4 * places) % size, words).astype("<i4")
