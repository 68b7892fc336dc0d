"""Reads folders of images: a folder for each class, or images with their masks."""

from pathlib import Path

from fr_bench.data._images import SUFFIXES, Size, hidden, image_files, read_images
from fr_bench.data._masks import is_of_masks, read_masks
from fr_bench.data._split import Split

_SPLITS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}

Labels = tuple[str, ...] | None


def read_folder(
    path: Path, size: Size | None, channels: int
) -> tuple[dict[str, Split], Labels, list[Path]]:
    """Returns the splits of a folder, the names of the classes or `None` for masks, and the images.

    If it holds folders `train` and `test`, and perhaps `val`, they are the splits. Otherwise its
    images are those of `train`.

    Raises:
        ValueError: If there are no classes or images, an image is damaged, or sizes differ and
            `size` is `None`.
        ImportError: If the extra `images` is needed and not installed.
    """
    folders = _splits(path)
    splits, labels, files = {}, None, []
    for name, folder in sorted(folders.items(), key=lambda one: one[0] != "train"):
        if splits:
            splits[name], more = read_split(folder, splits["train"], labels, channels)
        else:
            splits[name], labels, more = _read(folder, size, channels)
        files += more
    return splits, labels, files


def read_split(
    folder: Path, like: Split, labels: Labels, channels: int
) -> tuple[Split, list[Path]]:
    """Returns all images of a folder as one split, resized to those of another, and their files.

    Raises:
        ValueError: As in `read_folder`, or if it has other classes.
    """
    if is_of_masks(folder) != (labels is None):
        raise ValueError(
            "`data` must have masks in each split or in none: folders 'images' and 'masks'. "
            f"Received: '{folder}', unlike the split for training"
        )
    if labels is not None and _classes(folder) != labels:
        raise ValueError(
            "`data` must have the same classes in each split, as 'train' and 'test'. Received: "
            f"{labels} to train on, and {_classes(folder)} in '{folder}'"
        )
    split, _, files = _read(folder, like.x.shape[1:3], channels)
    return split, files


def has_splits(path: Path) -> bool:
    """Whether a folder holds the folders of splits instead of those of classes."""
    return [*_splits(path).values()] != [path]


def _splits(path: Path) -> dict[str, Path]:
    names = [one.name for one in _subfolders(path)]
    found = [name for name in names if name in _SPLITS]
    if {"train", "test"} <= {*found}:
        if {"val", "validation"} <= {*found}:
            raise ValueError(
                "`data` must have one of the folders 'val' and 'validation', because both are the "
                f"validation split. Received: '{path}' with both"
            )
        return {_SPLITS[name]: path / name for name in found}
    if names and found == names:  # beside others it may be a class, such as a train
        raise ValueError(
            "`data` must have the folders 'train' and 'test', and may have 'val', if it has one of "
            f"them. Received: '{path}' with {names}"
        )
    return {"train": path}


def _read(folder: Path, size: Size | None, channels: int) -> tuple[Split, Labels, list[Path]]:
    if is_of_masks(folder):
        x, y, files = read_masks(folder, size, channels)
        return Split(x, y, scale=1 / 255), None, files
    labels = _classes(folder)
    counts = {label: len(image_files(folder / label)) for label in labels}
    empty = [label for label, count in counts.items() if not count]
    if empty:
        raise ValueError(
            f"`data` must have images ({', '.join(SUFFIXES)}) in every class. Received: '{folder}' "
            f"with none in {empty}. Put images there, or remove the folder if the network does not "
            "know this class"
        )
    x, y, files = read_images(folder, labels, size, channels)
    return Split(x, y, scale=1 / 255), labels, files


def _classes(path: Path) -> tuple[str, ...]:
    labels = tuple(one.name for one in _subfolders(path))
    if len(labels) < 2:
        alone = sum(one.suffix.lower() in SUFFIXES for one in path.iterdir())
        beside = f" and {alone:,} images beside them, of no class" if alone else ""
        raise ValueError(
            "`data` must be a folder with two or more folders of images, one for each class, or "
            "with the folders 'images' and 'masks'; or 'train' and 'test' with such folders. "
            f"Received: '{path}' with the folders {list(labels)}{beside}"
        )
    return labels


def _subfolders(path: Path) -> list[Path]:
    return sorted(one for one in path.iterdir() if one.is_dir() and not hidden(one, path))
