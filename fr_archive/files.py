"""Writes files so that neither a crash nor a full disk leaves half a file."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


def check_target(path: str | os.PathLike, overwrite: bool = False) -> Path:
    """Returns `path` if a file may be written there; call it before long work starts.

    Raises:
        FileNotFoundError: If its folder does not exist.
        IsADirectoryError: If it is a folder.
        FileExistsError: If it exists and `overwrite` is false.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"`path` must lie in a folder that exists: create '{path.parent}' first. "
            f"Received: '{path}'"
        )
    if path.is_dir():
        raise IsADirectoryError(f"`path` must name a file. Received: the folder '{path}'")
    if path.exists() and not overwrite:
        raise FileExistsError(
            f"`path` exists and is not replaced: '{path}'. Choose another name or allow "
            "overwriting (`overwrite=True`, on the command line `--force`)."
        )
    return path


@contextlib.contextmanager
def replacing(path: str | os.PathLike, overwrite: bool = False) -> Iterator[Path]:
    """Yields a temporary name beside `path` and renames it onto `path` at the end.

    If an error occurs inside, or while the bytes are forced to disk, the temporary file is removed
    and `path` stays as it was. The temporary name has the same suffix, because Keras chooses the
    format by it.

    Raises:
        OSError: As `check_target` does, or if writing fails.
    """
    path = check_target(path, overwrite)
    # In a folder of its own, so that the name does not exist yet when the writer sees it.
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as folder:
            temporary = Path(folder) / path.name
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
    except OSError as error:
        raise OSError(f"'{path}' cannot be written and is left as it was: {error}") from error


def write_bytes(path: str | os.PathLike, data: bytes, overwrite: bool = False) -> None:
    """Writes `data` to `path` whole or not at all.

    Raises:
        OSError: As `check_target` does, or if writing fails; nothing is left behind.
    """
    with replacing(path, overwrite) as temporary:
        temporary.write_bytes(data)
