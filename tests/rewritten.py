"""Files that passes have changed, and whether they give the same bits."""

import numpy as np
import pytest
from strip_graphs import Files

from fr_bench.benchmark._worker import CpuModel
from fr_keras.tflite.file import flatbuffer, memory
from fr_keras.tflite.file._packed import pack
from fr_keras.tflite.file._rewriting import Rewriter
from fr_keras.tflite.file._strips import strip

KINDS = pytest.mark.parametrize("int8", [False, True], ids=["float32", "int8"])


def ran(content: bytes, rows: list[np.ndarray], delegate: str = "xnnpack") -> CpuModel:
    model = CpuModel(content, delegate, 1, rows)
    model.write(rows)
    model.invoke()
    return model


def inputs_of(made: Files) -> list[np.ndarray]:
    shapes = [made.new.shape(n) for n in made.new.graph.inputs]
    if made.int8:
        return [made.rng.integers(-128, 128, shape).astype(np.int8) for shape in shapes]
    return [made.rng.normal(size=shape).astype(np.float32) for shape in shapes]


def stripped(content: bytes, most: int, halos: bool = False) -> Rewriter:
    new = Rewriter(flatbuffer.read(content))
    strip(new, most, halos)
    return new


def packed(content: bytes, worth: float = 0.0) -> Rewriter:
    new = Rewriter(flatbuffer.read(content))
    pack(new, worth)
    return new


def largest(content: bytes) -> int:
    return max(memory.sizes(flatbuffer.read(content)))


def ops(new: Rewriter) -> list[str]:
    return [new.name(op) for op in new.graph.operators]


def assert_same(content: bytes, other: bytes, rows: list[np.ndarray], close: bool = False) -> None:
    """Both files give the same bits; with `close`, floats up to the order of sums.

    So are floats of LiteRT's own kernels, which take other paths for the last few pixels.
    """
    for delegate in ("none", "xnnpack"):
        pairs = zip(*(ran(one, rows, delegate).read() for one in (content, other)), strict=True)
        for one, two in pairs:
            if one.dtype == np.float32 and (close or delegate == "none"):
                np.testing.assert_allclose(two, one, atol=1e-4 * np.abs(one).max())
            else:
                np.testing.assert_array_equal(two, one)


def unet(int8: bool, height: int = 48, width: int = 32, channels: int = 32):
    """Two levels of a factored U-Net: wide tensors between narrow ones, and a skip."""
    made = Files(int8=int8)
    x = made.conv(made.input(height, width, 3), 4, size=3)
    x = made.conv(made.conv(x, channels, act="RELU"), 4)
    skip = made.conv(made.conv(x, 4, size=3), channels, act="RELU")
    below = made.conv(made.conv(made.pool(skip), 4), 4, size=3)
    below = made.conv(made.conv(below, 2 * channels, act="RELU"), 4)
    up = made.to_space(made.conv(below, 16))
    x = made.conv(made.sum(up, made.conv(skip, 4)), 4, size=3)
    x = made.conv(made.conv(x, channels, act="RELU"), 2)
    return made.content(x), inputs_of(made)
