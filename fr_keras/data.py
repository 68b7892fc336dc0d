"""Image sets as train, validation and test splits: `digits`, and any `.npz` file."""

import dataclasses
import zipfile
from pathlib import Path

import numpy as np

_ARRAYS = ("x_train", "y_train", "x_test", "y_test")
_VALIDATION = 0.1


@dataclasses.dataclass(frozen=True)
class Split:
    """Rows of one split: `x` float32 `(rows, height, width, channels)`, `y` int64 `(rows,)`."""

    x: np.ndarray
    y: np.ndarray


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A data set for classification.

    Attributes:
        name: What the user called it.
        train: Rows to fit.
        validation: Rows to choose by.
        test: Rows to look at once.
        labels: Names of the classes.
        normalization: `(scale, offset)`: `x = scale * pixel + offset`.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    labels: tuple[str, ...]
    normalization: tuple[float, float]


def load(source: str) -> Dataset:
    """Returns a data set by name or file.

    Args:
        source: `"digits"`, scikit-learn's 1,797 bundled images scaled to 28x28, or the path of a
            `.npz` file with the array names of `keras.datasets`: `x_train`, `y_train`, `x_test`,
            `y_test`. Pixels of type uint8 are divided by 255, floats are taken as they are. A
            tenth of the training rows, drawn with a fixed seed, becomes the validation split.

    Raises:
        ValueError: If the source is no data set, or its arrays do not fit together.
        FileNotFoundError: If there is no such file.

    Example:

    >>> load("digits").train.x.shape
    (1293, 28, 28, 1)
    """
    if source == "digits":
        arrays = _digits()
    elif Path(source).suffix == ".npz":
        arrays = _npz(Path(source))
    else:
        raise ValueError(
            f"`data` must be 'digits' or the path of a .npz file. Received: {source!r}"
        )
    x_train, y_train, x_test, y_test = arrays
    scale = 1 / 255 if x_train.dtype == np.uint8 else 1.0
    order = np.random.default_rng(0).permutation(len(x_train))
    held_out = max(1, round(len(order) * _VALIDATION))
    train, validation = np.sort(order[held_out:]), np.sort(order[:held_out])
    classes = int(max(y_train.max(), y_test.max())) + 1
    return Dataset(
        name=Path(source).stem,
        train=_split(x_train[train], y_train[train], scale),
        validation=_split(x_train[validation], y_train[validation], scale),
        test=_split(x_test, y_test, scale),
        labels=tuple(str(label) for label in range(classes)),
        normalization=(scale, 0.0),
    )


def _digits() -> tuple[np.ndarray, ...]:
    import keras

    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(
            "the data set 'digits' needs the extra `digits`: pip install 'fr-keras[digits]' "
            f"({error})"
        ) from error

    bunch = load_digits()
    small = bunch.images[..., None].astype(np.float32) * (255 / 16)
    images = keras.ops.image.resize(small, (28, 28), interpolation="bilinear")
    pixels = np.round(keras.ops.convert_to_numpy(images)).astype(np.uint8)
    order = np.random.default_rng(0).permutation(len(pixels))
    train, test = order[360:], order[:360]
    return pixels[train], bunch.target[train], pixels[test], bunch.target[test]


def _npz(path: Path) -> tuple[np.ndarray, ...]:
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


def _split(x: np.ndarray, y: np.ndarray, scale: float) -> Split:
    x = x if x.ndim == 4 else x[..., None]
    return Split(x.astype(np.float32) * np.float32(scale), y.astype(np.int64))
