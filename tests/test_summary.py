import json

import keras
import numpy as np
import pytest
from keras import layers as kl
from networks import small_convnet, truncated_twin

from fr_keras import regularize, summary, zoo
from fr_keras.rebuild import frequency_layers


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


def test_a_layer_used_twice_has_no_single_multiply_adds():
    shared = kl.Dense(4, name="shared")
    a, b = keras.Input((3,)), keras.Input((3,))
    model = keras.Model([a, b], kl.Add()([shared(a), shared(b)]))
    assert summary(model).rows[0].multiply_adds is None
    assert summary(model).to_dict()["multiply_adds"] == 0


def test_unbuilt_is_refused():
    with pytest.raises(ValueError, match="unbuilt"):
        summary(keras.Sequential([kl.Dense(3)]))
    assert np.isfinite(summary(small_convnet()).total("bytes"))
