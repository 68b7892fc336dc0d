"""Files that need less memory give the same bits."""

import numpy as np
import pytest
from strip_graphs import Files

from fr_bench.benchmark._worker import CpuModel
from fr_keras.tflite.file import flatbuffer, memory
from fr_keras.tflite.file._packed import pack
from fr_keras.tflite.file._rewriting import Rewriter
from fr_keras.tflite.file._strips import strip
from fr_keras.tflite.file.fitting import fitted

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


def stripped(content: bytes, most: int) -> Rewriter:
    new = Rewriter(flatbuffer.read(content))
    strip(new, most)
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
    match rng.integers(12):
        case 0 | 1 | 2:
            return made.conv(x, filters, act=act)
        case 3:
            size = int(rng.integers(1, 4)), int(rng.integers(1, 6))
            return made.conv(x, int(rng.integers(2, 5)), size=size, act=act)
        case 4:
            return made.conv(x, filters, strides=int(rng.integers(1, 4)))
        case 5:
            return made.depthwise(x, size=int(rng.choice([1, 3])))
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
        for part in (2, 5, 1000):
            new = stripped(content, max(1, largest(content) // part))
            cut += "SLICE" in ops(new)
            assert_same(content, flatbuffer.write(new.model), rows)
        both = packed(content)
        strip(both, max(1, largest(content) // 3))
        assert_same(content, flatbuffer.write(both.model), rows, close=True)
    assert min(cut, varied) > 0.6 * len(seeds)


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


@KINDS
def test_a_factored_unet(int8):
    content, rows = unet(int8)
    new = stripped(content, largest(content) // 6)
    file = flatbuffer.write(new.model)
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
    file = flatbuffer.write(new.model)
    assert sorted(ops(new)) == sorted(ops(Rewriter(flatbuffer.read(content))))
    assert len(file) == len(flatbuffer.write(flatbuffer.read(content)))
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
        file = flatbuffer.write(stripped(content, largest(content) // part).model)
        assert_same(content, file, rows)
        assert ran(file, rows).ops()["partitions"] == 1


@KINDS
@pytest.mark.parametrize("width", [12, 9, 10, 7, 1])
@pytest.mark.parametrize("size", [(3, 3), (5, 5), (1, 3), (3, 1), (2, 4), (3, 9)], ids=str)
def test_packed_cores(size, width, int8):
    made = Files(int8=int8)
    x = made.input(6, width, 3)
    y = made.conv(made.conv(x, 4, size=size, act="RELU6"), 3, size=size)
    content, rows = made.content(y, made.conv(x, 2, size=3)), inputs_of(made)
    new = packed(content)
    # Of a width without divisors from 2 to 4 each pixel stays by itself.
    assert ("RESHAPE" in ops(new)) == (width not in (7, 1))
    assert_same(content, flatbuffer.write(new.model), rows, close=True)
    assert ran(flatbuffer.write(new.model), rows).ops()["partitions"] == 1


@KINDS
def test_what_cannot_be_packed_stays(int8):
    made = Files(int8=int8)
    x, wide = made.input(8, 8, 4), made.input(8, 8, 8)
    content = made.content(
        made.conv(x, 4, size=3, strides=2),
        made.conv(x, 4, size=3, padding="VALID"),
        made.conv(x, 8, size=3),
        made.conv(wide, 4, size=3),
        made.conv(x, 4),
        made.depthwise(x),
    )
    assert ops(packed(content)) == ops(Rewriter(flatbuffer.read(content)))


def test_packing_saves_window_tables_where_they_are_worth_it():
    content, _ = unet(False)
    windows = [
        memory.expected(packed(content, worth).model).windows for worth in (np.inf, 10, 1, 0)
    ]
    assert windows[0] == memory.expected(flatbuffer.read(content)).windows
    assert windows == sorted(windows, reverse=True)
    assert windows[-1] < 0.5 * windows[0]


def test_a_goal_is_kept_with_the_shortest_file():
    content, rows = unet(False, 160, 96)
    before = memory.expected(flatbuffer.read(content)).total
    lengths = []
    for goal in (before, int(0.8 * before), int(0.5 * before)):
        file, _ = fitted(content, goal, {})
        assert memory.expected(flatbuffer.read(file)).total <= goal
        assert_same(content, file, rows, close=True)
        lengths.append(len(file))
    assert lengths[0] == len(content)
    assert lengths == sorted(lengths)


def test_a_goal_that_cannot_be_kept_is_an_error_with_the_least_that_can():
    content, _ = unet(False, 160, 96)
    with pytest.raises(ValueError, match="`memory` must be at least") as caught:
        fitted(content, 1000, {})
    least = int(str(caught.value).split("at least ")[1].split(" for")[0].replace(",", ""))
    assert memory.expected(flatbuffer.read(fitted(content, least, {})[0])).total == least
    with pytest.raises(ValueError, match=f"at least {least:,}"):
        fitted(content, least - 1, {})


def test_auto_leaves_small_files_alone():
    content, _ = unet(False)
    assert fitted(content, "auto", {3: "x"}) == (content, {3: "x"})


def test_auto_spends_bytes_only_where_they_save_far_more_memory():
    content, rows = unet(True, 480, 400, 64)
    file, _ = fitted(content, "auto", {})
    before, after = (memory.expected(flatbuffer.read(one)) for one in (content, file))
    assert before.total - after.total > 500 * (len(file) - len(content)) > 0
    assert after.total < 0.5 * before.total
    assert_same(content, file, rows)


@pytest.mark.parametrize("graphs", [1, 2])
def test_graphs_whose_memory_is_not_known_stay(graphs):
    made = Files()
    content = made.content(made.conv(made.conv(made.input(4, 4, 3), 32), 2))
    model = flatbuffer.read(content)
    if graphs == 2:
        model.subgraphs.append(model.subgraphs[0])
    else:
        model.subgraphs[0].tensors[0].shapeSignature = np.array([1, -1, 4, 3], np.int32)
    content = flatbuffer.write(model)
    assert fitted(content, "auto", {}) == (content, {})
    with pytest.raises(ValueError, match="loops or open shapes"):
        fitted(content, 10, {})


def test_an_image_of_one_row_stays_whole():
    made = Files()
    content = made.content(made.conv(made.conv(made.input(1, 50, 3), 64), 2))
    assert "SLICE" not in ops(stripped(content, 1))


def test_ops_are_found_again_by_their_constants():
    """What belongs to an op belongs to the first of its strips; packed ops have other constants."""
    content, _ = unet(True, 96, 64)
    old = Rewriter(flatbuffer.read(content))
    places = {n: n for n, op in enumerate(old.graph.operators) if old.name(op) == "CONV_2D"}
    file, moved = fitted(content, int(0.6 * memory.expected(old.model).total), places)
    new = Rewriter(flatbuffer.read(file))
    assert "SLICE" in ops(new)
    assert "RESHAPE" in ops(new)
    for now, before in moved.items():
        kernels = [
            one.data(op.inputs[1]).tobytes()
            for one, op in ((new, new.graph.operators[now]), (old, old.graph.operators[before]))
        ]
        assert kernels[0] == kernels[1]
    assert 0 < len(moved) < len(places)
