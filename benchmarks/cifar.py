"""Reads CIFAR-10 from a `.npz` of JPEG files: `jpeg_*`, `offset_*`, `y_*` for train and test."""

import numpy as np
import tensorflow as tf

from fr_bench.data import Dataset, Split

_VALIDATION = 5000


def load(path: str, rows: int | None = None) -> Dataset:
    """Returns images in [0, 1]; the last 5,000 training images are the validation split."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}

    def split(part: str, begin: int, end: int) -> Split:
        data, offset = arrays[f"jpeg_{part}"], arrays[f"offset_{part}"]
        images = [
            tf.io.decode_jpeg(data[offset[i] : offset[i + 1]].tobytes()).numpy()
            for i in range(begin, end)
        ]
        x = np.stack(images).astype(np.float32) / np.float32(255)
        return Split(x, arrays[f"y_{part}"][begin:end].astype(np.int64))

    last = len(arrays["y_train"])
    return Dataset(
        name="cifar10",
        train=split("train", 0, min(rows or last, last - _VALIDATION)),
        validation=split("train", last - _VALIDATION, last),
        test=split("test", 0, len(arrays["y_test"])),
        labels=tuple(str(name) for name in arrays["names"]),
        normalization=(1 / 255, 0.0),
    )
