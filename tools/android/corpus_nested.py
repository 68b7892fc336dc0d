"""Makes files of several networks for the tests on the JVM, and Python's verdict on each.

The verdict is on all networks of a file: how it ends ("whole", "cut" or "refused"), then the
SHA-256 of what `corpus.py` says of their contents; and that of what it says of their files.
"""

import hashlib
import io
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import nested_cases
import numpy as np
import test_archive_nested
from channel_graphs import lifted, lively
from keras import layers
from test_nest import quickly

from fr_archive import Archive, ArchiveError, nested
from fr_keras.archive import save_nested

RANDOM = 60
MUTATED = 500
ROWS = np.random.default_rng(0).random((8, 12, 12, 2), np.float32)


def verdict(data: bytes, held: Callable[[Archive], tuple[str, str]]) -> tuple[str, str]:
    """Returns what streaming a file gives, and what expanding its networks gives.

    Args:
        data: The file.
        held: Says both of a network.
    """
    found, end = [], "whole"
    try:
        for frame in nested.frames(io.BytesIO(data)):
            found.append(held(frame.archive))
        end = "whole" if nested.share_of(frame.archive) == 1 else "cut"
    except ArchiveError:
        end = "refused"
    if not found:
        return "refused", "none"
    contents, files = (hashlib.sha256(" ".join(one).encode()) for one in zip(*found, strict=True))
    return f"{end} {contents.hexdigest()}", files.hexdigest()


def network(folder: Path) -> bytes:
    """A network of three capacities, with the skeleton of each."""
    path = folder / "nested.fr"
    if not path.exists():
        print("android: packing a network of several capacities", flush=True)
        inputs = keras.Input((12, 12, 2))
        x = layers.Conv2D(12, 3, use_bias=False, name="first")(inputs)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.SeparableConv2D(10, 3, activation="relu", name="second")(x)
        x = layers.Conv2D(8, 3, strides=2, activation="relu", name="third")(x)
        x = layers.Dense(5, name="logits")(layers.Flatten()(x))
        with warnings.catch_warnings(action="ignore"):
            several = quickly(lifted(lively(keras.Model(inputs, x))), scope="layer")
            save_nested(several, path, skeleton={"calibration": ROWS}, kernel_error=0.03)
    return path.read_bytes()


def cases(goldens: Path, folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yields the files, each with a name of its own."""
    for path in sorted(goldens.glob("archive_v3*.fr")):
        yield f"golden-{path.stem}", path.read_bytes()
    packed = network(folder)
    yield "network-nested", packed
    for end in (*range(0, len(packed), 97), *test_archive_nested.ends(packed)[:-1]):
        yield f"cut-{end}", packed[:end]
    for seed in range(RANDOM):
        yield f"random-{seed}", nested_cases.file(seed)
    hostile = test_archive_nested.test_broken_files_are_refused
    (mark,) = (mark for mark in hostile.pytestmark if mark.name == "parametrize")
    yield from ((f"hostile-{i}", data) for i, (data, _) in enumerate(mark.args[1]))
    mutations = test_archive_nested.mutations(seed=3, count=MUTATED)
    yield from ((f"mutated-{i}", data) for i, data in enumerate(mutations))
