"""Makes archives of the second version: kernels in space, right, hostile and mutated."""

import zlib
from collections.abc import Iterator

import numpy as np
import test_archive_fuzz
from networks import images, live
from test_archive_kernels import NO_SCALES, section, signs_section
from test_archive_skeleton import program

from fr_archive import (
    Archive,
    Codebook,
    Kernel,
    Quantized,
    Reference,
    Signs,
    _kernels,
    container,
    encode,
)
from fr_archive._integers import Columns, Kernels
from fr_archive.container import HEADER_BYTES, Kind
from fr_archive.rangecoder import Encoder
from fr_keras import zoo

RANDOM = 90
MUTATIONS = 6  # of each
_TENSORS, _VECTORS = [Quantized((3, -1, 0, 2), -20)], [Quantized((1, 0), -24)]
_HEAD = container.MAGIC + b"\x02"


def plain_unet():
    """A network without layers in the DCT domain, with transposed convolutions."""
    model = zoo.unet((32, 32, 3), filters=2, classifier_activation=None)
    return live(model, images(shape=(32, 32, 3)))


def files() -> Iterator[tuple[str, bytes]]:
    """Yields archives, each with a name of its own."""
    mutator = test_archive_fuzz.Mutator(seed=13)
    for seed in range(RANDOM):
        data = encode(Archive(Reference("net"), _TENSORS, _VECTORS, kernels=_random(seed)))
        yield f"kernels-{seed}", data
        payloads = _payloads(data)
        for i in range(MUTATIONS):
            wrong = payloads | {Kind.KERNELS: mutator.mutated(payloads[Kind.KERNELS])}
            yield f"kernels-{seed}-mutated-{i}", container.write(wrong)
    yield from ((f"kernels-hostile-{i}", data) for i, data in enumerate(_hostile()))


def _random(seed: int) -> list[Kernel | Codebook | Signs]:
    """Kernels whose columns differ, some without rows, some with the largest numbers."""
    random = np.random.default_rng(seed)
    kernels = []
    for _ in range(random.integers(1, 5)):
        rows, columns = random.integers((0, 1), (60, 20))
        if not seed % 3 and random.random() < 0.5:
            kernels.append(_signs(random, int(rows), int(columns)))
            continue
        if random.random() < 0.5:
            kernels.append(_codebook(random, int(rows), int(columns)))
            continue
        scales = 10 ** random.uniform(-1.5, random.choice([1.5, 9]), columns)
        values = np.rint(random.laplace(size=(rows, columns)) * scales)
        values = np.clip(values, 2 - 2**31, 2**31 - 2).astype(np.int64)
        kernels.append(Kernel(values.ravel(), int(random.integers(-512, 512)), int(columns)))
    return kernels


def _codebook(random: np.random.Generator, rows: int, columns: int) -> Codebook:
    """A kernel of 1 to 16 levels, of which each column prefers others."""
    levels = np.unique((10 ** random.uniform(-45, 38) * random.normal(size=16)).astype(np.float32))
    levels = np.sort(random.permutation(levels)[: random.integers(1, 17)])
    if random.random() < 0.5:
        half = levels[: random.integers(1, 9)]
        levels = np.unique([*half, *-half])  # mirrored
    alpha, beta = random.uniform(0.1, 2, (2, columns))
    values = np.rint(random.beta(alpha, beta, (rows, columns)) * (len(levels) - 1))
    return Codebook(values.astype(np.int64).ravel(), levels, columns)


def _signs(random: np.random.Generator, rows: int, columns: int) -> Signs:
    """Signs of any scale, some of the least and the largest seed."""
    seeds = [0, 1, 2**63, 2**64 - 1, *random.integers(0, 2**64, 6, np.uint64).tolist()]
    seed = seeds[random.integers(len(seeds))]
    return Signs(seed, 10 ** random.uniform(-44, 38), rows * columns, columns)


def with_section(payload: bytes) -> bytes:
    """An archive with a section of kernels."""
    parts = _payloads(encode(Archive(Reference("net"), _TENSORS, _VECTORS)))
    return container.write(parts | {Kind.KERNELS: payload})


def _payloads(data: bytes) -> dict[Kind, bytes]:
    sections = container.read(data)
    return {kind: data[one.start : one.start + one.size] for kind, one in sections.items()}


def _zeros(rows: int, columns: int) -> bytes:
    """A payload that a writer would write without the limit."""
    encoder, table = Encoder(), _kernels._Table()
    table.number.magnitude(encoder, 1)
    for numbers, number in ((table.rows, rows), (table.columns, columns), (table.step, 0)):
        numbers.signed(encoder, number)
    table.form.magnitude(encoder, 0)
    coder, state = Kernels(), Columns(columns)
    for _ in range(rows * columns):
        coder.code(encoder, state, 0)
    return encoder.finish()


