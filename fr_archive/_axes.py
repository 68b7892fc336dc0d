"""The axes of what has grown: which of their positions are those of the smaller network.

Along each axis some positions are *old*: they are those of the smaller network, in its order. The
others are new. An axis *makes* channels if new positions along it are new outputs. Along any other
axis a kernel reads: an old output does not read a new input, so these numbers are 0.

    W = [[old, new], [0, new]],    rows: what is read, columns: what is made
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fr_archive._errors import ArchiveError

MOST_AXES = 8
LONGEST_AXIS = 1 << 24

#: How many positions are old, how many after them are new, and how often both follow.
Run = tuple[int, int, int]


@dataclass(frozen=True)
class Axis:
    """Which positions of an axis are those of the smaller network.

    Args:
        runs: Numbers of old positions, of new ones after them, and how often both follow, in the
            one shortest way.
        makes: Whether new positions are new outputs, and not new inputs alone.

    Raises:
        ArchiveError: If there is another way to say the same, or no old position.

    Example:

    >>> Axis.of([False, False, True, False, False, True, True]).runs
    ((2, 1, 1), (2, 2, 1))
    >>> Axis.of([False, True] * 9).runs
    ((1, 1, 9),)
    """

    runs: tuple[Run, ...]
    makes: bool = True

    def __post_init__(self):
        object.__setattr__(self, "runs", tuple(map(tuple, self.runs)))
        ends = len(self.runs) - 1
        before = None
        for place, (old, new, times) in enumerate(self.runs):
            first, last = place == 0 and times == 1, place == ends and times == 1
            if (
                times < 1
                or old < (0 if first else 1)
                or new < (0 if last else 1)
                or (old, new) == before
            ):
                raise ArchiveError(
                    "`runs` must be as `Axis.of` writes them. "
                    f"Received: {(old, new, times)} at place {place}"
                )
            before = old, new
        if not self.old or self.length > LONGEST_AXIS or not (self.makes or self.new):
            raise ArchiveError(
                f"An axis must have 1 to {LONGEST_AXIS} positions, at least one of them old, and "
                f"one along which nothing is new makes. Received: {self.runs!s:.200}"
            )

    @classmethod
    def of(cls, is_new: Sequence[bool] | np.ndarray, makes: bool = True) -> "Axis":
        """Returns the axis with so many positions, of which these are new.

        Where none is new, `makes` has no meaning.
        """
        marks = np.asarray(is_new, bool)
        bounds = [0, *(np.flatnonzero(marks[1:] != marks[:-1]) + 1).tolist(), len(marks)]
        lengths = [after - before for before, after in itertools.pairwise(bounds)]
        if marks[:1].any():
            lengths.insert(0, 0)
        pairs = itertools.zip_longest(lengths[::2], lengths[1::2], fillvalue=0)
        runs = [(*pair, len(list(same))) for pair, same in itertools.groupby(pairs)]
        return cls(tuple(runs), makes or not marks.any())

    @property
    def old(self) -> int:
        """How many positions are old."""
        return sum(old * times for old, _, times in self.runs)

    @property
    def new(self) -> int:
        """How many positions are new."""
        return sum(new * times for _, new, times in self.runs)

    @property
    def length(self) -> int:
        """How many positions there are."""
        return self.old + self.new

    def is_new(self) -> np.ndarray:
        """Returns which positions are new, as bools."""
        parts = [np.tile([False] * old + [True] * new, times) for old, new, times in self.runs]
        return np.concatenate(parts)


def boxes(axes: Sequence[Axis]) -> list[list[bool | None]]:
    """Returns the parts of a kernel that are new: one for each axis that makes, from the last on.

    A part is new along its axis, and old along those that make after it.

    Returns:
        For each part and each axis, whether the part has its new positions or its old ones, or
        `None` for all.
    """
    found, after = [], []
    for place in reversed(range(len(axes))):
        if axes[place].makes and axes[place].new:
            part = [None] * len(axes)
            part[place] = True
            for one in after:
                part[one] = False
            found.append(part)
            after.append(place)
    return found


def shape(axes: Sequence[Axis], part: Sequence[bool | None]) -> list[int]:
    """Returns the lengths of a part of `boxes`."""
    return [
        one.length if chosen is None else one.new if chosen else one.old
        for one, chosen in zip(axes, part, strict=True)
    ]


def places(axes: Sequence[Axis], part: Sequence[bool | None]) -> tuple[np.ndarray, ...]:
    """Returns the index of a part of `boxes` in an array with these axes."""
    return np.ix_(
        *(
            np.arange(one.length) if chosen is None else np.flatnonzero(one.is_new() == chosen)
            for one, chosen in zip(axes, part, strict=True)
        )
    )


def check_axes(axes: Sequence[Axis]) -> None:
    """Checks that axes are those of a grown kernel, in the one shortest way.

    Raises:
        ArchiveError: If they are not.
    """
    tidy = len(axes) > 0 and tuple(merged(axes)) == tuple(axes)
    if not tidy or len(axes) > MOST_AXES or not any(one.new for one in axes):
        raise ArchiveError(
            f"A kernel must grow along some of 1 to {MOST_AXES} axes; those along which it does "
            f"not are one, but for the last. Received: {[one.runs for one in axes]!s:.200}"
        )


def merged(axes: Sequence[Axis]) -> tuple[Axis, ...]:
    """Returns the axes of a kernel in the one shortest way.

    Example:

    >>> still, grown = Axis(((3, 0, 1),)), Axis(((2, 1, 1),))
    >>> [one.length for one in merged([still, still, grown, grown])]
    [9, 3, 3]
    """
    found = []
    for axis in axes[:-1]:
        if not axis.new and found and not found[-1].new:
            found[-1] = Axis(((found[-1].length * axis.length, 0, 1),))
        else:
            found.append(axis)
    return (*(one for one in found if one.new or one.length > 1), axes[-1])
