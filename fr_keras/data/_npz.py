"""`.npz` files with the array names of `keras.datasets`."""

import zipfile
from pathlib import Path

import numpy as np

_ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def read_npz(path: Path) -> tuple[np.ndarray, ...]:
    """Returns the four arrays, checked against each other.

    Raises:
        ValueError: If the file is damaged, or its arrays do not fit together.
    """
    try:
        # numpy leaves a file open that turns out to be no archive: the handle is ours.
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
            f"`data` must be a whole .npz file of plain arrays: {error}. Received: '{path}'"
        ) from error
    x_train, y_train, x_test, y_test = arrays
    _check_pair(path, "train", x_train, y_train)
    _check_pair(path, "test", x_test, y_test)
    if x_train.shape[1:] != x_test.shape[1:] or x_train.dtype != x_test.dtype:
        raise ValueError(
            "`data` must have training and test images of one shape and type. Received: "
            f"'{path}' with x_train {x_train.shape[1:]} of {x_train.dtype}, x_test "
            f"{x_test.shape[1:]} of {x_test.dtype}"
        )
    return x_train, y_train.reshape(-1), x_test, y_test.reshape(-1)


def _check_pair(path: Path, part: str, x: np.ndarray, y: np.ndarray) -> None:
    if x.ndim not in (3, 4) or len(x) < 2 or y.size != len(x):
        raise ValueError(
            "`data` must hold two or more images (rows, height, width[, channels]) and a label "
            f"for each. Received: '{path}' with x_{part} of shape {x.shape}, y_{part} of shape "
            f"{y.shape}"
        )
    if not np.issubdtype(y.dtype, np.integer) or y.min() < 0:
        raise ValueError(
            f"`data` must have labels that count from 0. Received: '{path}' with y_{part} of type "
            f"{y.dtype}"
        )
    if x.dtype != np.uint8 and not np.issubdtype(x.dtype, np.floating):
        raise ValueError(
            f"`data` must have pixels of type uint8 or float. Received: '{path}' with x_{part} of "
            f"type {x.dtype}"
        )
    if not np.isfinite(x).all():
        raise ValueError(f"`data` must be finite. Received: '{path}' with NaN in x_{part}")
