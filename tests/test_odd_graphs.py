"""Graphs that people build: keywords, operators, shared and nested layers."""

import keras
import numpy as np
import pytest
from examples import telling
from keras import layers as kl
from networks import relative_difference

from fr_keras import bake, compact, regularize
from fr_keras.models.walk import frequency_layers


def by_keyword():
    a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
    x = kl.Concatenate()(inputs=[kl.Dense(5)(inputs=a), kl.Dense(4)(b)])
    x = kl.BatchNormalization()(inputs=x)
    y = kl.MultiHeadAttention(2, 3)(query=kl.Reshape((3, 3))(x), value=kl.Reshape((3, 3))(x))
    return keras.Model([a, b], kl.Dense(3)(inputs=kl.Flatten()(inputs=y)))


def operators():
    inputs = keras.Input((4, 6))
    x = kl.Dense(6)(inputs)
    y = keras.ops.matmul(x, keras.ops.transpose(x, (0, 2, 1)))
    y = keras.ops.softmax(y / 2.0 - 1.0, axis=-1)
    parts = keras.ops.split(keras.ops.matmul(y, x)[:, 1:], 3, axis=1)
    x = keras.ops.concatenate([parts[0], keras.ops.maximum(parts[1], parts[2])], axis=-1)
    x = keras.ops.where(x > 0, x, 0.1 * x) ** 2
    return keras.Model(inputs, kl.Dense(3)(keras.ops.squeeze(x, 1)))


def masked():
    inputs = keras.Input((5,), dtype="int32")
    x = kl.Embedding(9, 6, mask_zero=True)(inputs)
    x = kl.Bidirectional(kl.LSTM(4, return_sequences=True), merge_mode="sum")(x)
    return keras.Model(inputs, kl.Dense(3)(kl.GRU(4)(x, mask=keras.ops.not_equal(inputs, 0))))


def shared():
    a, b = keras.Input((8, 8, 3)), keras.Input((4, 4, 3))
    head = kl.Conv2D(6, 3, padding="same", activation="relu", name="head")
    norm, dense = kl.BatchNormalization(name="norm"), kl.Dense(4, name="dense")
    pooled = [kl.GlobalAveragePooling2D()(norm(head(x))) for x in (a, b)]
    return keras.Model([a, b], [dense(x) for x in pooled] + [dense(kl.Add()(pooled))])


def nested_shared():
    inner = keras.Sequential([keras.Input((6,)), kl.Dense(6, name="fc"), kl.ReLU()], name="inner")
    inputs = keras.Input((6,))
    middle = keras.Model(inputs, kl.Add()([inner(inputs), inner(inner(inputs))]), name="middle")
    x, y = keras.Input((6,)), keras.Input((2, 6))
    both = [middle(x), inner(x), middle(inner(x)), kl.Flatten()(kl.TimeDistributed(middle)(y))]
    return keras.Model([x, y], kl.Dense(3, name="fc")(kl.Concatenate()(both)))


def one_input_in_two_models():
    inputs = keras.Input((6,), name="x")
    backbone = keras.Model(inputs, kl.Dense(5, activation="tanh")(inputs), name="backbone")
    cut = keras.Model(backbone.output, kl.Dense(4)(backbone.output), name="cut")
    return keras.Model(inputs, [cut(backbone(inputs)), backbone.output])


def inputs_that_are_outputs():
    inputs = keras.Input((6,))
    x = kl.Dense(5)(inputs)
    return keras.Model(inputs, [inputs, x, x, kl.Dense(3)(x)])


def twice_in_one_call():
    inputs = keras.Input((5, 6))
    x = kl.Dense(6)(inputs)
    return keras.Model(
        inputs, kl.Dense(3)(kl.Add()([x, x])) + kl.Dense(3)(kl.Dot(1)([x, x]))[:, 1:]
    )


MODELS = (
    by_keyword,
    operators,
    masked,
    shared,
    nested_shared,
    one_input_in_two_models,
    inputs_that_are_outputs,
    twice_in_one_call,
)
# Keras 3.15 cannot load the plain models of these either.
NO_FILE = (nested_shared, one_input_in_two_models)
each_model = pytest.mark.parametrize(
    "make",
    telling(MODELS, operators, masked, nested_shared, twice_in_one_call),
    ids=lambda make: make.__name__,
)


def rows_of(model):
    rng = np.random.default_rng(0)
    rows = [
        rng.integers(0, 9, (8, *one.shape[1:]))
        if one.dtype == "int32"
        else rng.normal(size=(8, *one.shape[1:])).astype("float32")
        for one in model.inputs
    ]
    return rows if len(rows) > 1 else rows[0]


def assert_same(model, other, rows):
    expected, found = (keras.tree.flatten(one(rows)) for one in (model, other))
    for one, two in zip(expected, found, strict=True):
        assert relative_difference(one, two) < 1e-4


@each_model
def test_twin_bake_and_file_are_the_same_function(make, tmp_path):
    model = make()
    rows = rows_of(model)
    twin = regularize(model)
    assert_same(model, twin, rows)
    for part in frequency_layers(twin):
        part.truncate(max(1, part.kept // 3))
    assert_same(twin, bake(twin), rows)
    assert_same(twin, compact(twin), rows)
    if make in NO_FILE:
        return
    twin.save(tmp_path / "twin.keras")
    again = keras.models.load_model(tmp_path / "twin.keras")
    assert_same(twin, again, rows)
    assert_same(twin, bake(again), rows)


@pytest.mark.usefixtures("stepwise")
@each_model
def test_corners_from_the_start_train_and_are_baked(make):
    model = make()
    rows = rows_of(model)
    twin = regularize(model, start=0.5)
    twin.compile("sgd", ["mse"] * len(model.outputs) if len(model.outputs) > 1 else "mse")
    outputs = model.predict(rows, verbose=0)
    twin.fit(rows, outputs, verbose=0)
    assert_same(twin, bake(twin), rows)
