"""`prune_inactive`: counts by brute force, the variants, and what is refused."""

import itertools

import keras
import numpy as np
import pytest
from backends import batched
from channel_graphs import difference, lively, outputs_of
from keras import layers

from fr_keras.methods import prune_inactive
from fr_keras.methods._activation_counts import positive_counts
from fr_keras.models import channels

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(10, 8, 8, 2)).astype("float32")


def still(model: keras.Model) -> None:
    """Trains nothing."""


def counts(model: keras.Model, data) -> dict[str, list[int]]:
    found = positive_counts(model, channels.groups(model), data)
    return {name: one.tolist() for name, one in found.items()}


def hidden(bias=None, units: int = 6, activation="relu") -> keras.Model:
    inputs = keras.Input((3,), name="x")
    x = layers.Dense(units, name="hidden")(inputs)
    x = layers.Activation(activation, name="active")(x)
    model = keras.Model(inputs, layers.Dense(2, name="logits")(x), name="net")
    if bias is not None:
        model.get_layer("hidden").bias.assign(bias)
    return model


DEAD = [-99.0, 0.0, 1.0, -99.0, 0.0, 2.0]
X = np.random.default_rng(1).normal(size=(50, 3)).astype("float32")


# Counts


def dense_case():
    return hidden(), "active", "hidden"


def conv_case():
    inputs = keras.Input((8, 8, 2))
    x = layers.Conv2D(5, 3, strides=2, padding="same", name="conv")(inputs)
    x = layers.ReLU(name="active")(layers.BatchNormalization()(x))
    return keras.Model(inputs, layers.Conv2D(2, 3, name="map")(x)), "active", "conv"


def transposed_case():
    inputs = keras.Input((8, 8, 2))
    x = layers.Conv2DTranspose(5, 3, strides=2, activation="relu", name="up")(inputs)
    return keras.Model(inputs, layers.Conv2DTranspose(1, 3, name="map")(x)), "up", "up"


def flat_case():
    """A channel has a copy for each position behind a Flatten."""
    inputs = keras.Input((8, 8, 2))
    x = layers.Conv2D(5, 3, activation="relu", name="conv")(inputs)
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x))), "conv", "conv"


def first_case():
    inputs = keras.Input((2, 8, 8))
    x = layers.Permute((2, 3, 1))(inputs)
    x = layers.Conv2D(5, 3, activation="relu", name="conv")(x)
    x = layers.Dense(2)(layers.Permute((2, 1, 3), name="swapped")(x))
    return keras.Model(inputs, x), "swapped", "conv"


@pytest.mark.parametrize("case", [dense_case, conv_case, transposed_case, flat_case, first_case])
def test_counts_by_brute_force(case):
    model, at, group = case()
    lively(model)
    x = X if case is dense_case else IMAGES
    if case is first_case:
        x = x.transpose(0, 3, 1, 2)
    seen = keras.ops.convert_to_numpy(keras.Model(model.inputs[0], model.get_layer(at).output)(x))
    expected = (seen.reshape(-1, seen.shape[-1]) > 0).sum(0).tolist()
    assert counts(model, x) == {group: expected}
    batches = [(x[:3], None), (x[3:4], None), (x[4:], None)]
    assert counts(model, batches) == {group: expected}
    assert counts(model, batched(x, 4)) == {group: expected}


def test_several_readers_calls_and_nested_models_count_together():
    reader = layers.Dense(4, activation="relu", name="shared")
    inputs = keras.Input((4,))
    inner = keras.Model(inputs, layers.Dense(4, "relu", name="inside")(reader(inputs)))
    outer = keras.Input((4,))
    made = layers.Dense(4, "relu", name="made")(outer)
    outputs = layers.Add()([inner(made), inner(layers.ReLU(name="r")(made))])
    model = keras.Model(outer, layers.Dense(2)(outputs))
    x = RNG.normal(size=(20, 4)).astype("float32")
    active = np.array(keras.Model(outer, made)(x)) > 0
    found = counts(model, x)
    assert found["made"] == (2 * active.sum(0)).tolist()
    assert {"shared", "inside"} <= {*found}
    assert all("call" not in vars(one) for one in (reader, *model.layers))


def test_counts_are_whole_numbers_of_64_bits():
    """A billion positions a batch are over 2^31 after two."""
    model, found = hidden(), channels.groups(hidden())
    found = positive_counts(model, channels.groups(model), X)
    assert found["hidden"].dtype == np.int64
    inputs = keras.Input((1 << 16, 1))
    x = layers.Conv1D(2, 1, activation="relu", bias_initializer="ones", name="conv")(inputs)
    wide = keras.Model(inputs, layers.Dense(1)(layers.GlobalMaxPooling1D()(x)))
    assert counts(wide, np.zeros((3, 1 << 16, 1), "float32")) == {"conv": [3, 3]}

    class Many:
        """The same batch again and again."""

        def __iter__(self):
            return itertools.repeat(np.zeros((1, 1 << 16, 1), "float32"), 5)

    flat = keras.Model(inputs, layers.Dense(1)(x))
    assert counts(flat, Many()) == {"conv": [5 << 16, 5 << 16]}


