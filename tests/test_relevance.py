"""Layer-wise relevance propagation against the z+ rule written out in numpy."""

import itertools

import keras
import numpy as np
import pytest
from channel_graphs import lively
from examples import telling
from keras import layers
from ranking_networks import LABELS, rows_of

from fr_keras.methods import rank

START = np.eye(3)[LABELS]


def positive(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def shared_out(contributions: np.ndarray, above: np.ndarray) -> np.ndarray:
    """Relevance of inputs, from contributions `(rows, inputs, outputs)`, of which some are used."""
    parts = positive(contributions)
    total = parts.sum(1, keepdims=True)
    parts = np.divide(parts, total, out=np.zeros_like(parts), where=total > 0)
    return (parts * above[:, None]).sum(2)


def dense(x: np.ndarray, kernel: np.ndarray, above: np.ndarray) -> np.ndarray:
    return shared_out(x[:, :, None] * kernel, above)


def as_matrix(call, shape: tuple[int, ...]) -> np.ndarray:
    """The matrix `(inputs, outputs)` of a linear function of images, from what it does to each."""
    size = int(np.prod(shape))
    zero = np.array(call(np.zeros((1, *shape), "float32")))
    outputs = np.array(call(np.eye(size, dtype="float32").reshape(size, *shape)))
    return (outputs - zero).reshape(size, -1).astype(np.float64)


def values_of(model: keras.Model, x: np.ndarray, *names: str) -> list[np.ndarray]:
    inner = keras.Model(model.input, [model.get_layer(name).output for name in names])
    return [keras.ops.convert_to_numpy(one).astype(np.float64) for one in inner(x)]


def weight(model: keras.Model, name: str) -> np.ndarray:
    return np.array(model.get_layer(name).kernel, np.float64)


@pytest.mark.parametrize("activation", ["relu", "tanh", "silu"])
def test_dense_layers(activation):
    inputs = keras.Input((6,))
    x = layers.Dense(7, activation=activation, name="first")(inputs)
    x = layers.Dense(5, activation=activation, name="second")(x)
    model = lively(keras.Model(inputs, layers.Dense(3, activation="softmax", name="out")(x)))
    x = rows_of(model)
    first, second = values_of(model, x, "first", "second")
    below_out = dense(second, weight(model, "out"), START)
    below_second = dense(first, weight(model, "second"), below_out)
    scores = rank(model, (x, LABELS), "relevance")
    np.testing.assert_allclose(scores["second"], below_out.mean(0), rtol=1e-4)
    np.testing.assert_allclose(scores["first"], below_second.mean(0), rtol=1e-4, atol=1e-7)


def _image_network(conv, pool):
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="first")(inputs)
    x = conv(x)
    x = layers.Flatten(name="flat")(pool(x))
    return lively(keras.Model(inputs, layers.Dense(3, name="out")(x)))


CONVS = {
    "plain": lambda: layers.Conv2D(5, 3, activation="relu", name="second"),
    "strided": lambda: layers.Conv2D(5, 3, 2, padding="same", activation="relu", name="second"),
    "dilated": lambda: layers.Conv2D(5, 2, dilation_rate=2, activation="relu", name="second"),
    "groups": lambda: layers.Conv2D(6, 3, groups=2, activation="relu", name="second"),
    "transposed": lambda: layers.Conv2DTranspose(5, 2, 2, activation="relu", name="second"),
    "depthwise": lambda: layers.DepthwiseConv2D(3, depth_multiplier=2, name="second"),
    "einsum": lambda: layers.EinsumDense(
        "bhwc,cd->bhwd", (6, 6, 5), bias_axes="d", activation="relu", name="second"
    ),
}


@pytest.mark.parametrize(
    "example",
    telling(
        itertools.product(CONVS, ["AveragePooling2D", "MaxPooling2D"]),
        *[("groups", "AveragePooling2D"), ("dilated", "MaxPooling2D")],
        *[("depthwise", "MaxPooling2D"), ("einsum", "AveragePooling2D")],
        ("transposed", "MaxPooling2D"),
    ),
    ids="-".join,
)
def test_convolutions_and_pooling(example):
    conv, pool = example[0], getattr(layers, example[1])
    model = _image_network(CONVS[conv](), pool(2, name="pool"))
    x = rows_of(model)
    first, second, pooled = values_of(model, x, "first", "second", "pool")
    above = dense(pooled.reshape(len(x), -1), weight(model, "out"), START)
    expected = {"second": above.reshape(pooled.shape).sum((0, 1, 2))}
    above = _below_pool(pool, model, second, above)
    layer = model.get_layer("second")
    call = keras.Sequential([keras.Input(first.shape[1:]), _linear(layer)])
    call.layers[0].set_weights(layer.get_weights())
    matrix = as_matrix(call, first.shape[1:])
    above = shared_out(first.reshape(len(x), -1, 1) * matrix, above)
    expected["first"] = above.reshape(first.shape).sum((0, 1, 2))
    if conv == "groups":  # the channels at one place of both groups are one
        expected = {name: one.reshape(2, -1).sum(0) for name, one in expected.items()}
    if conv == "depthwise":  # what is read are two copies of each channel
        expected = {"first": expected["second"].reshape(-1, 2).sum(1)}
    scores = rank(model, (x, LABELS), "relevance")
    assert set(scores) == set(expected)
    for name, values in scores.items():
        np.testing.assert_allclose(values, expected[name] / len(x), rtol=1e-3, atol=1e-6)


