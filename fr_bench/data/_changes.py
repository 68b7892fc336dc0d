"""What reading changes in the images of a folder, in words: their size and their colours."""

import collections
import contextlib
from pathlib import Path

from fr_bench.data._images import Size, pillow

_GREY = ("1", "L", "LA", "I", "I;16", "F")  # the modes of Pillow that have no colours
_LISTED = 2  # sizes in a sentence


def changes(files: list[Path], size: Size, channels: int) -> tuple[str, ...]:
    """Returns a sentence for each change, and none for images that stay as they are.

    Args:
        files: The files, which have been read.
        size: `(height, width)` that the images have now.
        channels: The channels that they have now, 1 or 3.
    """
    try:
        heads = list(_heads(files))
    except ImportError:
        return (f"Images of another size than {_shown(size)} are resized to it.",)
    found = []
    sizes = collections.Counter(one for one, _ in heads if one != size)
    if sizes:
        names = ", ".join(_shown(one) for one, _ in sizes.most_common(_LISTED))
        more = f" and {len(sizes) - _LISTED} other sizes" if len(sizes) > _LISTED else ""
        found.append(
            f"{sizes.total():,} of {len(files):,} images are resized from {names}{more} to "
            f"{_shown(size)} (height x width)."
        )
    other = sum(is_grey != (channels == 1) for _, is_grey in heads)
    if other:
        was, now = ("grey", "colour") if channels == 3 else ("colour", "grey")
        found.append(f"{other:,} of {len(files):,} images are stored in {was} and read in {now}.")
    return tuple(found)


def _heads(files: list[Path]):
    """The size of each image, and whether it is grey."""
    Image = pillow()
    errors = OSError, SyntaxError, ValueError, Image.DecompressionBombError
    for file in files:
        # Keras has read it: what Pillow alone refuses is no error.
        with contextlib.suppress(*errors), Image.open(file) as image:
            yield image.size[::-1], image.mode in _GREY


def _shown(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
