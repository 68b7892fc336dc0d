"""Files that keep to a goal of memory."""

import numpy as np
import pytest
from rewritten import KINDS, assert_same, inputs_of, ops, ran, unet
from strip_graphs import Files

from fr_keras.tflite.file import flatbuffer, memory
from fr_keras.tflite.file._rewriting import Rewriter
from fr_keras.tflite.file.fitting import Fitted, fitted


def test_a_goal_is_kept_with_the_shortest_file():
    content, rows = unet(False, 96, 64)
    before = memory.expected(flatbuffer.read(content)).total
    lengths = []
    for goal in (before, int(0.8 * before), int(0.5 * before)):
        file = fitted(content, goal, {}).content
        assert memory.expected(flatbuffer.read(file)).total <= goal
        assert_same(content, file, rows, close=True)
        lengths.append(len(file))
    assert lengths[0] == len(content)
    assert lengths == sorted(lengths)


def test_a_goal_that_cannot_be_kept_is_an_error_with_the_least_that_can():
    content, _ = unet(False, 96, 64)
    with pytest.raises(ValueError, match="`memory` must be at least") as caught:
        fitted(content, 1000, {})
    least = int(str(caught.value).split("at least ")[1].split(" for")[0].replace(",", ""))
    assert memory.expected(flatbuffer.read(fitted(content, least, {}).content)).total == least
    with pytest.raises(ValueError, match=f"at least {least:,}"):
        fitted(content, least - 1, {})


def test_auto_leaves_small_files_alone():
    content, _ = unet(False)
    assert fitted(content, "auto", {3: "x"}) == Fitted(content, {3: "x"})


def test_auto_spends_bytes_only_where_they_save_far_more_memory():
    content, rows = unet(True, 400, 360, 64)
    file = fitted(content, "auto", {}).content
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
    assert fitted(content, "auto", {}) == Fitted(content, {})
    with pytest.raises(ValueError, match="loops or open shapes"):
        fitted(content, 10, {})


def test_ops_are_found_again_by_their_constants():
    """What belongs to an op belongs to the first of its strips; packed ops have other constants."""
    content, _ = unet(True, 96, 64)
    old = Rewriter(flatbuffer.read(content))
    places = {n: n for n, op in enumerate(old.graph.operators) if old.name(op) == "CONV_2D"}
    fit = fitted(content, int(0.6 * memory.expected(old.model).total), places)
    file, moved = fit.content, fit.places
    assert fit.twice == 0
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


@KINDS
def test_rows_are_computed_twice_only_if_the_goal_needs_it(int8):
    """As in MobileNetV2: wide tensors before and behind a depthwise convolution."""
    made = Files(int8=int8)
    x = made.input(96, 64, 3)
    for strides in (1, 2):
        x = made.conv(made.depthwise(made.conv(x, 48), stride=strides), 8)
    content, rows = made.content(x), inputs_of(made)
    before = memory.expected(flatbuffer.read(content))
    with pytest.raises(ValueError, match="at least") as caught:
        fitted(content, 1, {})
    least = int(str(caught.value).split("at least ")[1].split(" for")[0].replace(",", ""))
    assert least < 0.7 * before.total
    fit = fitted(content, int(0.8 * before.total), {})
    assert 0 < fit.twice < 0.5
    assert fit.twice < fitted(content, least, {}).twice
    assert_same(content, fit.content, rows)
    assert ran(fit.content, rows).ops()["partitions"] == 1


def test_what_nothing_needs_any_more_is_not_in_the_file():
    """The kernels before packing, and the whole tensors inside of regions."""
    content, _ = unet(False, 96, 64)
    whole = memory.expected(flatbuffer.read(content)).total
    model = flatbuffer.read(fitted(content, int(0.5 * whole), {}).content)
    (graph,) = model.subgraphs
    used = {int(n) for op in graph.operators for n in (*op.inputs, *op.outputs)}
    assert used | {*graph.inputs, *graph.outputs} == {*range(len(graph.tensors))}
    assert {one.buffer for one in graph.tensors} == {*range(len(model.buffers))}
