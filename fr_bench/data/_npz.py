"""Reads `.npz` files with the array names of `keras.datasets`."""

import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fr_bench.data._labels import Pairs

#: The end of the names of the arrays of each split; "val" may be missing.
_PARTS = {"train": "train", "validation": "val", "test": "test"}


def read_npz(path: Path) -> Pairs:
    """Returns `x` and `y` of each split.

    Raises:
        ValueError: If the file is damaged, or arrays are missing.
    """
    with_validation = {"x_val", "y_val"} & {*_names(path)}
    parts = {
        split: part for split, part in _PARTS.items() if split != "validation" or with_validation
    }
    arrays = _arrays(path, [f"{a}_{part}" for part in parts.values() for a in "xy"])
    return {split: (arrays[f"x_{part}"], arrays[f"y_{part}"]) for split, part in parts.items()}


def read_pair(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Returns the arrays `x` and `y` of a file of one split.

    Raises:
        ValueError: If the file is damaged, or arrays are missing.
    """
    arrays = _arrays(path, ["x", "y"])
    return arrays["x"], arrays["y"]


def _names(path: Path) -> list[str]:
    return _read(path, lambda file: list(file.files))


def _arrays(path: Path, names: list[str]) -> dict[str, np.ndarray]:
    missing = [name for name in names if name not in _names(path)]
    if missing:
        raise ValueError(
            f"`data` must hold the arrays {', '.join(names)}. Received: '{path}' without {missing}"
        )
    return _read(path, lambda file: {name: file[name] for name in names})


def _read(path: Path, what: Callable[[np.lib.npyio.NpzFile], object]):
    """What a function reads from the open file."""
    try:
        # We open the file ourselves, because numpy leaves it open if it is not an archive.
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
            return what(file)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"`data` must be an intact .npz file of plain arrays: {error}. Received: '{path}'"
        ) from error
