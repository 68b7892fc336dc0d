"""Image sets as train, validation and test splits, by name or from the user's files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from fr_bench.data._folder import read_folder
from fr_bench.data._npz import read_npz
from fr_bench.data._split import Dataset, Split
from fr_bench.data.shapes import draw_shapes

_VALIDATION = 0.1
_KERAS_NAMES = ("mnist", "fashion_mnist", "cifar10", "cifar100")
#: The names that `load` takes besides files and folders.
NAMES = ("digits", "shapes", *_KERAS_NAMES)

__all__ = ["NAMES", "Dataset", "Split", "load"]


def load(source: str, image_size: tuple[int, int] | None = None) -> Dataset:
    """Returns a data set by name or path.

    A tenth of the training rows, drawn with a fixed seed, becomes the validation split. Pixels
    of type uint8 are divided by 255; floats stay as they are.

    Args:
        source: One of
            `"digits"`: scikit-learn's 1,797 bundled images, scaled to 28x28;
            `"shapes"`: 600 drawings of 64x64 pixels with masks, made in code;
            `"mnist"`, `"fashion_mnist"`, `"cifar10"`, `"cifar100"`: `keras.datasets`, which
            downloads them once;
            a `.npz` file with the array names of `keras.datasets`; labels may be one-hot rows;
            a folder that holds one folder of images for each class, or `train` and `test` with
            such folders.
        image_size: `(height, width)` to which the images of a folder are resized; `None` leaves
            them as they are.

    Raises:
        ValueError: If the source is not a data set, or its images and labels do not fit together.
        FileNotFoundError: If the file does not exist.
        ImportError: If the source needs an extra that is not installed.
        OSError: If a data set cannot be downloaded.

    Example:

    >>> load("digits").train.x.shape
    (1293, 28, 28, 1)
    >>> load("shapes").test.y.shape
    (120, 64, 64)
    """
    path, labels = Path(source), None
    if source in _NAMED:
        arrays = _NAMED[source]()
    elif source in _KERAS_NAMES:
        arrays = _from_keras(source)
    elif path.suffix == ".npz":
        *arrays, labels = read_npz(path)
    elif path.is_dir():
        *arrays, labels = read_folder(path, image_size)
    else:
        raise ValueError(
            f"`data` must be one of {NAMES}, a .npz file or a folder of images. "
            f"Received: {source!r}"
        )
    return _dataset(path.stem, arrays, labels)


def _dataset(name: str, arrays, labels: tuple[str, ...] | None) -> Dataset:
    x_train, y_train, x_test, y_test = arrays
    scale = 1 / 255 if x_train.dtype == np.uint8 else 1.0
    order = np.random.default_rng(0).permutation(len(x_train))
    held_out = max(1, round(len(order) * _VALIDATION))
    train, validation = np.sort(order[held_out:]), np.sort(order[:held_out])
    classes = int(max(y_train.max(), y_test.max())) + 1
    return Dataset(
        name=name,
        train=_split(x_train[train], y_train[train], scale),
        validation=_split(x_train[validation], y_train[validation], scale),
        test=_split(x_test, y_test, scale),
        labels=labels or tuple(str(label) for label in range(classes)),
        drawn=("validation",),
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


def _split(x: np.ndarray, y: np.ndarray, scale: float) -> Split:
    x = x if x.ndim == 4 else x[..., None]
    return Split(x, y.astype(np.int64), scale=scale)


def _from_keras(name: str) -> tuple[np.ndarray, ...]:
    import keras

    try:
        (x_train, y_train), (x_test, y_test) = getattr(keras.datasets, name).load_data()
    except Exception as error:  # urllib raises many types without a network
        raise OSError(
            f"`data` '{name}' could not be downloaded by keras.datasets: {error}. Give the path "
            "of a .npz file with the same array names instead."
        ) from error
    return x_train, y_train.reshape(-1), x_test, y_test.reshape(-1)


_NAMED: dict[str, Callable[[], tuple[np.ndarray, ...]]] = {
    "digits": _digits,
    "shapes": draw_shapes,
}
