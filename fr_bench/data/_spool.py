"""Rows in temporary files, for data that may be larger than memory."""

import contextlib
import errno
import tempfile
from collections.abc import Iterator

import numpy as np

_ROWS = 256  # how many rows are copied at once


class Spool(contextlib.AbstractContextManager):
    """Collects rows of one shape and type in a temporary file, and maps them into memory.

    The file has no name: nothing is left of it when the array, or the process, is gone. It is in
    the folder for temporary files, which `TMPDIR` chooses. Only the arrays last after the `with`.

    Args:
        what: What the rows are, for messages.
    """

    def __init__(self, what: str):
        self._what = what
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - `__exit__` closes it
        self._row: tuple[tuple[int, ...], np.dtype] | None = None
        self._count = 0

    def __exit__(self, *_) -> None:
        with contextlib.suppress(OSError):  # on a full disk, which `write` or `rows` has told
            self._file.close()

    def write(self, rows: np.ndarray) -> None:
        """Appends rows, `(n, *row)`.

        Raises:
            ValueError: If they have another shape or type than the rows before.
            OSError: If the disk is full.
        """
        row = rows.shape[1:], rows.dtype
        self._row = self._row or row
        if row != self._row:
            raise ValueError(
                f"{self._what} must have rows of one shape and type. Received: {row[0]} of "
                f"{row[1]} after {self._row[0]} of {self._row[1]}"
            )
        try:
            self._file.write(rows.tobytes())
        except OSError as error:
            raise self._full(error) from error
        self._count += len(rows)

    def rows(self) -> np.ndarray:
        """Returns all rows as a read-only memory map.

        Raises:
            ValueError: If there are none.
            OSError: If the disk is full.
        """
        if not self._count:
            raise ValueError(f"{self._what} must have at least one row. Received: none")
        try:
            self._file.flush()
        except OSError as error:
            raise self._full(error) from error
        shape, dtype = self._row
        return np.memmap(self._file, dtype, "r", shape=(self._count, *shape))

    def _full(self, error: OSError) -> OSError:
        if error.errno != errno.ENOSPC:
            return error
        return OSError(
            f"{self._what} must fit in the folder for temporary files, {tempfile.gettempdir()}, "
            f"which is full after {self._count:,} rows: set TMPDIR to a folder with more space, or "
            "give data that end"
        )


def taken(array: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns some rows of an array; those of a memory map become a memory map."""
    if not isinstance(array, np.memmap):
        return array[rows]
    with Spool("`data`") as spool:
        for some in chunks(rows):
            spool.write(array[some])
        return spool.rows()


def chunks(array: np.ndarray) -> Iterator[np.ndarray]:
    """Yields all rows, some at a time, so that what is computed from them stays small."""
    return (array[begin : begin + _ROWS] for begin in range(0, len(array), _ROWS))