def test_a_model_made_from_a_list_of_one_input():
    model = hidden()
    listed = keras.Model(model.inputs, model.outputs)
    assert counts(listed, X) == counts(model, X) == counts(model, {"x": X})


def test_groups_with_negative_activations_are_left_out():
    inputs = keras.Input((3,))
    x = layers.Dense(4, activation="tanh", name="tanh")(inputs)
    x = layers.Dense(4, activation="relu", name="relu")(x)
    model = keras.Model(inputs, layers.Dense(2)(x))
    assert list(counts(model, X)) == ["relu"]
    step = layers.TimeDistributed(layers.Dense(4, name="inner"))
    inputs = keras.Input((5, 3))
    y = layers.Dense(4, activation="relu", name="before")(inputs)
    model = keras.Model(inputs, layers.Dense(2)(layers.ReLU()(step(y))))
    x = RNG.normal(size=(2, 5, 3)).astype("float32")
    found = counts(model, x)
    assert found["before"] == (np.array(keras.Model(inputs, y)(x)) > 0).sum((0, 1)).tolist()
    assert "inner" in found


# Cycles


def test_vanilla_removes_what_is_dead_and_keeps_the_function():
    model = hidden(DEAD)
    before = [np.array(one) for one in model.weights]
    models = list(prune_inactive(model, X, still))
    assert [one.get_layer("hidden").units for one in models] == [4, 4]
    for one in models:
        assert difference(outputs_of(model, [X]), outputs_of(one, [X])) < 1e-5
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)
    kernel = np.array(model.get_layer("hidden").kernel)
    np.testing.assert_array_equal(models[0].get_layer("hidden").kernel, kernel[:, [1, 2, 4, 5]])


@pytest.mark.parametrize("threshold", [0, 20, 40])
def test_the_threshold(threshold):
    model = hidden([-99.0, -1.0, 0.0, 1.0, 2.0, 99.0])
    (active,) = counts(model, X).values()
    first = next(prune_inactive(model, X, still, threshold=threshold))
    assert first.get_layer("hidden").units == sum(one > threshold for one in active)


def test_each_cycle_is_trained_and_ends_when_none_falls():
    trained = []

    def tune(model):
        """In each of two cycles, one more unit dies."""
        trained.append(model)
        if len(trained) <= 2:
            bias = np.array(model.get_layer("hidden").bias)
            bias[0] = -99.0
            model.get_layer("hidden").bias.assign(bias)

    yielded = list(prune_inactive(hidden([9.0] * 6), X, tune))
    assert [one.get_layer("hidden").units for one in yielded] == [5, 4, 4]
    assert len(trained) == 3
    assert not {*map(id, trained)} & {*map(id, yielded)}


