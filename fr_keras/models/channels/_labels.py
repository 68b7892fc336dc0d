"""Labels of channels: which positions on which axes are the same channel.

Each layer that makes channels gets a label for each of them. Where a graph joins tensors, labels
are united; the classes that remain are what can be removed or moved in one piece.
"""

import enum
from collections.abc import Sequence

import numpy as np

#: The label of a position that belongs to no class, such as a channel of the model's input.
NOTHING = -1

#: The labels along one axis of a tensor; `None` for an axis without channels.
Along = np.ndarray | None
#: The labels along every axis of a tensor, including the batch axis.
Axes = tuple[Along, ...]


class Hold(enum.IntEnum):
    """What cannot be done to a channel; the higher includes the lower."""

    FREE = 0
    #: It can be moved to another place, but not removed.
    STAYS = 1
    #: It can be neither moved nor removed.
    FIXED = 2


class Labels:
    """Classes of labels, with what holds each class and why."""

    def __init__(self):
        self._parent = np.empty(0, np.int64)
        self._hold: list[Hold] = []
        self._why: list[str] = []

    def new(self, count: int) -> np.ndarray:
        """Returns that many labels, each a class of its own."""
        first = len(self._parent)
        labels = np.arange(first, first + count)
        self._parent = np.concatenate([self._parent, labels])
        self._hold += [Hold.FREE] * count
        self._why += [""] * count
        return labels

    def roots(self, labels: np.ndarray) -> np.ndarray:
        """Returns one label of each label's class, the same for all of a class."""
        found = np.asarray(labels)
        real = found != NOTHING
        while True:
            above = np.where(real, self._parent[found], NOTHING)
            if np.array_equal(above, found):
                return found
            found = above

    def state(self, label: int) -> tuple[Hold, str]:
        """Returns what holds the class of a label, and the reason."""
        root = self.roots(np.array([label]))[0]
        return self._hold[root], self._why[root]

    def hold(self, labels: Along, hold: Hold, why: str) -> None:
        """Holds classes. A class keeps the first reason of its strongest hold."""
        if labels is None:
            return
        for root in np.unique(self.roots(labels)):
            if root != NOTHING and self._hold[root] < hold:
                self._hold[root], self._why[root] = hold, why

    def unite(self, some: Along, others: Along, why: str) -> None:
        """Makes the labels at the same positions one class.

        Args:
            some: Labels along an axis.
            others: Labels along an axis of the same length.
            why: The reason that holds a label which meets a position of no class.
        """
        if some is None or others is None:
            self.hold(some, Hold.FIXED, why)
            self.hold(others, Hold.FIXED, why)
            return
        self.hold(some[others == NOTHING], Hold.FIXED, why)
        self.hold(others[some == NOTHING], Hold.FIXED, why)
        pairs = np.stack([self.roots(some), self.roots(others)], 1)
        apart = (pairs != NOTHING).all(1) & (pairs[:, 0] != pairs[:, 1])
        for one, other in np.unique(pairs[apart], axis=0):
            self._unite(int(one), int(other))

    def _unite(self, one: int, other: int) -> None:
        first, second = sorted(int(root) for root in self.roots(np.array([one, other])))
        if first != second:
            self._parent[second] = first
            self.hold(np.array([first]), self._hold[second], self._why[second])


def reshaped(
    labels: Labels, axes: Axes, before: Sequence[int], after: Sequence[int], why: str
) -> Axes:
    """Returns the labels of a reshaped tensor, in the order of its numbers.

    Where one axis of channels is split, the channels stay on the longest new axis, and those at
    one place of it become one class.

    Args:
        labels: The classes.
        axes: Labels of the tensor.
        before: Its shape; `None` for unknown lengths.
        after: The new shape.
        why: The reason that holds channels that cannot be followed.
    """
    found: list[Along] = []
    for inner, outer in _blocks(before, after):
        along, lengths = axes[inner], after[outer]
        if all(one is None for one in along):
            found += [None] * len(lengths)
        elif len(along) == len(lengths) == 1:
            found += along
        elif not _followed(along, before[inner], lengths):
            for one in along:
                labels.hold(one, Hold.FIXED, why)
            found += [None] * len(lengths)
        else:
            found += _split(labels, along, before[inner], lengths, why)
    return tuple(found)


def _followed(along: Axes, before: Sequence[int], after: Sequence[int]) -> bool:
    """Whether the channels of a block are on one axis, and all its lengths are known."""
    known = None not in (*before, *after)
    return sum(one is not None for one in along) == 1 and len(after) > 0 and known


def _split(labels: Labels, along: Axes, before, after, why: str) -> list[Along]:
    """The labels of the new axes of one block, of whose old axes one has channels."""
    number = next(i for i, one in enumerate(along) if one is not None)
    shape = [-1 if i == number else 1 for i in range(len(before))]
    numbers = np.broadcast_to(along[number].reshape(shape), before).reshape(after)
    rows = [np.moveaxis(numbers, axis, -1).reshape(-1, n) for axis, n in enumerate(after)]
    whole = [axis for axis, one in enumerate(rows) if (one == one[0]).all()]
    chosen = whole[0] if whole else max(range(len(after)), key=lambda axis: (after[axis], axis))
    for row in np.unique(rows[chosen], axis=0)[1:]:
        labels.unite(rows[chosen][0], row, why)
    return [rows[chosen][0] if axis == chosen else None for axis in range(len(after))]


def _blocks(before: Sequence[int], after: Sequence[int]) -> list[tuple[slice, slice]]:
    """The smallest runs of axes, before and after, that hold the same numbers."""
    m, n = len(before), len(after)
    while min(m, n) > 1 and before[m - 1] == after[n - 1] is not None:
        m, n = m - 1, n - 1
    # The last axes come from the end, for the others may have unknown lengths.
    last = [(slice(m + i, m + i + 1), slice(n + i, n + i + 1)) for i in range(len(before) - m)]
    blocks, i, j = [], 0, 0
    while i < m or j < n:
        first, second, begin, start = 1, 1, i, j
        while (i < m or j < n) and not (first == second and i > begin and j > start):
            if (first <= second and i < m) or j == n:
                first, i = first * (before[i] or _UNKNOWN), i + 1
            else:
                second, j = second * (after[j] or _UNKNOWN), j + 1
        if blocks and (begin == i or start == j):  # axes of length 1 at the end
            begin, start = blocks[-1][0].start, blocks[-1][1].start
            blocks.pop()
        blocks.append((slice(begin, i), slice(start, j)))
    return blocks + last


#: A prime that no axis has as its length, for lengths that are not known.
_UNKNOWN = 1_000_003