def _hostile() -> Iterator[bytes]:
    whole = encode(Archive(Reference("net"), _TENSORS, _VECTORS, kernels=_random(3)[:1]))
    payloads = _payloads(whole)
    yield from map(with_section, _sections())
    body = whole[HEADER_BYTES:]
    for version in (0, 1, 3, 255):
        yield _framed(body, container.MAGIC + bytes([version]))
    without = {kind: one for kind, one in payloads.items() if kind != Kind.KERNELS}
    yield _framed(container.write(without)[HEADER_BYTES:])
    head, vectors, kernels, last = (
        container.varint(len(payloads[kind]) << 3 | kind) + payloads[kind]
        for kind in (Kind.ARCHITECTURE, Kind.VECTORS, Kind.KERNELS, Kind.COEFFICIENTS)
    )
    for order in (
        (head, kernels, last),
        (head, vectors, kernels, b"\x04", last),  # an empty section of a reserved kind
        (head, vectors, kernels, kernels, last),
        (head, kernels, vectors, last),
        (head, vectors, last, kernels),
        (kernels, head, last),
        (head, kernels),
    ):
        yield _framed(b"".join(order))
    for end in range(len(whole)):
        yield whole[:end]
        yield _framed(whole[HEADER_BYTES:end])


def _sections() -> Iterator[bytes]:
    """Payloads of kernels, beside those of `test_archive_kernels.py`."""
    yield from (b"\0" * 30, b"\xff" * 30, b"\x80", section(2**31 - 2))
    for row in (
        (0, 0, 0, 0),
        (0, 1, 0, 0),  # the smallest kernel
        (1, 1, 511, 0),
        (1, 1, 512, 0),
        (1, 1, -513, 0),
        (0, 1, 0, 2**31 - 2),
        (1 << 12, 1 << 12, 0, 16),
        (2, 1 << 15, 0, 2),
        (1 << 14, 4, 0, 1),
        (0, 1 << 16, 0, 0),
        (0, 1 << 17, 0, 0),
        (1 << 17, 1, 0, 0),
        (1 << 12, 1 << 12, 0, 0),
        (2**31 - 2, 2**31 - 2, 0, 0),
        (300, 10, 0, 0),
        *((6, 4, 0, form) for form in range(1, 20)),
        (1 << 12, 1 << 12, 0, 17),
        (1 << 12, 1 + (1 << 12), 0, 17),
        (0, 1 << 24, 0, 17),
        (0, 1 + (1 << 24), 0, 17),
        (2**31 - 2, 2**31 - 2, 0, 17),
    ):
        yield section(1, row)
    yield section(2, (1, 1, 0, 17), (0, 0, 1, 17))
    yield section(2, (1, 1 << 24, 0, 17), (0, 1 - (1 << 24), 0, 0))
    yield section(2, (1, 1, 0, 17), (0, (1 << 17) - 1, 0, 0))
    yield from (signs_section(5, 1 << 17, scale) for scale in (*NO_SCALES, 1e-45, 3e38))
    yield from (signs_section(5, 70, 0.5)[:end] for end in range(20))
    yield section(2, (1, 1, 500, 0), (0, 0, 12, 0))
    yield section(2, (5, 2, 0, 0), (-6, 0, 0, 0))
    yield section(2, (0, 2, 0, 0), (0, -2, 0, 0))
    yield section(3, (0, 1 << 15, 0, 0), *2 * [(0, 0, 0, 0)])
    # 76,800 zeros take 224 bytes, which may hold 79,872. 96,000 take 278, which may hold 83,328.
    yield from (_zeros(rows, 128) for rows in (600, 750))


def programs(network: Archive) -> Iterator[bytes]:
    """The payloads of skeletons that take kernels wrongly, and of one that takes one rightly."""
    size, words = network.kernels[0].size, b"\0\0\0\0TFL3" + bytes(24)
    for numbers in (
        (0, size),
        (0, size, 1, 1),
        (0,),
        (0, size + 1),
        (0, size, 0),
        (0, size, *(32 * (1,))),
        (0, (1 << 32) - 1),
        (0, 1 << 20, 1 << 20),
        (len(network.kernels), size),
        ((1 << 32) - 1, size),
        (),
    ):
        yield program((19, len(numbers), *numbers), words=words)


def _framed(body: bytes, head: bytes = _HEAD) -> bytes:
    """A file with a right checksum."""
    return head + zlib.crc32(body).to_bytes(4, "big") + body
