"""The data sets that have names."""

from collections.abc import Callable

import numpy as np

from fr_bench.data._labels import Pairs
from fr_bench.data.shapes import draw_shapes

KERAS_NAMES = ("mnist", "fashion_mnist", "cifar10", "cifar100")


def read_named(name: str) -> Pairs:
    """Returns the splits of a named data set.

    Raises:
        ImportError: If it needs an extra that is not installed.
        OSError: If it cannot be downloaded.
    """
    if name in KERAS_NAMES:
        return _from_keras(name)
    x_train, y_train, x_test, y_test = _MADE[name]()
    return {"train": (x_train, y_train), "test": (x_test, y_test)}


def _from_keras(name: str) -> Pairs:
    import keras

    try:
        train, test = getattr(keras.datasets, name).load_data()
    except Exception as error:  # urllib raises many types without a network
        raise OSError(
            f"`data` '{name}' could not be downloaded by keras.datasets: {error}. Give the path "
            "of a .npz file with the same array names instead."
        ) from error
    return {"train": train, "test": test}


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


_MADE: dict[str, Callable[[], tuple[np.ndarray, ...]]] = {
    "digits": _digits,
    "shapes": draw_shapes,
}
#: All names.
NAMES = (*_MADE, *KERAS_NAMES)