def _linear(layer):
    return type(layer).from_config({**layer.get_config(), "activation": None})


def _below_pool(pool, model, values, above):
    if pool is layers.AveragePooling2D:
        matrix = as_matrix(model.get_layer("pool"), values.shape[1:])
        return shared_out(values.reshape(len(values), -1, 1) * matrix, above)
    height, width, channels = values.shape[1:]
    found = np.zeros_like(values)
    above = above.reshape(len(values), height // 2, width // 2, channels)
    for row, y, x, channel in np.ndindex(above.shape):
        window = values[row, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2, channel]
        i, j = np.unravel_index(window.argmax(), window.shape)
        found[row, 2 * y + i, 2 * x + j, channel] = above[row, y, x, channel]
    return found.reshape(len(values), -1)


def _signed(layer) -> None:
    """Gives a normalization factors of both signs, and live statistics."""
    gamma = np.linspace(-1.2, 1.1, layer.gamma.shape[0])
    layer.gamma.assign(gamma)


@pytest.mark.parametrize("kind", ["convolution", "dense", "depthwise", "transposed", "shared"])
def test_normalizations_right_behind_a_kernel_are_folded(kind):
    """The network with the normalization has the relevance of that with it in the kernel."""
    plain, normalized = (_with_norm(kind, folded) for folded in (True, False))
    x = rows_of(normalized)
    norm, layer = normalized.get_layer("norm"), normalized.get_layer("middle")
    _signed(norm)
    for name in ("first", "out"):
        plain.get_layer(name).set_weights(normalized.get_layer(name).get_weights())
    _fold(layer, norm, plain.get_layer("middle"))
    expected, found = (model(x, training=False) for model in (plain, normalized))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    expected, found = (rank(model, (x, LABELS), "relevance") for model in (plain, normalized))
    assert set(expected) == set(found)
    for name, values in found.items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-3, atol=1e-6)


def _with_norm(kind, folded):
    if kind == "dense":
        inputs, pool = keras.Input((6,)), layers.Identity()
        first, middle = layers.Dense(6, activation="relu", name="first"), layers.Dense(6)
    else:
        inputs, pool = keras.Input((6, 6, 2)), layers.Flatten()
        first = layers.Conv2D(6, 3, padding="same", activation="relu", name="first")
        middle = {
            "convolution": lambda: layers.Conv2D(6, 3, padding="same"),
            "shared": lambda: layers.Conv2D(6, 3, padding="same"),
            "depthwise": lambda: layers.DepthwiseConv2D(3, padding="same"),
            "transposed": lambda: layers.Conv2DTranspose(6, 3, 2, padding="same"),
        }[kind]()
    middle.name, x = "middle", first(inputs)
    norm, relu = layers.BatchNormalization(name="norm"), layers.ReLU()
    for _ in range(2 if kind == "shared" else 1):
        x = middle(x) if folded else norm(middle(x))
        x = relu(x)
    return lively(keras.Model(inputs, layers.Dense(3, name="out")(pool(x))))


def _fold(layer, norm, into) -> None:
    deviation = np.sqrt(np.array(norm.moving_variance) + norm.epsilon)
    factor = np.array(norm.gamma) / deviation
    kernel = np.array(layer.kernel)
    depthwise = isinstance(layer, layers.DepthwiseConv2D)
    transposed = isinstance(layer, layers.Conv2DTranspose)
    shaped = factor[:, None] if depthwise or transposed else factor
    into.kernel.assign(kernel * shaped)
    bias = (np.array(layer.bias) - np.array(norm.moving_mean)) * factor + np.array(norm.beta)
    into.bias.assign(bias)


