"""Limits the memory and time that the recipes of a skeleton take, whatever the file says."""

import math
from collections.abc import Sequence

from fr_archive._errors import ArchiveError

#: The most numbers in one array and in all arrays, axes of an array, and operations in total.
MOST_ELEMENTS = 1 << 23
MOST_HELD = 1 << 25
MOST_AXES = 32
MOST_WORK = 1 << 31


class Budget:
    """Counts what was used, and refuses to go beyond the limits."""

    def __init__(self):
        self._work = self._held = 0

    def spend(self, shape: Sequence[int], terms: int = 1) -> None:
        """Counts the work of computing an array, before it is done.

        Args:
            shape: The shape of the array.
            terms: How many operations each of its numbers takes.

        Raises:
            ArchiveError: If the array has too many numbers, or the total work is too much.
        """
        size = math.prod(shape)
        self._work += size * terms
        if size > MOST_ELEMENTS or self._work > MOST_WORK:
            raise ArchiveError(
                f"Recipes may make arrays of at most {MOST_ELEMENTS} numbers, in at most "
                f"{MOST_WORK} operations. Received: an array of shape {tuple(shape)}"
            )

    def hold(self, shape: Sequence[int]) -> None:
        """Counts an array that is kept.

        Raises:
            ArchiveError: If it has too many axes or numbers, or all arrays together do.
        """
        # An axis of length 0 counts as 1; otherwise the other axes could have any length.
        if len(shape) > MOST_AXES or math.prod(max(1, n) for n in shape) > MOST_ELEMENTS:
            raise ArchiveError(
                f"Arrays may have at most {MOST_AXES} axes and {MOST_ELEMENTS} numbers. "
                f"Received: an array of shape {tuple(shape)}"
            )
        self._held += math.prod(shape)
        if self._held > MOST_HELD:
            raise ArchiveError(f"Recipes may hold at most {MOST_HELD} numbers at a time")
