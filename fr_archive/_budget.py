"""What the recipes of a skeleton may take: memory and time, whatever the file says."""

import math
from collections.abc import Sequence

from fr_archive._errors import ArchiveError

#: Numbers of one array and of all arrays together, axes of an array, and operations in all.
MOST_ELEMENTS = 1 << 23
MOST_HELD = 1 << 25
MOST_AXES = 32
MOST_WORK = 1 << 31


class Budget:
    """Counts what was taken, and refuses more."""

    def __init__(self):
        self._work = self._held = 0

    def spend(self, shape: Sequence[int], terms: int = 1) -> None:
        """Refuses an array that is too large, and work beyond the limit, before it is done.

        Raises:
            ArchiveError: If the array has too many numbers, or all have, times their terms.
        """
        size = math.prod(shape)
        self._work += size * terms
        if size > MOST_ELEMENTS or self._work > MOST_WORK:
            raise ArchiveError(
                f"Recipes make arrays of at most {MOST_ELEMENTS} numbers in at most {MOST_WORK} "
                f"operations. Received: an array of shape {tuple(shape)}"
            )

    def hold(self, shape: Sequence[int]) -> None:
        """Counts an array that is kept.

        Raises:
            ArchiveError: If it has too many axes or numbers, or all have.
        """
        # An axis of no length counts as one, or those beside it could be of any.
        if len(shape) > MOST_AXES or math.prod(max(1, n) for n in shape) > MOST_ELEMENTS:
            raise ArchiveError(
                f"Arrays have at most {MOST_AXES} axes and {MOST_ELEMENTS} numbers. "
                f"Received: an array of shape {tuple(shape)}"
            )
        self._held += math.prod(shape)
        if self._held > MOST_HELD:
            raise ArchiveError(f"Recipes hold at most {MOST_HELD} numbers at a time")
