"""Kernels and vectors of a network that contain those of a smaller one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fr_archive import _cosines
from fr_archive._axes import Axis, boxes, check_axes, merged, places, shape
from fr_archive._errors import ArchiveError
from fr_archive._kernels import InSpace
from fr_archive._steps import Quantized

LONGEST_VECTOR = 1 << 12


@dataclass(frozen=True)
class GrownKernel:
    """A kernel in space that contains the kernel of a smaller network.

    Args:
        before: That kernel.
        axes: The axes of the kernel. Neighbours along which nothing is new become one axis, but for
            the last axis of the kernel.
        new: The new numbers: a kernel for each of `new_parts`.

    Raises:
        ArchiveError: If they do not fit together.

    Example:

    >>> from fr_archive import Kernel
    >>> old = Kernel((1, 2), step=0, columns=1)
    >>> axes = Axis.of([False, False, True], makes=False), Axis.of([False, True])
    >>> GrownKernel(old, axes, [Kernel((7, 8, 9), step=0, columns=1)]).reals().reshape(3, 2)
    array([[1., 7.],
           [2., 8.],
           [0., 9.]], dtype=float32)
    """

    before: "SpaceKernel"
    axes: tuple[Axis, ...]
    new: tuple[InSpace, ...]

    def __post_init__(self):
        axes, new = merged(self.axes), tuple(self.new)
        object.__setattr__(self, "axes", axes)
        object.__setattr__(self, "new", new)
        check_axes(axes)
        old = [one.old for one in axes]
        if (math.prod(old), old[-1]) != (self.before.size, self.before.columns):
            raise ArchiveError(
                f"The kernel before must have the old positions of the axes, {old}. Received: "
                f"{self.before.size} numbers in {self.before.columns} columns"
            )
        wanted = [shape(axes, part) for part in boxes(axes)]
        found = [(one.size, one.columns) for one in new]
        if found != [(math.prod(one), one[-1]) for one in wanted]:
            raise ArchiveError(
                f"The new parts of a kernel must have the shapes {wanted}. Received: these numbers "
                f"of values and columns: {found}"
            )

    @property
    def columns(self) -> int:
        """The length of the last axis."""
        return self.axes[-1].length

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return math.prod(one.length for one in self.axes)

    def reals(self) -> np.ndarray:
        """Returns the numbers in float32."""
        values = np.zeros([one.length for one in self.axes], np.float32)
        self._fill(values, [False] * len(self.axes), self.before)
        for part, numbers in zip(boxes(self.axes), self.new, strict=True):
            self._fill(values, part, numbers)
        return values.ravel()

    def _fill(self, values: np.ndarray, part: Sequence[bool | None], numbers) -> None:
        values[places(self.axes, part)] = numbers.reals().reshape(shape(self.axes, part))


#: A kernel in space of a file of several networks.
SpaceKernel = InSpace | GrownKernel


@dataclass(frozen=True)
class GrownVector:
    """A vector that contains the vector of a smaller network.

    Args:
        before: That vector.
        axis: Which of its numbers are new; it makes.
        new: The new numbers, as a vector of their own.

    Raises:
        ArchiveError: If they do not fit together.

    Example:

    >>> grown = GrownVector(Quantized((2,), 0), Axis.of([False, True]), Quantized((5,), 0))
    >>> rebuild(grown, 2)
    array([2., 5.], dtype=float32)
    """

    before: "Quantized | GrownVector"
    axis: Axis
    new: Quantized

    def __post_init__(self):
        axis, before = self.axis, self.before
        fits = axis.new and axis.makes and axis.length <= LONGEST_VECTOR
        if isinstance(before, GrownVector):
            fits = fits and before.axis.length == axis.old
        else:
            fits = fits and len(before.values) <= axis.old
        if not fits or len(self.new.values) > axis.new:
            raise ArchiveError(
                f"A vector must grow to at most {LONGEST_VECTOR} numbers, and its parts must fit "
                f"its axis. Received: {axis.old} old and {axis.new} new positions"
            )

    @property
    def size(self) -> int:
        """How many numbers stand for it."""
        return self.before.size + self.new.size


def new_parts(values: np.ndarray, axes: Sequence[Axis]) -> list[np.ndarray]:
    """Returns the numbers of a kernel that are new, as the parts that a `GrownKernel` takes.

    There is one part for each axis that makes and has grown, from the last to the first.

    Args:
        values: The kernel, an array with these axes.
        axes: Its axes.
    """
    return [values[places(axes, part)] for part in boxes(axes)]


def rebuild(vector: Quantized | GrownVector, length: int) -> np.ndarray:
    """Returns the float32 vector of `length` numbers that a vector of an archive stands for.

    A `Quantized` holds its first DCT coefficients. The sum is in float64, from the first one to the
    last, and is rounded once at the end.

    Raises:
        ArchiveError: If `vector` has more coefficients than `length`, or has grown to another
            length.
    """
    if isinstance(vector, Quantized):
        return _cosines.rebuild(vector, length)
    axis = vector.axis
    if axis.length != length:
        raise ArchiveError(f"The vector has {axis.length} numbers. Received: length={length}")
    values, is_new = np.empty(length, np.float32), axis.is_new()
    values[~is_new] = rebuild(vector.before, axis.old)
    values[is_new] = rebuild(vector.new, axis.new)
    return values
