"""From an archive on disk to its .tflite file on disk."""

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
    """Writes the .tflite file that an archive makes, whole or not at all, and returns its size.

    Args:
        path: An archive that was packed with a skeleton.
        output: The file to write.
        check: Gets the bytes before they are written, and raises an error if they are no file to
            keep. This package knows only how a flatbuffer begins; LiteRT reads all of it.
        overwrite: Whether `output` may exist.

    Returns:
        The number of bytes written.

    Raises:
        ArchiveError: If the file is no archive, or makes no .tflite file.
        OSError: As `files.check_target`, or from reading or writing.
    """
    check_target(output, overwrite)
    content = expand(decode(load(path)))
    if check is not None:
        check(content)
    write_bytes(output, content, overwrite)
    return len(content)
