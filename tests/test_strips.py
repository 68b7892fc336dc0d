"""Wide tensors strip by strip: files that give the same bits."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from device_setups import MODELS
from rewritten import KINDS, assert_same, inputs_of, largest, ops, packed, ran, stripped, unet
from strip_graphs import Files

from fr_keras import tflite
from fr_keras.tflite.file import flatbuffer, memory
from fr_keras.tflite.file._rewriting import Rewriter
from fr_keras.tflite.file._strips import strip


def drawn(seed: int, int8: bool) -> tuple[bytes, list[np.ndarray]]:
    """A graph of random ops on images of random size, with skips over several levels."""
    made = Files(seed, int8)
    rng = np.random.default_rng(seed)
    seen = [made.input(int(rng.integers(1, 40)), int(rng.integers(2, 12)), 3)]
    for _ in range(rng.integers(6, 16)):
        # Mostly the newest tensor, sometimes one from long before.
        x = seen[-1] if rng.random() < 0.7 else seen[rng.integers(len(seen))]
        y = added(made, rng, seen, x)
        seen += [] if y is None else [y]
    read = {int(n) for op in made.operators for n in op.inputs}
    ends = [n for n in dict.fromkeys(seen[1:]) if n not in read or rng.random() < 0.1]
    return made.content(*ends), inputs_of(made)


def added(made: Files, rng, seen: list[int], x: int) -> int | None:
    _, height, width, channels = made.new.shape(x)
    filters = int(rng.choice([2, 4, 16, 24, 32]))
    like = [n for n in seen if made.new.shape(n) == made.new.shape(x)]
    act = str(rng.choice(["NONE", "RELU", "RELU6"]))
    match rng.integers(13):
        case 0 | 1 | 2:
            return made.conv(x, filters, act=act)
        case 3:
            size = int(rng.integers(1, 4)), int(rng.integers(1, 6))
            return made.conv(x, int(rng.integers(2, 5)), size=size, act=act)
        case 4:
            return made.conv(
                x, filters, size=int(rng.integers(1, 4)), strides=int(rng.integers(1, 4))
            )
        case 5:
            stride = int(rng.integers(1, 3))
            return made.depthwise(x, size=int(rng.choice([1, 3])), stride=stride)
        case 6 | 7 if min(height, width) > 3:
            kind = str(rng.choice(["MAX_POOL_2D", "AVERAGE_POOL_2D"]))
            padding = str(rng.choice(["VALID", "SAME"]))
            return made.pool(x, int(rng.integers(2, 4)), kind, padding)
        case 8:
            return made.sum(x, like[rng.integers(len(like))])
        case 9 if channels < 48:
            return made.join(x, x)
        case 10 if channels % 4 == 0 and height < 80:
            return made.to_space(x)
        case 11:
            return made.sigmoid(x)
        case 12:
            return made.padded(x, rng.integers(0, 3, 4))
    return None


@KINDS
@pytest.mark.parametrize(
    "seeds", [range(12), pytest.param(range(12, 150), marks=pytest.mark.slow)], ids=len
)
def test_random_graphs(seeds, int8):
    """Cut in two, in some and in as many strips as there can be; and packed before."""
    cut = varied = 0
    for seed in seeds:
        content, rows = drawn(seed, int8)
        varied += np.ptp(ran(content, rows).read()[0].astype(float)) > 0
        for part, halos in ((2, False), (5, False), (1000, False), (3, True), (20, True)):
            new = stripped(content, max(1, largest(content) // part), halos)
            cut += "SLICE" in ops(new)
            assert_same(content, flatbuffer.write(new.finished()), rows)
        both = packed(content)
        strip(both, max(1, largest(content) // 3))
        assert_same(content, flatbuffer.write(both.finished()), rows, close=True)
    assert min(cut, varied) > 0.6 * len(seeds)


@KINDS
def test_a_factored_unet(int8):
    content, rows = unet(int8)
    new = stripped(content, largest(content) // 6)
    file = flatbuffer.write(new.finished())
    assert_same(content, file, rows)
    before, after = (memory.expected(flatbuffer.read(one)) for one in (content, file))
    assert after.activations < 0.5 * before.activations
    assert ran(file, rows).ops()["partitions"] == 1
    assert ran(file, rows).ops()["refused"] == {}
    joined = [len(op.inputs) for op in new.graph.operators if new.name(op) == "CONCATENATION"]
    assert max(joined) <= 4


@KINDS
def test_the_skip_no_longer_waits_for_the_way_up(int8):
    """Even a whole region runs before what reads its ends, which costs no bytes."""
    content, rows = unet(int8)
    new = stripped(content, 3 * largest(content))
    file = flatbuffer.write(new.finished())
    assert sorted(ops(new)) == sorted(ops(Rewriter(flatbuffer.read(content))))
    assert len(file) <= len(flatbuffer.write(flatbuffer.read(content)))
    before, after = (memory.expected(flatbuffer.read(one)) for one in (content, file))
    assert after.activations < before.activations
    assert_same(content, file, rows)


@KINDS
def test_a_wide_skip_that_the_way_up_reads_stays_whole(int8):
    """The encoder and the decoder are no region, for what is between them needs the one first."""
    made = Files(int8=int8)
    skip = made.conv(made.input(16, 8, 3), 32)
    below = made.conv(made.conv(made.pool(skip), 4), 4, size=3)
    up = made.to_space(made.conv(below, 128))
    content = made.content(made.conv(made.sum(skip, up), 2))
    rows = inputs_of(made)
    for part in (1, 3, 9):
        file = flatbuffer.write(stripped(content, largest(content) // part).finished())
        assert_same(content, file, rows)
        assert ran(file, rows).ops()["partitions"] == 1


@pytest.mark.parametrize("path", MODELS, ids=lambda one: one.stem)
def test_published_files(path):
    """Also ops in float16, int16 and with int8 weights on float activations."""
    content = path.read_bytes()
    new = packed(content)
    strip(new, 64)
    (taken,) = tflite.inspect(content).inputs
    row = np.random.default_rng(0).integers(0, 100, (1, *taken.shape[1:])) / 100
    row = (100 * row - 50 if taken.dtype.startswith("int") else row).astype(taken.dtype)
    assert_same(content, flatbuffer.write(new.finished()), [row], close=True)


def test_convolutions_that_round_by_the_image_stay_whole():
    """With int8 weights, float activations get a scale from all values at once."""
    made = Files()
    x = made.input(12, 8, 8)
    y = made.conv(made.conv(x, 32), 4)
    for number in [int(op.inputs[1]) for op in made.operators]:
        tensor, values = made.new.graph.tensors[number], made.new.data(number).view(np.float32)
        scale = np.abs(values).max() / 127
        data = np.round(values / scale).astype(np.int8)
        made.new.model.buffers[tensor.buffer].data = data.view(np.uint8)
        tensor.type = schema.TensorType.INT8
        tensor.quantization = made.scales(np.array([scale]), np.array([0]))
    content = made.content(y)
    new = stripped(content, largest(content) // 4)
    assert_same(content, flatbuffer.write(new.finished()), inputs_of(made))
    assert "SLICE" not in ops(new)


def test_an_image_of_one_row_stays_whole():
    made = Files()
    content = made.content(made.conv(made.conv(made.input(1, 50, 3), 64), 2))
    assert "SLICE" not in ops(stripped(content, 1))
