"""Data sets as train, validation and test splits: by name, from files, or from what `fit` takes."""

import dataclasses
from pathlib import Path

from fr_bench.data._batches import from_batches
from fr_bench.data._changes import changes
from fr_bench.data._folder import has_splits, read_folder, read_split
from fr_bench.data._images import COLOURS
from fr_bench.data._labels import checked
from fr_bench.data._named import NAMES, read_named
from fr_bench.data._npz import read_npz, read_pair
from fr_bench.data._split import Arrays, Batches, Dataset, Rows, Split, spaced, taken
from fr_bench.data._splits import complete

__all__ = [
    "NAMES",
    "Arrays",
    "Batches",
    "Dataset",
    "Rows",
    "Split",
    "from_batches",
    "load",
    "spaced",
    "taken",
]


def load(
    source: str,
    image_size: tuple[int, int] | None = None,
    validation: str | None = None,
    channels: int = 3,
) -> Dataset:
    """Returns a data set by name or path.

    Splits that the source does not have are drawn from the training rows with a fixed seed: a fifth
    for test, and a tenth of what is left for validation. `Dataset.drawn` names them. A network that
    was trained on these rows before must not be scored on them: give it `validation`, or splits of
    your own.

    The rows stay as they are, but for one-hot labels, and for images of folders that get another
    size or colours: `Dataset.changes` tells it. Networks get pixels of type uint8 divided by 255,
    and floats as they are. Images of folders are kept as uint8 in a temporary file that is mapped
    into memory, so they may be more than fit there; `TMPDIR` chooses its folder.

    Args:
        source: One of
            `"digits"`: scikit-learn's 1,797 bundled images, scaled to 28x28;
            `"shapes"`: 600 drawings of 64x64 pixels with masks, made in code;
            `"mnist"`, `"fashion_mnist"`, `"cifar10"`, `"cifar100"`: `keras.datasets`, which
            downloads them once;
            a `.npz` file with `x_train`, `y_train`, `x_test` and `y_test`, and perhaps `x_val` and
            `y_val`. Labels are integers or one-hot rows for classes, rows of 0 and 1 for several
            labels, masks of the size of the images, or floats for regression;
            a folder that holds one folder of images for each class, which
            `keras.utils.image_dataset_from_directory` reads;
            a folder that holds `images` and `masks` with the same names, where the numbers of a
            mask are classes, or 0 and 255;
            a folder that holds `train`, `test` and perhaps `val` (or `validation`), each like one
            of these two.
        image_size: `(height, width)` to which the images of a folder are resized; `None` leaves
            them as they are.
        validation: A folder without splits, or a `.npz` file with `x` and `y`, whose rows all are
            for validation.
        channels: 1 reads the images of a folder in grey, 3 in colour.

    Raises:
        ValueError: If the source is not a data set, or its images and labels do not fit together.
        FileNotFoundError: If the file does not exist.
        ImportError: If the source needs an extra that is not installed.
        OSError: If a data set cannot be downloaded, or the disk is full.

    Example:

    >>> load("digits").train.x.shape
    (1293, 28, 28, 1)
    >>> load("shapes").test.y.shape
    (120, 64, 64)
    """
    if channels not in COLOURS:
        raise ValueError(f"`channels` must be 1 or 3. Received: {channels}")
    path = Path(source)
    is_named = source in NAMES
    if not is_named and path.is_dir():
        splits, labels, files = read_folder(path, image_size, channels)
        if validation is not None:
            folder = _second(validation, splits, is_folder=True)
            splits["validation"], more = read_split(folder, splits["train"], labels, channels)
            files += more
        size = splits["train"].x.shape[1:3]
        found = complete(path.stem, splits, labels)
        return dataclasses.replace(found, changes=changes(files, size, channels))
    if not is_named and path.suffix != ".npz":
        raise ValueError(
            f"`data` must be one of {NAMES}, a .npz file or a folder of images. "
            f"Received: {source!r}"
        )
    pairs = read_named(source) if is_named else read_npz(path)
    if validation is not None:
        pairs["validation"] = read_pair(_second(validation, pairs, is_folder=False))
    splits, labels = checked(source, pairs)
    found = complete(path.stem, splits, labels)
    one_hot = ("One-hot labels are read as the numbers of their classes.",)
    return found if labels is None else dataclasses.replace(found, changes=one_hot)


def _second(validation: str, splits: dict, is_folder: bool) -> Path:
    """The path of the validation rows, checked."""
    path = Path(validation)
    if "validation" in splits:
        raise ValueError(
            "`validation` must not be given, because `data` has a validation split of its own. "
            f"Received: {validation!r}"
        )
    fits = path.is_dir() and not has_splits(path) if is_folder else path.suffix == ".npz"
    if not fits:
        kind = "a folder like `data`, without splits" if is_folder else "a .npz file with x and y"
        raise ValueError(f"`validation` must be {kind}. Received: {validation!r}")
    return path
