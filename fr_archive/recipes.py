"""Recipes: how a kernel or a bias of a flatbuffer is computed from the numbers of an archive.

A recipe is a small graph of `Node`. Its leaves are coefficients, vectors, kernels in space and
cosines. The other
nodes are contractions, permutations and arithmetic in IEEE double precision: only + - * / and
sqrt, each rounded by itself, and sums from the first term to the last.
"""

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fr_archive import _corners
from fr_archive._budget import Budget
from fr_archive._cosines import cosines
from fr_archive._errors import ArchiveError

_LONGEST_VECTOR = 1 << 12


class Op(enum.IntEnum):
    """What a node does; the number is its code in a file."""

    COEFFICIENTS = 0
    VECTORS = 1
    VARIANCES = 2
    COSINES = 3
    SCALAR = 4
    SEGMENTS = 5
    CONTRACT = 6
    TRANSPOSE = 7
    RESHAPE = 8
    KRON = 9
    ADD = 10
    SUBTRACT = 11
    MULTIPLY = 12
    DIVIDE = 13
    SQRT = 14
    GATHER = 15
    STARTS = 16
    TILE = 17
    CONCATENATE = 18
    KERNEL = 19


#: How many nodes an operation takes.
INPUTS = {
    **dict.fromkeys(list(Op)[:6], 0),
    Op.CONTRACT: 2,
    Op.TRANSPOSE: 1,
    Op.RESHAPE: 1,
    Op.KRON: 2,
    Op.ADD: 2,
    Op.SUBTRACT: 2,
    Op.MULTIPLY: 2,
    Op.DIVIDE: 2,
    Op.SQRT: 1,
    Op.GATHER: 2,
    Op.STARTS: 1,
    Op.TILE: 1,
    Op.CONCATENATE: 2,
    Op.KERNEL: 0,
}


@dataclass(frozen=True)
class Node:
    """One operation on other nodes, with its own whole numbers.

    | op | nodes | numbers | result |
    |---|---|---|---|
    | COEFFICIENTS | | tensor, corner, weights of the axes | the corner of a tensor |
    | VECTORS, VARIANCES | | first vector, length of each, total | vectors, one after the other |
    | COSINES | | length, rows, from, to | columns of the first rows of a DCT-II matrix |
    | SCALAR | | bits of a float32 | one number |
    | SEGMENTS | | segments of each channel above 0, then below | `(3, n)`: channel, sign, start |
    | CONTRACT | A, M | axis | `sum over u of A[..., u, ...] * M[u, x]` |
    | TRANSPOSE | A | permutation | |
    | RESHAPE | A | shape | |
    | KRON | A, B | | the Kronecker product of two matrices |
    | ADD, SUBTRACT, MULTIPLY, DIVIDE | A, B | | elementwise, the last axes aligned |
    | SQRT | A | | |
    | GATHER | A, S | axis | `A[channel] * sign` along an axis, by segments |
    | STARTS | S | | the starts of segments |
    | TILE | A | count | a vector, repeated `count` times |
    | CONCATENATE | A, B | axis | |
    | KERNEL | | kernel in space, shape | its numbers |
    """

    op: Op
    nodes: tuple["Node", ...] = ()
    numbers: tuple[int, ...] = ()


def scalar(value: float) -> Node:
    """Returns the node of a number, rounded to float32."""
    return Node(Op.SCALAR, (), (int(np.float32(value).view(np.uint32)),))


@dataclass(frozen=True)
class Source:
    """The numbers of an archive, as recipes ask for them.

    Attributes:
        coefficients: Tensor number -> its kept coefficients, in zigzag order, as float32.
        vector: Vector number and length -> this vector, as float32.
        kernel: Number of a kernel in space -> its numbers, flat, as float32.
    """

    coefficients: Callable[[int], np.ndarray]
    vector: Callable[[int, int], np.ndarray]
    kernel: Callable[[int], np.ndarray]


