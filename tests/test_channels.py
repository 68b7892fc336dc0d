"""Channels: what belongs together, what is left when some are removed, and other orders."""

import keras
import numpy as np
import pytest
from channel_graphs import (
    STEPS,
    Builder,
    check,
    inputs_of,
    lifted,
    lively,
)
from examples import telling
from keras import layers, ops

from fr_keras import zoo
from fr_keras.models import channels
from fr_keras.models.walk import all_layers


@pytest.mark.parametrize("seed", telling(range(6), 2, 4))
def test_random_graphs(seed):
    keras.utils.set_random_seed(seed)
    model = lifted(lively(Builder(seed).model()))
    check(model, inputs_of(model), seed, 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6, 200))
def test_more_random_graphs(seed):
    test_random_graphs(seed)


#: For each step between two convolutions: the groups that come from it, and what holds them.
EXPECTED = {
    "conv": {"stem": 8, "conv": 12},
    "residual": {"stem": 8, "residual_1": 12},
    "squeeze_excite": {"stem": 8, "squeeze_excite_down": 4},
    "dense_block": {"stem": 8, "dense_block_conv": 12},
    "depthwise": {"stem": 8, "depthwise_point": 8},
    "separable": {"stem": 8, "separable": 12},
    "grouped": {"stem": 8, "grouped_in": 8},
    "up_and_down": {"stem": 8, "up_and_down_c": 12, "up_and_down_up": 8},
    "pixel_shuffle": {"stem": 8, "pixel_shuffle_conv": 4},
    "channel_shuffle": {"stem": 4},
    "prelu": {"stem": 8},
    "norms": {"stem": "'norms' (RMSNormalization) normalizes over them"},
    "attention": {"stem": 8, "attention/heads": 4, "attention": 8, "attention_wide": 12},
    "shared": {"stem": 8, "shared_in": 8},
    "nested": {"stem": 8, "nested_in": 8, "first": 6},
    "operators": {"stem": 8},
    "steps": {"stem": 8, "steps_row": 8},
    "recurrent": {"stem": 8},
    "mixer": {
        "stem": 8,
        "mixer_wide": 10,
        "mixer_back": "'mixer' (Add) joins them with channels that stay",
    },
    "unknown": {"stem": "'unknown' (Lambda) is a layer whose channels are not known"},
}


@pytest.mark.parametrize(
    "name",
    telling(
        STEPS,
        *("attention", "channel_shuffle", "grouped", "mixer", "nested", "operators"),
        *("pixel_shuffle", "shared"),
    ),
)
def test_each_step(name):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same", name="stem")(inputs)
    x = STEPS[name](Builder(0), x, name)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, padding="same", name="after")(x))
    model = lively(keras.Model(inputs, layers.Dense(3, name="logits")(x)))
    found = channels.groups(model)
    seen = {
        name: one.size if one.removable else one.reason
        for name, one in found.items()
        if name not in ("after", "logits")
    }
    assert seen.keys() == EXPECTED[name].keys()
    for group, expected in EXPECTED[name].items():
        assert seen[group] == expected or str(seen[group]).startswith(str(expected))
    assert found["logits"].reason == "the model gives them"
    assert found["after"].removable
    check(model, inputs_of(model), 0, 1e-5)


