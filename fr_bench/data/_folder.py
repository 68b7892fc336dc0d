"""Reads a folder that holds one folder of images for each class."""

from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
_TEST = 0.2


def read_folder(path: Path, image_size: tuple[int, int] | None = None) -> tuple:
    """Returns the images of a folder that holds one folder of images for each class.

    If it holds folders `train` and `test`, each of these holds the folders of the classes.
    Otherwise a fifth of the images, drawn with a fixed seed, becomes the test split.

    Returns:
        `x_train, y_train, x_test, y_test, labels`; images are uint8 RGB, and classes are in the
        order of their names.

    Raises:
        ValueError: If there are no classes or images, an image is damaged, or sizes differ and
            `image_size` is `None`.
        ImportError: If the extra `images` is not installed.
    """
    if (path / "train").is_dir() and (path / "test").is_dir():
        labels = _classes(path / "train")
        if _classes(path / "test") != labels:
            raise ValueError(
                f"`data` must have the same classes in 'train' and 'test'. Received: '{path}' with "
                f"{labels} and {_classes(path / 'test')}"
            )
        train = _read(_files(path / "train", labels), image_size)
        test = _read(_files(path / "test", labels), train[0].shape[1:3])
        return (*train, *test, labels)
    labels = _classes(path)
    x, y = _read(_files(path, labels), image_size)
    order = np.random.default_rng(0).permutation(len(x))
    held_out = max(1, round(len(x) * _TEST))
    test, train = np.sort(order[:held_out]), np.sort(order[held_out:])
    return x[train], y[train], x[test], y[test], labels


def _classes(path: Path) -> tuple[str, ...]:
    labels = tuple(sorted(one.name for one in path.iterdir() if one.is_dir()))
    if len(labels) < 2:
        raise ValueError(
            "`data` must be a folder with two or more folders of images, one for each class. "
            f"Received: '{path}' with {list(labels)}"
        )
    return labels


def _files(path: Path, labels: tuple[str, ...]) -> list[tuple[Path, int]]:
    found = [
        (file, number)
        for number, label in enumerate(labels)
        for file in sorted((path / label).iterdir())
        if file.suffix.lower() in _SUFFIXES
    ]
    empty = [label for n, label in enumerate(labels) if n not in {number for _, number in found}]
    if empty:
        raise ValueError(
            f"`data` must have images ({', '.join(_SUFFIXES)}) in every class. Received: '{path}' "
            f"with none in {empty}"
        )
    return found


def _read(files: list[tuple[Path, int]], size) -> tuple[np.ndarray, np.ndarray]:
    images = []
    for file, _ in track(files, "reading images", console=Console(stderr=True), transient=True):
        images.append(_image(file, size))
        if images[-1].shape != images[0].shape:
            raise ValueError(
                "`data` must have images of one size, or `image_size` must be given. Received: "
                f"'{file}' of {images[-1].shape[:2]} after {images[0].shape[:2]}"
            )
    return np.stack(images), np.array([number for _, number in files], np.int64)


def _image(file: Path, size) -> np.ndarray:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            f"image folders need the extra `images`: pip install 'fr-keras[images]' ({error})"
        ) from error
    try:
        with Image.open(file) as image:
            image = image.convert("RGB")
            return np.asarray(image if size is None else image.resize(size[::-1]))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"`data` must hold intact images: '{file}' is damaged: {error}") from error
