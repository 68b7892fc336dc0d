"""Reads `.npz` files with the array names of `keras.datasets`."""

import zipfile
from pathlib import Path

import numpy as np

_ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def read_npz(path: Path) -> tuple:
    """Returns the four arrays, checked against each other, and the names of the classes.

    Labels are integers, or one-hot rows, which become integers.

    Returns:
        `x_train, y_train, x_test, y_test, labels`; without one-hot rows `labels` is `None`,
        because integers do not say how many classes there are.

    Raises:
        ValueError: If the file is damaged, or its arrays do not fit together.
    """
    try:
        # We open the file ourselves, because numpy leaves it open if it is not an archive.
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
            missing = [name for name in _ARRAYS if name not in file.files]
            if missing:
                raise ValueError(
                    f"`data` must hold the arrays {_ARRAYS}. Received: '{path}' without {missing}"
                )
            arrays = tuple(file[name] for name in _ARRAYS)
    except (zipfile.BadZipFile, EOFError, ValueError, KeyError) as error:
        if str(error).startswith("`data`"):
            raise
        raise ValueError(
            f"`data` must be an intact .npz file of plain arrays: {error}. Received: '{path}'"
        ) from error
    x_train, y_train, x_test, y_test = arrays
    y_train, y_test, classes = _integers(path, y_train, y_test)
    _check_pair(path, "train", x_train, y_train)
    _check_pair(path, "test", x_test, y_test)
    if x_train.shape[1:] != x_test.shape[1:] or x_train.dtype != x_test.dtype:
        raise ValueError(
            "`data` must have training and test images of the same shape and type. Received: "
            f"'{path}' with x_train {x_train.shape[1:]} of {x_train.dtype}, x_test "
            f"{x_test.shape[1:]} of {x_test.dtype}"
        )
    largest = max(y_train.max(), y_test.max())
    if classes is not None and largest >= classes:
        raise ValueError(
            f"`data` must have labels below {classes}, the length of its one-hot rows. Received: "
            f"'{path}' with the label {largest}"
        )
    labels = classes and tuple(map(str, range(classes)))
    return x_train, y_train.reshape(-1), x_test, y_test.reshape(-1), labels


def _integers(path: Path, train: np.ndarray, test: np.ndarray) -> tuple:
    """The labels as integers, and the number of classes if one-hot rows tell it."""
    widths = [y.shape[1] for y in (train, test) if _is_one_hot(y)]
    if len({*widths}) > 1:
        raise ValueError(
            "`data` must have one-hot labels of the same length in training and test. Received: "
            f"'{path}' with y_train of shape {train.shape}, y_test of shape {test.shape}"
        )
    train, test = (y.argmax(1) if _is_one_hot(y) else y for y in (train, test))
    return train, test, next(iter(widths), None)


def _is_one_hot(y: np.ndarray) -> bool:
    """Whether each row has a single 1 among zeros."""
    if y.ndim != 2 or y.shape[1] < 2 or y.dtype.kind not in "biuf":
        return False
    return bool(np.all((y == 0) | (y == 1)) and np.all(y.sum(1) == 1))


def _check_pair(path: Path, part: str, x: np.ndarray, y: np.ndarray) -> None:
    if x.ndim not in (3, 4) or len(x) < 2 or y.size != len(x):
        raise ValueError(
            "`data` must hold two or more images (rows, height, width[, channels]) and a label "
            f"for each, an integer or a one-hot row. Received: '{path}' with x_{part} of shape "
            f"{x.shape}, y_{part} of shape {y.shape}"
        )
    if not np.issubdtype(y.dtype, np.integer) or y.min() < 0:
        least = f", the smallest {y.min()}" if y.dtype.kind in "iuf" else ""
        raise ValueError(
            "`data` must have labels that count from 0: integers, or one-hot rows. Received: "
            f"'{path}' with y_{part} of type {y.dtype}{least}"
        )
    if x.dtype != np.uint8 and not np.issubdtype(x.dtype, np.floating):
        raise ValueError(
            f"`data` must have pixels of type uint8 or float. Received: '{path}' with x_{part} of "
            f"type {x.dtype}"
        )
    if not np.isfinite(x).all():
        raise ValueError(
            f"`data` must be finite. Received: '{path}' with NaN or infinity in x_{part}"
        )