def _joined(kind):
    """Layers of one and three dimensions, behind and before others of their kind."""
    if kind == "1d":
        x = inputs = keras.Input((12, 3))
        x = layers.Conv1D(6, 3, padding="causal", activation="relu")(x)
        x = layers.DepthwiseConv1D(3, depth_multiplier=2, padding="same")(x)
        x = layers.SeparableConv1D(8, 3, padding="same")(x)
        x = layers.Conv1DTranspose(5, 2, strides=2)(layers.MaxPooling1D()(x))
        x = layers.Cropping1D(1)(layers.ZeroPadding1D(2)(layers.UpSampling1D()(x)))
        x = layers.GlobalMaxPooling1D()(x)
    elif kind == "3d":
        x = inputs = keras.Input((4, 4, 4, 2))
        x = layers.Conv3D(6, 3, padding="same", groups=2, activation="relu")(x)
        x = layers.AveragePooling3D(2)(layers.Conv3DTranspose(4, 2, strides=2)(x))
        x = layers.GlobalAveragePooling3D(keepdims=True)(layers.SpatialDropout3D(0.5)(x))
        x = layers.Flatten()(x)
    elif kind == "text":
        inputs = keras.Input((7,), dtype="int32")
        x = layers.Embedding(20, 8)(inputs)
        x = layers.EinsumDense("...x,xy->...y", 6, bias_axes="y", activation="relu")(x)
        x = layers.EinsumDense("abc,cde->abde", (7, 2, 4), bias_axes="de")(x)
        x = layers.EinsumDense("abde,dec->abc", (7, 9), bias_axes="c")(layers.LeakyReLU()(x))
        x = layers.LSTM(5)(layers.GaussianNoise(0.1)(x))
    elif kind == "vectors":
        inputs = keras.Input((10,))
        x = layers.Dense(12, activation="relu")(inputs)
        x = layers.BatchNormalization(center=False)(layers.RepeatVector(3)(x))
        x = layers.Dense(7, activation="softmax")(layers.Flatten()(x))
        x = layers.UnitNormalization()(layers.Dense(9)(x))
        x = layers.concatenate([x, inputs, layers.average([x, layers.Dense(9)(inputs)])])
    elif kind == "operators":
        inputs = keras.Input((4, 4, 3))
        x = ops.space_to_depth(layers.Conv2D(4, 3, padding="same")(inputs), 2)
        x = ops.transpose(ops.clip(layers.Conv2D(6, 1)(x), -1, 1), (0, 3, 1, 2))
        x = ops.concatenate([ops.mean(x, (2, 3)), ops.max(ops.exp(x), (2, 3))], axis=-1)
        x = ops.squeeze(ops.expand_dims(ops.reshape(layers.Dense(8)(x), (-1, 2, 4)), 1), 1)
        x = layers.Dense(5)(ops.sum(ops.softmax(x / 2, axis=-1) ** 2, axis=1))
    return keras.Model(inputs, layers.Dense(3)(x))


@pytest.mark.parametrize(
    ("kind", "removable"), [("1d", 3), ("3d", 2), ("text", 5), ("vectors", 1), ("operators", 3)]
)
def test_other_layers(kind, removable):
    keras.utils.set_random_seed(0)
    model = lively(_joined(kind))
    x = inputs_of(model) if kind != "text" else [np.arange(28).reshape(4, 7) % 20]
    found = channels.groups(model)
    assert sum(one.removable for one in found.values()) == removable
    check(model, x, 1, 1e-5)


APPLICATIONS = {
    "MobileNetV2": 64,
    "MobileNetV3Small": 64,
    "ResNet50": 64,
    "ResNet50V2": 64,
    "DenseNet121": 64,
    "EfficientNetB0": 64,
    "EfficientNetV2B0": 64,
    "InceptionV3": 96,
    "NASNetMobile": 64,
    "Xception": 80,
}


# In float32 a channel that normalization scales up a thousandfold hides what is to be seen.
@pytest.mark.slow
@pytest.mark.parametrize("name", APPLICATIONS)
def test_applications(name, float64):
    keras.utils.set_random_seed(0)
    side = APPLICATIONS[name]
    model = getattr(keras.applications, name)(
        weights=None, input_shape=(side, side, 3), classes=10, classifier_activation=None
    )
    x = [np.random.default_rng(0).random((4, side, side, 3))]
    lively(model)
    for layer in all_layers(model):
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 1 / 256
    model(x[0], training=True)  # statistics of these rows
    found = channels.groups(model)
    assert [one.reason for one in found.values() if not one.removable] == ["the model gives them"]
    check(model, x, 0, 1e-9)


def test_a_single_channel_is_one_of_all_positions_behind_a_flatten():
    inputs = keras.Input((4, 4, 2))
    x = layers.Flatten()(layers.Conv2D(1, 3, name="conv")(inputs))
    group = channels.groups(keras.Model(inputs, layers.Dense(2)(x)))["conv"]
    assert group.removable
    assert [one.positions.tolist() for one in group.axes] == [[[0]], [[0]], [[0, 1, 2, 3]]]


def test_networks_of_the_zoo_are_free():
    for model in (zoo.resnet20(), zoo.lenet5(batch_norm=True), zoo.unet(filters=2)):
        found = channels.groups(model)
        assert [one.removable for one in found.values()].count(False) == 1
    found = channels.groups(zoo.resnet20())
    assert found["stem"].layers == ("stem", *(f"stage1_block{i}_conv2" for i in (1, 2, 3)))
