"""Reads folders of images with their masks."""

from pathlib import Path

import numpy as np

from fr_bench.data._images import Size, hidden, image_files, pillow, read_images, size_of
from fr_bench.data._spool import Spool

_LOSSY = (".jpg", ".jpeg")
_LISTED = 3  # names in a message


def is_of_masks(folder: Path) -> bool:
    """Whether a folder holds the folders `images` and `masks`."""
    return (folder / "images").is_dir() and (folder / "masks").is_dir()


def read_masks(
    folder: Path, size: Size | None, channels: int
) -> tuple[np.ndarray, np.ndarray, list[Path]]:
    """Returns images and their masks, which have the same names but for the suffix.

    A mask is an image of one channel; its numbers, or the indices of its palette, are the classes.
    Where it is resized it takes the nearest number, and nothing is smoothed.

    Args:
        folder: The folder that holds `images` and `masks`.
        size: `(height, width)` of the result; `None` leaves the images as they are.
        channels: Channels of the images, 1 or 3.

    Returns:
        Memory maps: images, uint8 `(rows, height, width, channels)`, and masks, uint8 `(rows,
        height, width)`; and the files of the images.

    Raises:
        ValueError: If an image has no mask or a mask no image, one is damaged, or sizes differ.
        ImportError: If the extra `images` is not installed.
    """
    masks = _pairs(folder)
    x, _, files = read_images(folder / "images", None, size, channels)
    with Spool("`data`") as spool:
        for file in files:
            mask = masks[_stem(file, folder / "images")]
            if size_of(mask) != size_of(file):
                raise ValueError(
                    "`data` must have masks of the size of their images. Received: "
                    f"'{mask}' of {size_of(mask)} for an image of {size_of(file)}"
                )
            spool.write(_classes_in(mask, x.shape[1:3])[None])
        return x, spool.rows(), files


def _pairs(folder: Path) -> dict[str, Path]:
    """The mask of each image, by the name of the image."""
    images = [_stem(one, folder / "images") for one in image_files(folder / "images")]
    files = [
        one
        for one in sorted((folder / "masks").rglob("*"))
        if one.is_file() and not hidden(one, folder / "masks")
    ]
    masks = {_stem(one, folder / "masks"): one for one in files}
    unlike = sorted({*images} ^ {*masks})
    twice = len(images) > len({*images}) or len(files) > len(masks)
    if not images or unlike or twice:
        shown = ", ".join(unlike[:_LISTED]) + (", ..." if len(unlike) > _LISTED else "")
        raise ValueError(
            "`data` must have one mask for each image, with the same name but for the suffix. "
            f"Received: '{folder}' with {len(images)} images and {len(files)} masks"
            + (f"; {len(unlike)} have no partner: {shown}" if unlike else "")
        )
    lossy = [one for one in files if one.suffix.lower() in _LOSSY]
    if lossy:
        raise ValueError(
            "`data` must have masks in a format that keeps their numbers, such as .png. Received: "
            f"'{lossy[0]}'"
        )
    return masks


def _stem(file: Path, folder: Path) -> str:
    return file.relative_to(folder).with_suffix("").as_posix()


def _classes_in(file: Path, size: Size) -> np.ndarray:
    Image = pillow()
    try:
        with Image.open(file) as image:
            found = np.asarray(image.resize(size[::-1], Image.Resampling.NEAREST))
            colours = len(image.getbands()) - ("A" in image.getbands())
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"`data` must hold intact masks: '{file}' is damaged: {error}") from error
    if found.ndim == 3:
        found = found[..., :colours]
        if np.any(found != found[..., :1]):
            raise ValueError(
                "`data` must have masks of one channel, whose numbers are the classes, or 0 and "
                f"255. Received: '{file}' in colour"
            )
        found = found[..., 0]
    if found.min() < 0 or found.max() > 255 or np.any(found != np.round(found)):
        raise ValueError(
            "`data` must have masks of whole numbers from 0 to 255. Received: "
            f"'{file}' with numbers from {found.min()} to {found.max()}"
        )
    return found.astype(np.uint8)
