import json
import math

import keras
import numpy as np
import pytest
from keras import layers as kl
from networks import small_convnet, truncated_twin

from fr_keras import bake, layers, register_twin, regularize, summary, zoo
from fr_keras.models.walk import frequency_layers


def test_lenet5_as_the_paper_counts():
    twin = regularize(zoo.lenet5(batch_norm=True))
    for layer in frequency_layers(twin):
        layer.truncate(100)
    found = summary(twin).to_dict()
    assert found["kernel_weights"] == 430_500
    assert found["kept"] == 400
    assert found["other"] == 2 * (20 + 50 + 500)
    assert found["stored"] == 400 + 1140
    assert found["bytes"] == 4 * 1540
    assert found["multiply_adds"] == 24 * 24 * 500 + 8 * 8 * 25_000 + 400_000 + 5_000
    assert found["passed_through"] == ["conv1_bn", "conv2_bn", "hidden_bn"]


def test_the_sums_are_the_weights_of_the_model():
    """Every number of a plain model is counted once, as kernel or as other."""
    plain = small_convnet()
    for model in (plain, regularize(plain)):
        found = summary(model).to_dict()
        assert found["stored"] == plain.count_params()
        assert found["kernel_weights"] == 216 + 72 + 432 + 216 * 16 + 80
    assert found["passed_through"] == ["bn", "down_bn"]


def test_corners_and_kept_after_truncation():
    twin = truncated_twin(small_convnet(), 0.1)
    rows = {row.name: row for row in summary(twin).rows}
    for layer in frequency_layers(twin):
        assert rows[layer.name].kept == layer.kept
        assert rows[layer.name].corner == layer.corner
    assert rows["bn"].corner is None


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (kl.Conv2D(6, 3, strides=2), (9, 9, 4), 4 * 4 * 3 * 3 * 4 * 6),
        (kl.Conv2D(6, 3, groups=2), (9, 9, 4), 7 * 7 * 3 * 3 * 2 * 6),
        (kl.Conv2DTranspose(6, 2, strides=2), (5, 5, 4), 5 * 5 * 2 * 2 * 4 * 6),
        (kl.DepthwiseConv2D(3), (9, 9, 4), 7 * 7 * 3 * 3 * 4),
        (kl.SeparableConv2D(6, 3, depth_multiplier=2), (9, 9, 4), 49 * (72 + 48)),
        (kl.Dense(6), (3, 8), 3 * 8 * 6),
        (kl.Conv1D(6, 3), (None, 4), None),
    ],
)
def test_multiply_adds(layer, shape, expected):
    model = keras.Sequential([keras.Input(shape), layer])
    for one in (model, regularize(model)):
        assert summary(one).rows[0].multiply_adds == expected


def test_table_and_json():
    twin = truncated_twin(small_convnet(), 0.1)
    found = summary(twin)
    text = str(found)
    assert all(row.name in text for row in found.rows)
    assert f"{found.total('kernel_weights'):,}" in text
    assert json.loads(json.dumps(found.to_dict()))["layers"][0]["name"] == "conv"


def test_multiply_adds_count_every_use():
    shared = kl.Dense(4, name="shared")
    inner = keras.Sequential([keras.Input((4,)), kl.Dense(5, name="inner")])
    a, b = keras.Input((3,)), keras.Input((7, 3))
    x = kl.Add()([shared(a), kl.GlobalAveragePooling1D()(shared(b))])
    timed = kl.TimeDistributed(kl.Dense(2, name="timed"))(b)
    model = keras.Model([a, b], [inner(x), inner(x), timed])
    found = {row.name: row.multiply_adds for row in summary(model).rows}
    assert found == {"shared": 12 * (1 + 7), "inner": 2 * 20, "timed": 7 * 6}


def test_a_sequential_model_grown_by_add():
    model = keras.Sequential([keras.Input((9, 9, 4))])
    for layer in (kl.Conv2D(6, 3), kl.Flatten(), kl.Dense(3)):
        model.add(layer)
    for one in (model, regularize(model)):
        assert [row.multiply_adds for row in summary(one).rows] == [49 * 216, 294 * 3]


