"""Reads CIFAR-10 from a `.npz` of JPEG files: `jpeg_*`, `offset_*`, `y_*` for train and test."""

import io

import numpy as np
from PIL import Image

from fr_bench.data import Dataset, Split

_VALIDATION = 5000


def load(path: str, rows: int | None = None) -> Dataset:
    """Returns images, scaled to [0, 1]; the last 5,000 training images are the validation split."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}

    def split(part: str, begin: int, end: int) -> Split:
        data, offset = arrays[f"jpeg_{part}"], arrays[f"offset_{part}"]
        images = [
            np.asarray(Image.open(io.BytesIO(data[offset[i] : offset[i + 1]].tobytes())))
            for i in range(begin, end)
        ]
        y = arrays[f"y_{part}"][begin:end].astype(np.int64)
        return Split(np.stack(images), y, scale=1 / 255)

    last = len(arrays["y_train"])
    return Dataset(
        name="cifar10",
        train=split("train", 0, min(rows or last, last - _VALIDATION)),
        validation=split("train", last - _VALIDATION, last),
        test=split("test", 0, len(arrays["y_test"])),
        labels=tuple(str(name) for name in arrays["names"]),
    )
