"""A million random and mutated files: refused with an `ArchiveError`, or accepted with reason."""

import contextlib
import dataclasses
import random
import struct
import zlib
from collections.abc import Callable

import pytest

import fr_archive
from fr_archive import (
    Archive,
    ArchiveError,
    Codebook,
    Config,
    Kernel,
    Quantized,
    Reference,
    Signs,
    _kernels,
    _series,
    container,
    lz,
    skeletons,
)
from fr_archive.architecture import _DICTIONARY
from fr_archive.container import HEADER_BYTES, Kind
from fr_archive.filling import Part, fill
from fr_archive.programs import Gap, Site
from fr_archive.rangecoder import Decoder
from fr_archive.recipes import Evaluator, Node, Op
from fr_archive.skeletons import MOST_TEXT

FILES = 1_000_000
COSINES = Node(Op.COSINES, (), (5, 2, 0, 5))


def small_skeleton(archive: Archive) -> bytes:
    """A file of a few words with one kernel and one bias, which only looks like a flatbuffer."""
    kernel = Node(Op.CONTRACT, (Node(Op.COEFFICIENTS, (), (0, 2, 2, 1, 1)), COSINES), (1,))
    site = Site(kernel, Node(Op.VECTORS, (), (1, 2, 2)), scale_at=8, by_channel=True)
    gaps = [Gap(20, 0, Part.KERNEL), Gap(32, 0, Part.SCALES), Gap(40, 0, Part.BIAS)]
    source = fr_archive.archive.source(archive)
    evaluator = Evaluator(source)
    filled = fill(evaluator.array(kernel), evaluator.array(site.bias), 0.5, True)
    content = bytearray(struct.pack("<I4sfii", 16, b"TFL3", 0.5, -12, 3) + bytes(36))
    for gap in gaps:
        data = filled.data(gap.part)
        content[gap.start : gap.start + len(data)] = data
    return skeletons.write(bytes(content), [site], gaps, source)


def seeds() -> list[bytes]:
    """Small files, so that a million take minutes, with every section and large numbers."""
    made = Archive(
        Reference("net"),
        [Quantized((3, -1, 0, 2), -20)],
        [Quantized((1, 0), -24), Quantized((1, 1), 7)],
    )
    small = [Quantized((3, -1, 0, 2), -20), Quantized((1, 0), -24), Quantized((), 7)]
    in_space = [Kernel((2, 0, -1, 5, 0, 1), -20, 3), Kernel((), 3, 1), Kernel((-7,), 0, 1)]
    levels = [
        Codebook((0, 1, 2, 1, 1, 0, 2, 2), (-0.5, 0, 0.5), 2),
        Kernel((2, 0, -1, 5), -20, 2),
        Codebook((4, 0, 2, 3, 1), (-1, -0.25, 0.5, 0.75, 3), 5),
        Codebook((0,) * 6, (0.3,), 3),
    ]
    signs = [Signs(7, 0.5, 66, 3), Kernel((2, 0), -20, 1), Signs(1 << 63, 0.1, 0, 2)]
    return [
        fr_archive.encode(archive)
        for archive in (
            Archive(Reference("net"), []),
            dataclasses.replace(made, skeleton=small_skeleton(made)),
            Archive(Reference("lenet5", {"batch_norm": True}), small),
            Archive(Reference("unet"), small[:1], small[1:], b"skeleton"),
            Archive(Config({"layers": [1, 2.5, None, "x"]}), [Quantized((0,) * 60, 0)], small),
            Archive(Reference("net"), [Quantized((2**31 - 2, 5 - 2**31, 0), 511)]),
            Archive(Reference("net"), [Quantized((i % 5 - 2,), i) for i in range(9)]),
            Archive(Reference("net"), [], small[:1], kernels=in_space),
            Archive(Reference("net"), [], small[:1], kernels=levels),
            Archive(Reference("net"), [], kernels=signs),
        )
    ]


