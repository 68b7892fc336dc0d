"""Makes archives whose skeletons have random recipes: every operation, on shapes that fit."""

import dataclasses
import math
import random
import struct

import numpy as np

import fr_archive
from fr_archive import (
    Archive,
    ArchiveError,
    Codebook,
    Kernel,
    Quantized,
    Reference,
    Signs,
    skeletons,
)
from fr_archive.archive import source
from fr_archive.filling import Filled, Part, fill
from fr_archive.programs import Gap, Site
from fr_archive.recipes import Evaluator, Node, Op, scalar

_TENSORS = [
    Quantized((9, -4, 0, 1, -2, 0, 0, 1, 3, 2, -1), -20),
    Quantized((1 << 20, -77, 5, 0, 0, 3), -150),
    Quantized((-7,), 3),
]
_VECTORS = [Quantized((12, -3, 1), -16), Quantized((5, 1), -9), Quantized((), 0)]
# By how many numbers they have.
_KERNELS = {
    24: Kernel(range(-11, 13), -14, 4),
    3: Kernel((5, 0, -1 << 30), -230, 1),
    6: Codebook((3, 0, 1, 1, 2, 0), (-1.5, -0.1, 0.3, 7), 3),
    70: Signs(2**64 - 9, 0.3, 70, 7),
}
_LEAVES = 12
_INNER = 40
_SITES = 3


def random_skeleton(seed: int) -> bytes:
    """Returns an archive of a few kernels that follow from random recipes."""
    draw = random.Random(seed)
    archive = Archive(Reference("net"), _TENSORS, _VECTORS, kernels=_KERNELS.values())
    evaluator = Evaluator(source(archive))
    nodes: list[Node] = []
    while len(nodes) < _LEAVES + _INNER:
        node = _leaf(draw) if len(nodes) < _LEAVES else _inner(draw, nodes, evaluator)
        try:
            with np.errstate(all="ignore"):
                array = evaluator.array(node)
        except ArchiveError:
            continue
        if array.size <= 5000 and np.isfinite(array).all():
            nodes.append(node)
    skeleton = _skeleton(draw, nodes, evaluator, archive)
    return fr_archive.encode(dataclasses.replace(archive, skeleton=skeleton))


def _leaf(draw: random.Random) -> Node:
    match draw.randrange(7):
        case 0:
            corner = [draw.randint(1, 5) for _ in range(draw.randint(1, 4))]
            weights = [draw.choice((1, 1, 2, 3, 15, 1 << 20)) for _ in corner]
            return Node(Op.COEFFICIENTS, (), (draw.randrange(3), *corner, *weights))
        case 1:
            length = draw.randint(1, 9)
            op = draw.choice((Op.VECTORS, Op.VARIANCES))
            return Node(op, (), (draw.randrange(3), length, draw.randint(0, 2 * length)))
        case 2:
            length = draw.randint(1, 12)
            start = draw.randrange(length)
            return Node(
                Op.COSINES,
                (),
                (length, draw.randint(1, length), start, draw.randint(start, length)),
            )
        case 3:
            return scalar(draw.choice((draw.gauss(0, 1), 1e-30, 3.0, -0.0)))
        case 4:
            count = 2 * draw.randint(1, 4)
            return Node(Op.SEGMENTS, (), tuple(draw.randrange(3) for _ in range(count)))
        case 5:
            shape = draw.choice(
                (
                    (24,),
                    (6, 4),
                    (2, 3, 4),
                    (3, 2, 4, 1),
                    (3, 1),
                    (1, 1, 3),
                    (2, 3),
                    (6,),
                    (70,),
                    (7, 5, 2),
                )
            )
            return Node(Op.KERNEL, (), ([*_KERNELS].index(math.prod(shape)), *shape))
        case _:
            length = draw.randint(1, 5)
            return Node(Op.COSINES, (), (length, draw.randint(1, length), 0, length))


def _inner(draw: random.Random, nodes: list[Node], evaluator: Evaluator) -> Node:
    op = draw.choice(list(Op)[Op.CONTRACT : Op.KERNEL])
    a, b = draw.choice(nodes), draw.choice(nodes)
    array = evaluator.array(a)
    axis = (draw.randrange(array.ndim),) if array.ndim else (0,)
    match op:
        case Op.CONTRACT | Op.GATHER | Op.CONCATENATE:
            return Node(op, (a, b), axis)
        case Op.TRANSPOSE:
            return Node(op, (a,), tuple(draw.sample(range(array.ndim), array.ndim)))
        case Op.RESHAPE:
            shapes = [(array.size,), (1, array.size), (array.size, 1, 1), array.shape[::-1]]
            return Node(op, (a,), draw.choice(shapes))
        case Op.SQRT | Op.STARTS:
            return Node(op, (a,))
        case Op.TILE:
            return Node(op, (a,), (draw.randint(1, 4),))
    return Node(op, (a, b))


def _skeleton(
    draw: random.Random, nodes: list[Node], evaluator: Evaluator, archive: Archive
) -> bytes:
    """The payload of a skeleton that fills the parts of some kernels, in any order."""
    head = struct.pack("<I4sffiii", 16, b"TFL3", 0.5, 0.0078125, -12, 3, -1 << 30)
    kernels = [node for node in nodes if evaluator.array(node).ndim and evaluator.array(node).size]
    sites, filled = [], []
    while len(sites) < _SITES:
        kernel = draw.choice(kernels)
        shape = (len(evaluator.array(kernel)),)
        biases = [None, *(node for node in nodes if evaluator.array(node).shape == shape)]
        site = Site(kernel, draw.choice(biases), draw.choice((8, 12)), draw.random() < 0.7)
        try:
            filled.append(_filled(site, evaluator, head))
        except ArchiveError:
            continue
        sites.append(site)
    content, gaps = bytearray(head), []
    parts = [(number, part) for number in range(_SITES) for part in Part]
    for number, part in draw.sample(parts, draw.randint(1, len(parts))):
        gaps.append(Gap(len(content), number, part))
        data = filled[number].data(part)
        content += data + bytes(-len(data) % 4)
        content += draw.choice((b"", struct.pack("<i", draw.randint(-300, 300))))
    return skeletons.write(bytes(content), sites, gaps, source(archive))


def _filled(site: Site, evaluator: Evaluator, head: bytes) -> Filled:
    (scale,) = struct.unpack_from("<f", head, site.scale_at)
    bias = None if site.bias is None else evaluator.array(site.bias)
    return fill(evaluator.array(site.kernel), bias, scale, site.by_channel)