def test_a_normalization_that_others_use_too_is_not_folded():
    """Its factors of both signs are none of the kernel's, for the kernel is also added."""
    inputs = keras.Input((4,))
    x = layers.Dense(5, activation="relu", name="first")(inputs)
    y = layers.Dense(6, name="middle")(x)
    z = layers.BatchNormalization(name="norm")(y)
    x = layers.ReLU(name="relu")(layers.Add()([y, z]))
    model = lively(keras.Model(inputs, layers.Dense(3, name="out")(x)))
    _signed(model.get_layer("norm"))
    x = rows_of(model)
    first, y, z, last = values_of(model, x, "first", "middle", "norm", "relu")
    above = dense(last, weight(model, "out"), START)
    # Both parts of the sum get their share, and both belong to the dense layer.
    above *= positive(y) + positive(z) > 0
    expected = {"middle": above.mean(0)}
    expected["first"] = dense(first, weight(model, "middle"), above).mean(0)
    scores = rank(model, (x, LABELS), "relevance")
    assert set(scores) == {"first", "middle"}
    for name, values in scores.items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-4, atol=1e-7)


def test_additions_share_by_size():
    inputs = keras.Input((4,))
    first, second = (layers.Dense(3, activation="relu", name=n)(inputs) for n in ("a", "b"))
    first, second = (
        layers.Dense(3, activation="relu", name=f"{n}_reader")(x)
        for n, x in (("a", first), ("b", second))
    )
    x = layers.Add()([first, second])
    model = lively(keras.Model(inputs, layers.Dense(3, name="out")(x)))
    x = rows_of(model)
    names = ("a", "b", "a_reader", "b_reader")
    values = dict(zip(names, values_of(model, x, *names), strict=True))
    total = values["a_reader"] + values["b_reader"]
    above = dense(total, weight(model, "out"), START)
    scores = rank(model, (x, LABELS), "relevance")
    np.testing.assert_allclose(scores["a_reader"], above.mean(0), rtol=1e-4, atol=1e-7)
    for name in ("a", "b"):
        share = np.divide(
            values[f"{name}_reader"] * above, total, out=np.zeros_like(total), where=total > 0
        )
        expected = dense(values[name], weight(model, f"{name}_reader"), share)
        np.testing.assert_allclose(scores[name], expected.mean(0), rtol=1e-4, atol=1e-7)


def _no_kernel_is_negative(model):
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            layer.kernel.assign(np.abs(layer.kernel) + 0.01)
    return model


def test_relevance_is_neither_lost_nor_made():
    """In a chain, the channels of each group have all of it."""
    stages = {
        "scaled": layers.Rescaling(2.0, 0.1),
        "normal": layers.Normalization(mean=[0.0, 0.0], variance=[2.0, 3.0]),
        "conv": layers.Conv2D(6, 3, padding="same", name="conv"),
        "norm": layers.BatchNormalization(name="norm"),
        "relu": layers.ReLU(),
        "pad": layers.ZeroPadding2D(1),
        "depthwise": layers.DepthwiseConv2D(3, activation="relu", name="depthwise"),
        "pool": layers.MaxPooling2D(2),
        "up": layers.UpSampling2D(2, interpolation="bilinear"),
        "transposed": layers.Conv2DTranspose(4, 2, 2, activation="relu", name="transposed"),
        "crop": layers.Cropping2D(0),
        "permute": layers.Permute((2, 1, 3)),
        "point": layers.Conv2D(5, 1, activation="silu", name="point"),
        "mean": layers.GlobalAveragePooling2D(),
        "drop": layers.Dropout(0.5),
        "dense": layers.Dense(7, activation="softplus", name="dense"),
        "out": layers.Dense(3, activation="softmax", name="out"),
    }
    model = keras.Sequential([keras.Input((8, 8, 2)), *stages.values()])
    model = _no_kernel_is_negative(model)
    x = np.abs(rows_of(model))
    scores = rank(model, (x, LABELS), "relevance")
    assert set(scores) == {"conv", "transposed", "point", "dense"}
    for values in scores.values():
        assert values.sum() == pytest.approx(1, rel=1e-4)
        assert (values > 0).all()


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        (layers.LayerNormalization(name="other"), "'other' (LayerNormalization)"),
        (layers.UpSampling2D(interpolation="bicubic", name="other"), "'other' (UpSampling2D)"),
        (layers.SeparableConv2D(3, 1, name="other"), "'other' (SeparableConv2D)"),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_layers_without_a_rule_are_named(layer, named, nested):
    layer = keras.Sequential([keras.Input((4, 4, 5)), layer]) if nested else layer
    before = [layers.Conv2D(5, 3, name="conv"), layers.Conv2D(5, 1), layer]
    model = keras.Sequential([keras.Input((6, 6, 2)), *before, layers.Flatten(), layers.Dense(3)])
    with pytest.raises(ValueError, match="'information' for other layers") as caught:
        rank(model, (rows_of(model), LABELS), "relevance")
    assert named in str(caught.value)
