"""Unpacks an archive on disk into its .tflite file."""

import os
from collections.abc import Callable

from fr_archive._errors import ArchiveError
from fr_archive.archive import decode, expand
from fr_archive.container import load
from fr_archive.files import check_target, write_bytes
from fr_archive.nested import is_nested


def unpack(
    path: str | os.PathLike,
    output: str | os.PathLike,
    check: Callable[[bytes], None] | None = None,
    overwrite: bool = False,
    capacity: float | None = None,
) -> int:
    """Writes the .tflite file of an archive, whole or not at all, and returns its size.

    Args:
        path: An archive that was packed with a skeleton.
        output: The file to write.
        check: Called with the bytes before they are written; it raises an error if they must not
            be kept. This package checks only how a flatbuffer begins; LiteRT reads all of it.
        overwrite: Whether to replace `output` if it exists.
        capacity: Of several networks, the largest whose share is at most this is unpacked; `None`
            for the largest. A file of one network is unpacked whole, so it takes none.

    Returns:
        The number of bytes written.

    Raises:
        ArchiveError: If the file is not an archive, or cannot make a .tflite file; if it has one
            network and `capacity` is given.
        OSError: As `files.check_target` does, or if reading or writing fails.
    """
    check_target(output, overwrite)
    data = load(path)
    if capacity is not None and not is_nested(data):
        raise ArchiveError(
            "`capacity` must be left out for a .tflite file of an archive of one network, which is "
            f"always made of all its coefficients. Received: capacity={capacity}"
        )
    content = expand(decode(data, capacity))
    if check is not None:
        check(content)
    write_bytes(output, content, overwrite)
    return len(content)
