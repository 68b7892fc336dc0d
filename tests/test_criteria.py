"""Each criterion for channels against brute force on small networks."""

import itertools

import keras
import numpy as np
import pytest
from channel_graphs import STEPS, lively
from examples import telling
from keras import layers
from ranking_networks import LABELS, network, rows_of, scaled_outputs

from fr_keras.methods import _observing, _responses, rank
from fr_keras.models import channels


def branched() -> keras.Model:
    """Two convolutions side by side, with a dense layer that reads each at 16 positions."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="left")(inputs)
    y = layers.Conv2D(3, 3, padding="same", use_bias=False, name="right")(inputs)
    y = layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(y))
    joined = layers.MaxPooling2D(name="joined")(layers.Concatenate()([x, y]))
    z = layers.Conv2D(5, 3, padding="same", activation="relu", name="reader")(joined)
    pooled = layers.MaxPooling2D(name="pooled")(layers.Concatenate()([joined, z]))
    flat = layers.Flatten(name="flat")(pooled)
    return lively(keras.Model(inputs, layers.Dense(3, activation="softmax", name="out")(flat)))


def seen(model: keras.Model, x: np.ndarray) -> dict[str, list[np.ndarray]]:
    """What each reader sees of each group, `(rows, height, width, channels)`."""
    tensors = [model.get_layer(name).output for name in ("joined", "pooled")]
    joined, pooled = (np.array(one) for one in keras.Model(model.input, tensors)(x))
    return {
        "left": [joined[..., :4], pooled[..., :4]],
        "right": [joined[..., 4:], pooled[..., 4:7]],
        "reader": [pooled[..., 7:]],
    }


def check(scores: dict, expected: dict, rtol: float = 1e-5) -> None:
    assert set(scores) == set(expected)
    for name, values in scores.items():
        np.testing.assert_allclose(values, expected[name], rtol=rtol)


def test_norms_and_scales():
    model = branched()
    kernels = {
        name: np.array(model.get_layer(name).kernel, np.float64)
        for name in ("left", "right", "reader")
    }
    axes = (0, 1, 2)
    check(rank(model, None, "l1"), {k: np.abs(w).sum(axes) for k, w in kernels.items()})
    check(rank(model, None, "l2"), {k: np.sqrt((w**2).sum(axes)) for k, w in kernels.items()})
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(3, 3, name="conv")(inputs)
    x = layers.BatchNormalization(name="second")(layers.BatchNormalization(name="first")(x))
    model = keras.Model(inputs, layers.Conv2D(2, 3)(x))
    model.get_layer("first").gamma.assign([1.0, -2.0, 0.0])
    model.get_layer("second").gamma.assign([-3.0, 0.0, 0.0])
    check(rank(model, None, "batch_norm"), {"conv": [2.0, 1.0, 0.0]})


def test_norms_of_all_makers_of_a_group():
    inputs = keras.Input((8, 8, 2))
    x = layers.Conv2D(4, 3, padding="same", name="first")(inputs)
    y = layers.Conv2DTranspose(4, 3, padding="same", name="second")(inputs)
    x = layers.Flatten()(layers.Add()([x, y]))
    model = lively(keras.Model(inputs, layers.Dense(2)(x)))
    first, second = (np.array(model.get_layer(name).kernel) for name in ("first", "second"))
    filters = np.concatenate(
        [first.reshape(-1, 4), second.transpose(0, 1, 3, 2).reshape(-1, 4)]
    ).astype(np.float64)
    check(rank(model, None, "l1"), {"first": np.abs(filters).sum(0)})
    check(rank(model, None, "l2"), {"first": np.linalg.norm(filters, axis=0)})


def test_counts():
    model = branched()
    x = rows_of(model)
    values = seen(model, x)
    axes = (0, 1, 2)
    counts = {k: np.mean([(a > 0).sum(axes) for a in v], 0) for k, v in values.items()}
    shares = {k: np.mean([(a != 0).mean(axes) for a in v], 0) for k, v in values.items()}
    check(rank(model, x, "active"), counts)
    check(rank(model, x, "apoz"), shares)


def test_counts_are_exact_beyond_32_and_53_bits():
    found = channels.groups(branched())
    layout = _observing.Layout(one for one in found.values() if one.removable)
    counts = _responses.Counts(layout)
    reader = next(one for one in layout.readers if one.name == "reader")
    row = layout.readers.index(reader)
    for start in (2**31 - 1, 2**32 - 1, 2**53):
        counts.positive[:], counts.negative[:], counts.all[:] = start, start, 2 * start
        counts.see(reader, keras.ops.ones((1, 4, 4, 7)))
        counts.see(reader, -keras.ops.ones((1, 1, 1, 7)))
        assert counts.positive[row, :7].tolist() == [start + 16] * 7
        assert counts.negative[row, :7].tolist() == [start + 1] * 7
        assert counts.all[row, :7].tolist() == [2 * start + 17] * 7


def test_triplet_response_residual():
    model = branched()
    x = rows_of(model)
    values = {
        name: np.concatenate([one.reshape(len(x), -1, one.shape[-1]) for one in parts], 1)
        for name, parts in seen(model, x).items()
    }
    check(rank(model, (x, LABELS), "triplet"), {k: _residual(v) for k, v in values.items()}, 1e-4)


def _residual(maps: np.ndarray) -> np.ndarray:
    """The mean over anchors of the mean over their triplets."""
    maps = maps.astype(np.float64)

    def distance(i, j):
        return ((maps[i] - maps[j]) ** 2).sum(0)

    anchors = []
    for i in range(len(maps)):
        same = [j for j in range(len(maps)) if LABELS[j] == LABELS[i] and j != i]
        others = [j for j in range(len(maps)) if LABELS[j] != LABELS[i]]
        triplets = itertools.product(same, others)
        anchors.append(np.mean([distance(i, b) - distance(i, a) for a, b in triplets], 0))
    return np.mean(anchors, 0)


def grouped_by_place() -> keras.Model:
    """A convolution whose groups are tied, so that its kernel is shorter than what it reads."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="conv")(inputs)
    x = layers.Conv2D(8, 3, groups=2, activation="relu", name="grouped")(x)
    x = layers.Flatten()(x)
    return lively(keras.Model(inputs, layers.Dense(3, activation="softmax")(x)))


