"""Unpacks an archive on disk into its .tflite file."""

import os
from collections.abc import Callable

from fr_archive.archive import decode, expand
from fr_archive.container import load
from fr_archive.files import check_target, write_bytes


def unpack(
    path: str | os.PathLike,
    output: str | os.PathLike,
    check: Callable[[bytes], None] | None = None,
    overwrite: bool = False,
) -> int:
    """Writes the .tflite file of an archive, whole or not at all, and returns its size.

    Args:
        path: An archive that was packed with a skeleton.
        output: The file to write.
        check: Called with the bytes before they are written; it raises an error if they must not
            be kept. This package checks only how a flatbuffer begins; LiteRT reads all of it.
        overwrite: Whether to replace `output` if it exists.

    Returns:
        The number of bytes written.

    Raises:
        ArchiveError: If the file is not an archive, or cannot make a .tflite file.
        OSError: As `files.check_target` does, or if reading or writing fails.
    """
    check_target(output, overwrite)
    content = expand(decode(load(path)))
    if check is not None:
        check(content)
    write_bytes(output, content, overwrite)
    return len(content)