def test_what_was_yielded_stays():
    steps = prune_inactive(hidden(DEAD), X, still, "distorted")
    first = next(steps)
    before = [np.array(one) for one in first.weights]
    next(steps, None)
    for weight, value in zip(first.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_a_compiled_model_is_trained_with_its_loss():
    model = hidden(DEAD)
    model.compile("sgd", "mse")
    fit = lambda model: model.fit(X, np.ones((50, 2)), verbose=0)  # noqa: E731
    *_, last = prune_inactive(model, X, fit)
    assert last.compiled
    assert last.get_layer("hidden").units <= 4


@pytest.mark.parametrize("distort", ["kernels", "weights"])
@pytest.mark.parametrize("noise", [(-1.0, 1.0), (0.0, 1.0)])
def test_distortion_is_that_of_the_formula(noise, distort):
    model, seen = hidden(units=500), []
    for weight in model.weights:
        weight.assign(RNG.normal(0, 0.7, weight.shape))
    before = [np.array(one) for one in model.weights]

    def tune(model):
        seen.append([np.array(one) for one in model.weights])

    next(prune_inactive(model, X, tune, "distorted", noise=noise, distort=distort))
    for value, after in zip(before, *seen, strict=True):
        if value.ndim == 1 and distort == "kernels":
            np.testing.assert_array_equal(after, value)
            continue
        noises = (after - value) / (1 - value.var())
        assert noise[0] - 1e-4 <= noises.min() < noises.max() <= noise[1] + 1e-4
        if noises.size >= 500:  # all of the range, with its mean: 5 deviations
            assert noises.min() < noise[0] + 0.05
            assert noises.max() > noise[1] - 0.05
            assert abs(noises.mean() - sum(noise) / 2) < 0.13


def test_the_noise_has_a_seed():
    found = []
    for seed in (0, 0, 1):
        keras.utils.set_random_seed(seed)
        model = next(prune_inactive(lively(hidden(DEAD)), X, still, "distorted"))
        found.append(outputs_of(model, [X])[0])
    np.testing.assert_array_equal(found[0], found[1])
    assert np.abs(found[0] - found[2]).max() > 0


def test_the_penalty_is_l1_of_readers_and_biases():
    model, losses = hidden(DEAD), []
    model.get_layer("logits").kernel.regularizer = keras.regularizers.L2(0.5)

    def tune(model):
        hidden, logits = model.get_layer("hidden"), model.get_layer("logits")
        l1 = sum(np.abs(np.array(one)).sum() for one in (hidden.bias, logits.kernel, logits.bias))
        losses.append(
            (float(np.sum([keras.ops.convert_to_numpy(one) for one in model.losses])), 0.01 * l1)
        )

    steps = prune_inactive(model, X, tune, "regularized", l1=0.01)
    small = next(steps)
    assert losses[0][0] == pytest.approx(losses[0][1], rel=1e-5)
    assert not small.losses, "the model that comes out has no penalty"
    next(prune_inactive(model, X, tune, "distorted"))
    assert losses[1][0] == 0


def test_a_regularizer_of_the_layer_stays():
    inputs = keras.Input((3,))
    x = layers.Dense(6, "relu", name="hidden")(inputs)
    model = keras.Model(inputs, layers.Dense(2, kernel_regularizer="l2", name="logits")(x))
    found = []

    def tune(model):
        kernel = np.array(model.get_layer("logits").kernel)
        bias = [np.array(model.get_layer(one).bias) for one in ("hidden", "logits")]
        l1 = np.abs(kernel).sum() + sum(np.abs(one).sum() for one in bias)
        found.append(
            (
                float(np.sum([keras.ops.convert_to_numpy(one) for one in model.losses])),
                0.01 * np.square(kernel).sum() + 0.1 * l1,
            )
        )

    next(prune_inactive(model, X, tune, "regularized", l1=0.1))
    assert found[0][0] == pytest.approx(found[0][1], rel=1e-5)


@pytest.mark.parametrize("variant", ["vanilla", "distorted", "regularized"])
def test_convolutions_of_both_kinds(variant):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 2))
    x = layers.Conv2D(6, 3, strides=2, padding="same", name="down")(inputs)
    x = layers.ReLU()(layers.BatchNormalization(name="bn")(x))
    x = layers.Conv2DTranspose(5, 3, strides=2, padding="same", name="up")(x)
    x = layers.Conv2DTranspose(2, 3, padding="same", name="out")(layers.ReLU()(x))
    model = keras.Model(inputs, x)
    model.get_layer("bn").beta.assign([-99.0, 0, 0, -99.0, 0, 0])
    model.get_layer("up").bias.assign([0.0, -99.0, 0, 0, 0])
    small = next(prune_inactive(model, IMAGES, still, variant))
    assert (small.get_layer("down").filters, small.get_layer("up").filters) == (4, 4)
    if variant == "vanilla":
        assert difference(outputs_of(model, [IMAGES]), outputs_of(small, [IMAGES])) < 1e-5


def test_the_most_active_of_dead_units_stays():
    model = hidden([-99.0] * 6)
    with pytest.warns(UserWarning, match=r"no unit of group 'hidden' .* One of 6 is kept"):
        small = next(prune_inactive(model, X, still))
    assert small.get_layer("hidden").units == 1


# Bad input


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"variant": "twisted"}, "`variant` must be one of"),
        ({"distort": "all"}, "`distort` must be one of"),
        ({"threshold": -1}, "`threshold` must be"),
        ({"threshold": 0.5}, "`threshold` must be"),
        ({"noise": (1.0, -1.0)}, "`noise` must be a range"),
        ({"noise": 1.0}, "`noise` must be a range"),
        ({"noise": (0.0, float("inf"))}, "`noise` must be a range"),
        ({"l1": -1.0}, "`l1` must be"),
        ({"l1": float("nan")}, "`l1` must be"),
    ],
)
def test_wrong_arguments_are_refused_at_once(kwargs, message):
    with pytest.raises(ValueError, match=message):
        prune_inactive(hidden(), X, still, **kwargs)


def test_nothing_to_count():
    inputs = keras.Input((3,))
    only = keras.Model(inputs, layers.Dense(2, name="logits")(inputs))
    with pytest.raises(ValueError, match="must have channels that can be removed"):
        prune_inactive(only, X, still)
    with pytest.raises(ValueError, match="never negative, as behind a ReLU"):
        next(prune_inactive(hidden(activation="tanh"), X, still))
    for empty in (X[:0], []):
        with pytest.raises(ValueError, match="`data` must hold at least one batch"):
            next(prune_inactive(hidden(), empty, still))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_activations_that_are_not_numbers_name_the_layer(value):
    model, x = hidden(), X.copy()
    x[7, 1] = value
    with pytest.raises(ValueError, match="NaN or infinite inputs of layer 'logits'"):
        next(prune_inactive(model, x, still))
    assert all("call" not in vars(one) for one in model.layers)