GRAPHS = {**{name: lambda name=name: network(name) for name in STEPS}, "place": grouped_by_place}


@pytest.mark.parametrize("name", telling(GRAPHS, "attention", "dense_block", "nested", "shared"))
def test_information_is_that_of_finite_differences(name, float64):
    """Where every weight that reads a channel is scaled, the channel itself is.

    By so little that no rectifier is likely to switch.
    """
    model = GRAPHS[name]()
    found = channels.groups(model)
    x = rows_of(model, 3).astype("float64")
    scores = rank(model, x, "information")
    chance = np.array(model(x, training=False))
    for group, values in scores.items():
        for channel in (0, len(values) - 1):
            (up,), (down,) = (
                scaled_outputs(model, found[group], channel, x, 1 + e) for e in (1e-7, -1e-7)
            )
            change = (np.log(up) - np.log(down)) / 2e-7
            expected = 0.5 * (chance * change**2).sum(1).mean()
            # The scale of the group: a channel without effect has only noise.
            scale = values.max() * 1e-4
            np.testing.assert_allclose(values[channel], expected, rtol=1e-3, atol=scale)


@pytest.mark.parametrize("activation", ["softmax", None])
def test_information_is_the_divergence_without_the_channel(activation, float64):
    """Channels of little weight, so that the second order is all."""
    inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(8, 3, activation="relu", name="conv")(inputs)
    x = layers.Flatten()(layers.Conv2D(4, 3, activation="sigmoid", name="reader")(x))
    model = lively(keras.Model(inputs, layers.Dense(3, activation=activation, name="out")(x)))
    for name in ("reader", "out"):
        model.get_layer(name).kernel.assign(model.get_layer(name).kernel * 0.01)
    x = rows_of(model, 20).astype("float64")
    expected = {}
    for name, group in channels.groups(model).items():
        if group.removable:
            everything = range(group.size)
            expected[name] = [
                _divergence(model, channels.remove(model, {name: {*everything} - {gone}}), x)
                for gone in everything
            ]
    check(rank(model, x, "information"), expected, 0.03)


def _divergence(model, other, x) -> float:
    logs = [_logs(one, x) for one in (model, other)]
    return float((np.exp(logs[0]) * (logs[0] - logs[1])).sum(1).mean())


def _logs(model, x) -> np.ndarray:
    outputs = model(x, training=False)
    ends_in_softmax = model.layers[-1].activation is keras.activations.softmax
    found = keras.ops.log(outputs) if ends_in_softmax else keras.ops.log_softmax(outputs)
    return np.array(found)


ENDS = {
    "a layer": lambda x: layers.Softmax()(layers.Dense(3, name="logits")(x)),
    "an activation": lambda x: layers.Activation("softmax")(layers.Dense(3, name="logits")(x)),
    "an operator": lambda x: keras.ops.softmax(layers.Dense(3, name="logits")(x)),
    "logits": lambda x: layers.Dense(3, name="logits")(x),
    "logits and a layer": lambda x: layers.Identity()(layers.Dense(3, name="logits")(x)),
    "a nested model": lambda x: keras.Sequential(
        [keras.Input((5,)), layers.Dense(3, activation="softmax", name="logits")]
    )(x),
    "a reshape": lambda x: layers.Reshape((3,))(
        layers.Dense(3, activation="softmax", name="logits")(x)
    ),
}


@pytest.mark.parametrize("end", ENDS)
def test_probabilities_are_found_behind_every_end(end):
    scores = []
    for one in ("a layer", end):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((6,))
        x = layers.Dense(5, activation="relu", name="hidden")(inputs)
        model = keras.Model(inputs, ENDS[one](x))
        scores.append(rank(model, rows_of(model), "information"))
    check(*scores, 1e-4)
