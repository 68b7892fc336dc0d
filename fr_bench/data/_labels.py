"""The labels of arrays from files: their forms, the checks, and the names of classes."""

import numpy as np

from fr_bench.data._split import Arrays, Split
from fr_bench.data._spool import chunks

Pairs = dict[str, tuple[np.ndarray, np.ndarray]]
_FORMS = (
    "an integer or a one-hot row for each image, labels that count from 0; rows of 0 and 1 for "
    "several labels; a mask of the image's size; or floats, the same form in each split"
)

_MOST_CLASSES = 1 << 16  # larger integers are numbers, such as prices


def checked(name: str, pairs: Pairs) -> tuple[dict[str, Split], tuple[str, ...] | None]:
    """Returns splits of images and their labels, checked, and the names of the classes.

    One-hot rows become integers, and a channel is added to images and taken from masks where
    that is all that is missing. Pixels of type uint8 get the scale 1/255.

    Args:
        name: What the arrays come from, for messages.
        pairs: Images and labels of each split.

    Returns:
        The splits; and the names of the classes if one-hot rows tell how many there are, or `None`.

    Raises:
        ValueError: If images or labels are unfit, or do not fit together.
    """
    for split, (x, y) in pairs.items():
        _check_images(name, split, x, y)
    ys = {split: _flat(x, y) for split, (x, y) in pairs.items()}
    ys, classes = _integers(name, ys)
    for split, y in ys.items():
        _check_labels(name, split, pairs[split][0], y)
    _check_forms(name, ys)
    if classes is not None and max(y.max() for y in ys.values()) >= classes:
        raise ValueError(
            f"`data` must have labels below {classes}, the length of its one-hot rows. Received: "
            f"'{name}' with the label {max(y.max() for y in ys.values())}"
        )
    scale = 1 / 255 if pairs["train"][0].dtype == np.uint8 else 1.0
    splits = {}
    for split, (x, _) in pairs.items():
        x = x if x.ndim == 4 else x[..., None]
        splits[split] = Split(x, ys[split], scale=scale)
    return splits, None if classes is None else tuple(map(str, range(classes)))


def names_of(ys: list[Arrays]) -> tuple[str, ...]:
    """The numbers of the classes as their names; none for regression and for several outputs."""
    if any(isinstance(y, tuple) for y in ys):
        return ()
    row = ys[0].shape[1:]
    if len(row) in (1, 3) and row[-1] > 1:  # a number for each class, or just numbers
        of_labels = all(_within(y, (0, 1)) for y in ys)
        return tuple(map(str, range(row[-1]))) if of_labels else ()
    if any(y.dtype.kind not in "iu" and (len(row) < 2 or not _is_whole(y)) for y in ys):
        return ()
    largest = int(max(y.max() for y in ys))
    if largest >= _MOST_CLASSES or min(y.min() for y in ys) < 0:
        return ()
    if largest == 255 and all(_within(y, (0, 255)) for y in ys):
        largest = 1  # masks of black and white
    return tuple(map(str, range(largest + 1)))


def _within(y: np.ndarray, values: tuple[int, ...]) -> bool:
    return all(np.isin(part, values).all() for part in chunks(y))


def _is_whole(y: np.ndarray) -> bool:
    return all(np.all((part >= 0) & (part == np.round(part))) for part in chunks(y))


def _flat(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The labels without a last axis of one, and bool as integers."""
    if y.dtype == bool:
        y = y.astype(np.uint8)
    is_column = y.ndim == 2 or y.shape[1:3] == x.shape[1:3]
    return y[..., 0] if y.ndim in (2, 4) and y.shape[-1] == 1 and is_column else y


def _integers(name: str, ys: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], int | None]:
    """The labels as integers where rows are one-hot, and the number of classes if they tell it."""
    one_hot = {split for split, y in ys.items() if _is_one_hot(y)}
    if any(y.ndim == 2 for split, y in ys.items() if split not in one_hot):
        return ys, None  # rows of several labels, some of which have one
    widths = {ys[split].shape[1] for split in one_hot}
    if len(widths) > 1:
        shapes = ", ".join(f"y of {split} of shape {y.shape}" for split, y in ys.items())
        raise ValueError(
            "`data` must have one-hot labels of the same length in each split. Received: "
            f"'{name}' with {shapes}"
        )
    ys = {split: y.argmax(1) if split in one_hot else y for split, y in ys.items()}
    return ys, next(iter(widths), None)


def _is_one_hot(y: np.ndarray) -> bool:
    """Whether each row has a single 1 among zeros."""
    if y.ndim != 2 or y.dtype.kind not in "iuf":
        return False
    return bool(np.all((y == 0) | (y == 1)) and np.all(y.sum(1) == 1))


def _check_images(name: str, split: str, x: np.ndarray, y: np.ndarray) -> None:
    if x.ndim not in (3, 4) or len(x) < 2 or y.ndim == 0 or len(y) != len(x):
        raise ValueError(
            "`data` must hold two or more images (rows, height, width[, channels]) and a label "
            f"for each. Received: '{name}' with x of {split} of shape {x.shape}, y of shape "
            f"{y.shape}"
        )
    if x.dtype != np.uint8 and not np.issubdtype(x.dtype, np.floating):
        raise ValueError(
            f"`data` must have pixels of type uint8 or float. Received: '{name}' with x of {split} "
            f"of type {x.dtype}"
        )
    for what, array in (("x", x), ("y", y)):
        if array.dtype.kind == "f" and not all(np.isfinite(part).all() for part in chunks(array)):
            raise ValueError(
                f"`data` must be finite. Received: '{name}' with NaN or infinity in {what} of "
                f"{split}"
            )


def _check_labels(name: str, split: str, x: np.ndarray, y: np.ndarray) -> None:
    is_mask = y.ndim == 3 and y.shape[1:] == x.shape[1:3]
    several = y.ndim == 2 and y.dtype.kind in "iuf" and _within(y, (0, 1))
    counts = y.dtype.kind in "iu" and (y.ndim == 1 or is_mask) and y.min() >= 0
    if not (y.dtype.kind == "f" or several or counts):
        least = f", the smallest {y.min()}" if y.dtype.kind in "iu" else ""
        raise ValueError(
            f"`data` must have labels of one of these forms: {_FORMS}. Received: '{name}' with y "
            f"of {split} of shape {y.shape} and type {y.dtype}{least}"
        )


def _check_forms(name: str, ys: dict[str, np.ndarray]) -> None:
    # Masks of another size than those of train are images of another size, too.
    forms = {
        (y.ndim, y.shape[1:2] if y.ndim == 2 else (), y.dtype.kind == "f") for y in ys.values()
    }
    if len(forms) > 1:
        shapes = ", ".join(f"y of {one} of shape {y.shape}, {y.dtype}" for one, y in ys.items())
        raise ValueError(
            f"`data` must have labels of one of these forms: {_FORMS}. Received: '{name}' with "
            f"{shapes}"
        )