class Evaluator:
    """Computes recipes; a node that several recipes share is computed once.

    Args:
        source: The numbers that the leaves take.

    Raises:
        ArchiveError: From `array`, if a recipe makes no sense or takes too much.
    """

    def __init__(self, source: Source):
        self._source = source
        self._done: dict[int, tuple[Node, np.ndarray]] = {}
        self._budget = Budget()

    def array(self, node: Node) -> np.ndarray:
        """Returns the result of a node, in float64."""
        if id(node) not in self._done:
            arrays = [self.array(one) for one in node.nodes]
            try:
                result = _OPERATIONS[node.op](self, node.numbers, *arrays)
            except (ValueError, IndexError, TypeError) as error:
                raise ArchiveError(f"A recipe makes no sense: {node.op.name}: {error}") from None
            self._budget.hold(result.shape)
            self._done[id(node)] = node, result
        return self._done[id(node)][1]

    def count_filling(self, kernel: Node) -> None:
        """Counts the work of filling a kernel before it is done: many sites may share a kernel."""
        self._budget.spend(self.array(kernel).shape)

    def _coefficients(self, numbers):
        tensor, *rest = numbers
        rank = len(rest) // 2
        corner, weights = rest[:rank], rest[rank:]
        if not rank or len(rest) % 2 or min(rest) < 1 or max(weights) > 1 << 20:
            raise ValueError("a corner must have one length and one weight for each axis")
        self._budget.spend([rank, *corner])  # the indices that give the order
        series = self._source.coefficients(tensor)
        if len(series) > math.prod(corner):
            raise ValueError(f"{len(series)} coefficients do not fit into a corner of {corner}")
        values = np.zeros(corner)
        values.flat[_corners.order(corner, weights)[: len(series)]] = series
        return values

    def _vectors(self, numbers, least=None):
        first, length, total = numbers
        if not 1 <= length <= _LONGEST_VECTOR:
            raise ValueError(f"a vector must have from 1 to {_LONGEST_VECTOR} numbers")
        self._budget.spend([total], length)
        parts = [
            self._source.vector(first + place, min(length, total - place * length))
            for place in range(-(-total // length))
        ]
        values = np.concatenate([*parts, []])
        return values if least is None else np.maximum(values, least)

    def _variances(self, numbers):
        return self._vectors(numbers, np.float32(1e-12))

    def _cosines(self, numbers):
        length, rows, start, stop = numbers
        if not (0 <= start < stop <= length and 1 <= rows <= length):
            raise ValueError(f"a matrix of {rows} rows of {length} has no columns {start}:{stop}")
        self._budget.spend([rows, length])
        return cosines(length, rows)[:, start:stop]

    def _scalar(self, numbers):
        (bits,) = numbers
        value = np.array(bits, np.uint32).view(np.float32).astype(np.float64)
        if not np.isfinite(value):
            raise ValueError("a number must be finite")
        return value

    def _segments(self, numbers):
        if not numbers or len(numbers) % 2:
            raise ValueError("each channel must have two numbers")
        self._budget.spend([3, sum(numbers)])
        channels = len(numbers) // 2
        sides = np.repeat(np.arange(len(numbers)), numbers)
        starts = np.concatenate([np.arange(n) for n in numbers])
        signs = np.where(sides < channels, 1, -1)
        return np.stack([sides % channels, signs, starts]).astype(np.float64)

    def _contract(self, numbers, array, matrix):
        (axis,) = numbers
        terms, length = matrix.shape
        array = np.moveaxis(array, axis, -1)
        if array.shape[-1] != terms:
            raise ValueError(f"an axis of {array.shape[-1]} for a matrix of {terms} rows")
        self._budget.spend([*array.shape[:-1], length], max(1, terms))
        total = np.zeros((*array.shape[:-1], length))
        for u in range(terms):
            total = total + array[..., u : u + 1] * matrix[u]
        return np.moveaxis(total, -1, axis)

    def _kernel(self, numbers):
        kernel, *shape = numbers
        self._budget.spend(shape)
        return self._source.kernel(kernel).astype(np.float64).reshape(shape)

    def _transpose(self, numbers, array):
        return array.transpose(numbers)

    def _reshape(self, numbers, array):
        return np.ascontiguousarray(array).reshape(numbers)

    def _kron(self, numbers, a, b):
        (n, m), (k, p) = a.shape, b.shape
        self._budget.spend([n * k, m * p])
        return (a[:, None, :, None] * b[None, :, None, :]).reshape(n * k, m * p)

    def _binary(self, function, a, b):
        self._budget.spend(np.broadcast_shapes(a.shape, b.shape))
        return function(a, b)

    def _sqrt(self, numbers, array):
        if (array < 0).any():
            raise ValueError("the root of a number below 0")
        return np.sqrt(array)

    def _gather(self, numbers, array, segments):
        (axis,) = numbers
        signs = _segments(segments)[1]
        channels = segments[0].astype(np.int64)
        if (channels < 0).any() or (channels != segments[0]).any():
            raise ValueError("a channel must be a whole number of at least 0")
        array = np.moveaxis(array, axis, -1)
        self._budget.spend([*array.shape[:-1], len(channels)])
        return np.moveaxis(array[..., channels] * signs, -1, axis)

    def _starts(self, numbers, segments):
        return _segments(segments)[2]

    def _tile(self, numbers, array):
        (count,) = numbers
        if array.ndim != 1:
            raise ValueError("only a vector can be repeated")
        self._budget.spend([len(array), count])
        return np.tile(array, count)

    def _concatenate(self, numbers, a, b):
        (axis,) = numbers
        self._budget.spend([a.size + b.size])
        return np.concatenate([a, b], axis)


_OPERATIONS = {
    Op.COEFFICIENTS: Evaluator._coefficients,
    Op.VECTORS: Evaluator._vectors,
    Op.VARIANCES: Evaluator._variances,
    Op.COSINES: Evaluator._cosines,
    Op.SCALAR: Evaluator._scalar,
    Op.SEGMENTS: Evaluator._segments,
    Op.CONTRACT: Evaluator._contract,
    Op.TRANSPOSE: Evaluator._transpose,
    Op.RESHAPE: Evaluator._reshape,
    Op.KRON: Evaluator._kron,
    Op.ADD: lambda evaluator, numbers, a, b: evaluator._binary(np.add, a, b),
    Op.SUBTRACT: lambda evaluator, numbers, a, b: evaluator._binary(np.subtract, a, b),
    Op.MULTIPLY: lambda evaluator, numbers, a, b: evaluator._binary(np.multiply, a, b),
    Op.DIVIDE: lambda evaluator, numbers, a, b: evaluator._binary(_divide, a, b),
    Op.SQRT: Evaluator._sqrt,
    Op.GATHER: Evaluator._gather,
    Op.STARTS: Evaluator._starts,
    Op.TILE: Evaluator._tile,
    Op.CONCATENATE: Evaluator._concatenate,
    Op.KERNEL: Evaluator._kernel,
}


def _segments(array: np.ndarray) -> np.ndarray:
    if array.ndim != 2 or len(array) != 3:
        raise ValueError("segments must have three rows")
    return array


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if not np.all(b):
        raise ValueError("a division by 0")
    return np.divide(a, b)