def test_layers_of_several_kernels_are_one_row():
    inputs = keras.Input((5, 8))
    x = kl.SeparableConv1D(6, 3, name="separable")(inputs)
    plain = keras.Model(inputs, kl.MultiHeadAttention(2, 4, name="attention")(x, x))
    twin = regularize(plain)
    for part in frequency_layers(twin):
        part.truncate(7)
    rows = {row.name: row for row in summary(twin).rows}
    assert (rows["separable"].kept, rows["separable"].kernel_weights) == (14, 24 + 48)
    assert (rows["attention"].kept, rows["attention"].kernel_weights) == (28, 4 * 48)
    assert rows["attention"].other == 3 * 8 + 6
    assert summary(twin).total("kernel_weights") == summary(plain).total("kernel_weights")
    assert summary(plain).to_dict()["stored"] == plain.count_params()


def test_what_is_not_converted_counts_as_other():
    twin = regularize(small_convnet(), exclude="hidden")
    found = summary(twin)
    row = next(row for row in found.rows if row.name == "hidden")
    assert (row.kept, row.other, row.kernel_weights) == (None, 216 * 16 + 16, 216 * 16)
    assert found.kept == sum(layer.kept for layer in frequency_layers(twin))
    assert "hidden" in found.passed_through


def test_it_shows_what_the_automatic_form_saves():
    """Weights as the baked model holds them, multiply-adds as for the same positions."""
    twin = truncated_twin(small_convnet(), 0.03)
    found = summary(twin)
    baked = bake(twin, form="auto")
    stages = {layer.name: layer for layer in baked.layers if isinstance(layer, keras.Sequential)}
    assert {"conv", "down", "hidden"} & set(stages)
    for row in found.rows:
        if row.form in (None, "dense"):
            assert row.name not in stages
            continue
        kernels = [math.prod(stage.kernel.shape) for stage in stages[row.name].layers]
        assert row.form == "+".join(
            stage.name.removeprefix(f"{row.name}_") for stage in stages[row.name].layers
        )
        assert row.form_weights == sum(kernels)
        assert row.form_multiply_adds < row.multiply_adds
    hidden = next(row for row in found.rows if row.name == "hidden")
    assert hidden.form_multiply_adds == hidden.form_weights
    sums = found.to_dict()
    unfactored = sum(row.kernel_weights for row in found.rows if row.form is None)
    factored = sum(row.form_weights for row in found.rows if row.form)
    assert sums["form_weights"] == unfactored + factored
    assert "in+core" in str(found) or "core+out" in str(found)
    whole = summary(regularize(small_convnet())).to_dict()
    assert whole["form_weights"] == whole["kernel_weights"]
    assert whole["form_multiply_adds"] == whole["multiply_adds"]


def test_unbuilt_is_refused():
    with pytest.raises(ValueError, match="unbuilt"):
        summary(keras.Sequential([kl.Dense(3)]))
    assert np.isfinite(summary(small_convnet()).total("bytes"))


def test_layers_of_one_name_are_rows_with_their_paths():
    def block(name):
        return keras.Sequential([keras.Input((6,)), kl.Dense(4, name="fc")], name=name)

    inputs = keras.Input((6,))
    both = kl.Concatenate()([block("left")(inputs), block("right")(inputs)])
    twin = regularize(keras.Model(inputs, kl.Dense(2, name="last")(both)))
    assert [row.name for row in summary(twin).rows] == ["left/fc", "right/fc", "last"]


def test_the_name_of_a_class_changes_no_count():
    class TransposedConv(kl.Conv2D):
        pass

    class FRTransposedConv(layers.FRConv2D, TransposedConv):
        pass

    register_twin(TransposedConv, FRTransposedConv)
    counts = []
    for kind in (kl.Conv2D, TransposedConv):
        model = keras.Sequential([keras.Input((8, 8, 3)), kind(5, 3, strides=2)])
        counts += [summary(one).total("multiply_adds") for one in (model, regularize(model))]
    assert set(counts) == {3 * 3 * 3 * 3 * 3 * 5}


def test_layers_in_every_step_count_once_for_each():
    steps = keras.Input((5, 7, 9, 3))
    x = kl.TimeDistributed(kl.Conv2D(4, 1, name="conv"))(steps)
    nested = keras.Input((7, 9, 4))
    block = keras.Model(nested, kl.Conv2D(2, 1, name="inner")(nested))
    model = keras.Model(steps, kl.TimeDistributed(block)(x))
    first = keras.Input((5, 4, 7, 9))
    conv = kl.Conv2D(4, 1, data_format="channels_first", name="first")
    moved = keras.Model(first, kl.TimeDistributed(conv)(first))
    found = {row.name: row.multiply_adds for one in (model, moved) for row in summary(one).rows}
    assert found == {"conv": 315 * 12, "inner": 315 * 8, "first": 315 * 16}