class Mutator:
    def __init__(self, seed: int):
        self._random = random.Random(seed)
        self._seeds = seeds()
        self.texts = [b'["net",{}]', b'["lenet5",{"batch_norm":true}]', b'{"a":[1,2.5,null,"x"]}']

    def file(self) -> bytes:
        draw = self._random.random()
        if draw < 0.02:
            return self._random.randbytes(self._random.randrange(40))
        if draw < 0.04:
            return self.mutated(self._random.choice(self._seeds))
        if draw < 0.05:
            payloads = self._payloads(self._random.choice(self._seeds))
            text = self.mutated(self._random.choice(self.texts))
            payloads[Kind.ARCHITECTURE] = lz.compress(text, _DICTIONARY)
            return container.write(payloads)
        if draw < 0.1:
            payloads = self._payloads(self._seeds[1])
            payload = payloads[Kind.SKELETON]
            text = lz.decompress(Decoder(payload, 0, len(payload)), MOST_TEXT)
            payloads[Kind.SKELETON] = lz.compress(self.mutated(text))
            return container.write(payloads)
        if draw < 0.25:
            body = self.mutated(self._random.choice(self._seeds)[HEADER_BYTES:])
            checksum = zlib.crc32(body).to_bytes(4, "big")
            return (
                container.MAGIC + bytes([self._random.choice(container.VERSIONS)]) + checksum + body
            )
        return container.write(self._mutated_payloads())

    def _mutated_payloads(self) -> dict[Kind, bytes]:
        """Right frames and one wrong payload, so that the mutation reaches the decoders."""
        payloads = self._payloads(self._random.choice(self._seeds))
        kinds = [Kind.COEFFICIENTS] * 3 + [Kind.VECTORS, Kind.ARCHITECTURE, Kind.KERNELS]
        kind = self._random.choice(kinds)
        if self._random.random() < 0.2:
            payloads[kind] = self._random.randbytes(self._random.randrange(24))
        else:
            payloads[kind] = self.mutated(payloads.get(kind, b"\x80"))
        return payloads

    def _payloads(self, data: bytes) -> dict[Kind, bytes]:
        return {
            kind: data[section.start : section.start + section.size]
            for kind, section in container.read(data).items()
        }

    def mutated(self, data: bytes) -> bytes:
        data, draw = bytearray(data), self._random
        for _ in range(draw.choice((1, 1, 1, 2, 4))):
            place = draw.randrange(len(data) + 1)
            match draw.randrange(6):
                case 0 if place < len(data):
                    data[place] ^= 1 << draw.randrange(8)
                case 1 if place < len(data):
                    data[place] = draw.choice((0, 1, 127, 128, 255, draw.randrange(256)))
                case 2:
                    data[place:place] = draw.randbytes(draw.randrange(1, 4))
                case 3:
                    del data[place : place + draw.randrange(1, 4)]
                case 4:
                    del data[place:]
                case _:
                    data += data[place : place + draw.randrange(1, 9)]
        return bytes(data)


def outcome(read: Callable[[bytes], Archive], data: bytes) -> Archive | None:
    """The archive, or `None` for a refusal that names a byte of the file."""
    try:
        return read(data)
    except ArchiveError as caught:
        error = caught
    assert 0 <= error.offset <= len(data)
    return None


def accepted(data: bytes) -> bool:
    """Decodes a file in all ways; an acceptance is checked against what a writer writes."""
    archive = outcome(fr_archive.decode, data)
    if archive is None:
        return False
    assert fr_archive.decode_prefix(data) == archive
    sections = container.read(data)
    for kind, found, order in (
        (Kind.COEFFICIENTS, archive.tensors, _series.interleaved),
        (Kind.VECTORS, archive.vectors, _series.one_by_one),
    ):
        if kind in sections:
            start, size = sections[kind].start, sections[kind].size
            assert _series.write(found, order) == data[start : start + size]
    if archive.kernels:
        start, size = sections[Kind.KERNELS].start, sections[Kind.KERNELS].size
        assert _kernels.write(archive.kernels) == data[start : start + size]
    if archive.skeleton is not None:
        with contextlib.suppress(ArchiveError):
            assert fr_archive.expand(archive)[4:8] == b"TFL3"
    part = fr_archive.decode(data, capacity=0.5)
    for whole, half in zip(archive.tensors, part.tensors, strict=True):
        assert half.values == whole.values[: (len(whole.values) + 1) // 2]
    return True


def fuzz(files: int, seed: int) -> int:
    """How many of so many files were accepted. One in eight is also read without its end."""
    mutator, count = Mutator(seed), 0
    for number in range(files):
        data = mutator.file()
        count += accepted(data)
        if not number % 8:
            outcome(fr_archive.decode_prefix, data[: -1 - number % 5])
    return count


def test_a_few_random_and_mutated_files():
    assert fuzz(1000, seed=1) > 0


@pytest.mark.slow
def test_a_million_random_and_mutated_files():
    assert fuzz(FILES, seed=0) > 1000  # mutations that are files again are rare, but come
