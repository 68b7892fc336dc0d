"""Random files of several networks."""

import functools
import itertools
from collections.abc import Iterator

import numpy as np

from fr_archive import (
    Archive,
    Axis,
    Codebook,
    GrownKernel,
    GrownVector,
    Kernel,
    Quantized,
    Reference,
    Signs,
    encode_nested,
    lz,
    skeletons,
)
from fr_archive._axes import merged


def networks(seed: int, count: int | None = None) -> list[Archive]:
    """Networks of which each contains the one before, with all kinds of growth."""
    random = np.random.default_rng(seed)
    count = count or int(random.integers(1, 5))
    shares = np.sort(random.choice(np.arange(1, 100), count - 1, replace=False)) / 100
    vectors = [_quantized(random, int(random.integers(1, 9))) for _ in range(random.integers(5))]
    lengths = [len(one.values) + int(random.integers(3)) for one in vectors]
    shapes = [tuple(random.integers(1, 5, random.integers(1, 4)).tolist()) for _ in range(4)]
    shapes = shapes[: random.integers(5)]
    kernels = [_part(random, shape) for shape in shapes]
    found = []
    for number, share in enumerate([*shares.tolist(), 1]):
        if number:
            grown = [_grown_vector(random, *one) for one in zip(vectors, lengths, strict=True)]
            vectors, lengths = [one[0] for one in grown], [one[1] for one in grown]
            grown = [_grown_kernel(random, *one) for one in zip(kernels, shapes, strict=True)]
            kernels, shapes = [one[0] for one in grown], [one[1] for one in grown]
            if random.random() < 0.2:  # one more, with no place in the network before
                kernels, shapes = [*kernels, _part(random, (2, 3))], [*shapes, (2, 3)]
                vectors, lengths = [*vectors, _quantized(random, 2)], [*lengths, 2]
        profile = {"share": share} | ({"accuracy": 0.5 + share / 9} if seed % 2 else {})
        network = Reference("net", {"units": [number, seed], "name": "Zürich"})
        skeleton = _skeleton(random, found[-1].skeleton if found else None)
        found.append(Archive(network, (), vectors, skeleton, kernels, profile))
    return found


@functools.cache
def file(seed: int, count: int | None = None) -> bytes:
    """The file of these networks."""
    return encode_nested(networks(seed, count))


def _skeleton(random, before):
    if random.random() < 0.5:
        return None
    text = b"some text that returns " * int(random.integers(1, 4)) + bytes(4)
    if before is None:
        return lz.compress(text)
    return skeletons.Following(lz.compress(text, b"\0" + skeletons.text_of(before)), before)


def _quantized(random, count: int) -> Quantized:
    scale = 10 ** random.uniform(-1, 3)
    values = np.rint(random.laplace(size=count) * scale).astype(int)
    return Quantized(values, int(random.integers(-60, 10)))


def _part(random, shape) -> Kernel | Codebook | Signs:
    size, kind = int(np.prod(shape)), random.random()
    if kind > 0.9:
        return Signs(int(random.integers(1 << 63)), float(random.uniform(0.1, 9)), size, shape[-1])
    if kind < 0.3:
        levels = np.unique(random.normal(size=random.integers(1, 6)).astype(np.float32))
        places = random.integers(0, len(levels), size)
        return Codebook(places, levels, shape[-1])
    one = _quantized(random, size)
    return Kernel(one.values, one.step, shape[-1])


def _positions(random, old: int) -> np.ndarray:
    """Which positions of a longer axis are new: by runs, by single ones, or at the end."""
    new = int(random.integers(1, 5))
    match random.integers(3):
        case 0:
            return np.r_[np.zeros(old, bool), np.ones(new, bool)]
        case 1:
            marks = np.r_[np.zeros(old, bool), np.ones(new, bool)]
            return random.permutation(marks)
    return np.tile([False] * old + [True] * new, 1) if old > 1 else np.tile([False, True], 1)


def _grown_vector(random, one, length: int):
    if random.random() < 0.2:
        return one, length
    if random.random() < 0.2:
        return _quantized(random, length), length
    axis = Axis.of(_positions(random, length))
    new = _quantized(random, int(random.integers(0, axis.new + 1)))
    return GrownVector(one, axis, new), axis.length


def _grown_kernel(random, one, shape):
    if random.random() < 0.2:
        return one, shape
    marks = [
        _positions(random, old) if random.random() < 0.6 else np.zeros(old, bool) for old in shape
    ]
    makes = (random.random(len(shape)) < 0.6).tolist()
    if not any(mark.any() for mark in marks) or random.random() < 0.2:
        return _part(random, shape), shape
    axes = [Axis.of(*pair) for pair in zip(marks, makes, strict=True)]
    larger = tuple(axis.length for axis in axes)
    parts = [_part(random, box) for box in _boxes(axes)]
    return GrownKernel(one, merged(axes), parts), larger


def _boxes(axes) -> Iterator[tuple[int, ...]]:
    """The shapes of the new parts, told by the positions themselves."""
    taken = []
    for place in reversed(range(len(axes))):
        if axes[place].makes and axes[place].new:
            yield tuple(
                one.new if at == place else one.old if at in taken else one.length
                for at, one in enumerate(axes)
            )
            taken.append(place)


def by_hand(kernel) -> list[float]:
    """The numbers of a kernel, position by position, by the rule of the page."""
    if not isinstance(kernel, GrownKernel):
        return kernel.reals().tolist()
    before = iter(by_hand(kernel.before))
    new = [iter(part.reals().tolist()) for part in kernel.new]
    marks = [axis.is_new().tolist() for axis in kernel.axes]
    makers = [at for at, axis in enumerate(kernel.axes) if axis.makes and axis.new][::-1]
    found = []
    for position in itertools.product(*(range(len(one)) for one in marks)):
        is_new = [mark[at] for mark, at in zip(marks, position, strict=True)]
        maker = next((number for number, at in enumerate(makers) if is_new[at]), None)
        if not any(is_new):
            found.append(next(before))
        else:
            found.append(0.0 if maker is None else next(new[maker]))
    assert not list(before)
    assert not any(map(list, new))
    assert len(found) == kernel.size
    return found
