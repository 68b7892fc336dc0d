"""Reads the images of a folder by `keras.utils.image_dataset_from_directory`."""

import collections
import warnings
from pathlib import Path

import keras
import numpy as np
from rich.console import Console
from rich.progress import track

from fr_bench.data._spool import Spool

#: What `keras.utils.image_dataset_from_directory` reads.
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
#: The channels of images, and what Keras calls them.
COLOURS = {1: "grayscale", 3: "rgb"}

Size = tuple[int, int]


def image_files(folder: Path) -> list[Path]:
    """Returns the images below a folder, sorted; hidden files are left out.

    Warns of files that Keras does not read.
    """
    files = [one for one in sorted(folder.rglob("*")) if one.is_file() and not hidden(one, folder)]
    unread = collections.Counter(
        one.suffix.lower() or one.name for one in files if one.suffix.lower() not in SUFFIXES
    )
    if unread:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(unread.items()))
        warnings.warn(
            f"{unread.total()} files in '{folder}' are left out, because Keras does not read them "
            f"as images ({', '.join(SUFFIXES)}): {kinds}",
            stacklevel=2,
        )
    return [one for one in files if one.suffix.lower() in SUFFIXES]


def hidden(file: Path, folder: Path) -> bool:
    """Whether a file, or a folder in which it is, has a name that begins with a dot."""
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


def read_images(
    folder: Path, labels: tuple[str, ...] | None, size: Size | None, channels: int
) -> tuple[np.ndarray, np.ndarray, list[Path]]:
    """Returns images, the numbers of their classes, and their files.

    Args:
        folder: The folder; with `labels`, one that holds one folder of images for each class.
        labels: The names of the classes. Without them the numbers are all 0.
        size: `(height, width)` of the result; `None` leaves the images as they are.
        channels: 1 or 3.

    Returns:
        Images, uint8 `(rows, height, width, channels)`, as a memory map; numbers, int64 `(rows,)`;
        and a list.

    Raises:
        ValueError: If an image is damaged, or sizes differ and `size` is `None`.
        ImportError: If `size` is `None` and the extra `images` is not installed.
    """
    as_it_is = size is None
    if as_it_is:
        size = size_of(_first(folder, labels))
    images = keras.utils.image_dataset_from_directory(
        str(folder),
        labels="inferred" if labels else None,
        class_names=list(labels) if labels else None,
        color_mode=COLOURS[channels],
        batch_size=None,
        image_size=size,
        shuffle=False,
        seed=0,  # else it would change numpy's own random state
        data_format="channels_last",
        verbose=False,
    )
    with Spool("`data`") as spool:
        return _spooled(images, folder, size if as_it_is else None, spool)


def _spooled(
    images, folder: Path, size: Size | None, spool: Spool
) -> tuple[np.ndarray, np.ndarray, list[Path]]:
    """Reads a set of Keras row by row; `size` is that of all files, if they must have one."""
    classes, read, rows = [], [], iter(images)
    files = [Path(one) for one in images.file_paths]
    for file in track(files, "reading images", console=Console(stderr=True), transient=True):
        is_hidden = hidden(file, folder)
        if size is not None and not is_hidden:
            _check_size(file, size)
        try:
            row = next(rows)
        except Exception as error:  # TensorFlow raises many types
            if is_hidden:
                continue
            raise _damaged(file, error) from error
        if not is_hidden:
            image, number = row if isinstance(row, tuple) else (row, 0)
            spool.write(np.round(np.asarray(image)).astype(np.uint8)[None])
            classes.append(int(number))
            read.append(file)
    return spool.rows(), np.array(classes, np.int64), read


def size_of(file: Path) -> Size:
    """Returns `(height, width)` of an image, from its head alone.

    Raises:
        ValueError: If the file is damaged.
        ImportError: If the extra `images` is not installed.
    """
    Image = pillow()
    try:
        with Image.open(file) as image:
            return image.size[::-1]
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _damaged(file, error) from error


def pillow():
    """Returns the module `PIL.Image`.

    Raises:
        ImportError: If the extra `images` is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            "image folders need the extra `images`, unless `image_size` is given and there are no "
            f"masks: pip install 'fr-keras[images]' ({error})"
        ) from error
    return Image


def _first(folder: Path, labels: tuple[str, ...] | None) -> Path:
    # The folder of a class may be a link, which a search from above does not follow.
    root = folder / labels[0] if labels else folder
    files = (one for one in root.rglob("*") if not hidden(one, root))
    return min(one for one in files if one.suffix.lower() in SUFFIXES)


def _check_size(file: Path, size: Size) -> None:
    found = size_of(file)
    if found != size:
        raise ValueError(
            "`data` must have images of one size, or `image_size` must be given. Received: "
            f"'{file}' of {found} after {size}"
        )


def _damaged(file: Path, error: Exception) -> ValueError:
    # TensorFlow says it in the first line, behind the name of the step that read the file.
    first = next(iter(str(error).strip().splitlines()), type(error).__name__)
    reason = first.rpartition("ParallelMapV2: ")[2]
    return ValueError(
        f"`data` must hold intact images that Keras reads: '{file}' is damaged, or of a kind that "
        "Keras does not read; as .png it can read every kind. Repair it, or take it out of the "
        f"folder. Received: {reason}"
    )
