"""`nest`: networks within networks, and what stays frozen while they grow."""

import itertools

import keras
import numpy as np
import pytest
from backends import tensorflow_alone
from channel_graphs import lively
from keras import layers, ops

from fr_keras import tflite
from fr_keras.methods import Nested, nest, prune_stepwise, rank
from fr_keras.methods._heads import heads
from fr_keras.models import channels
from fr_keras.models.walk import named_layers

pytestmark = pytest.mark.usefixtures("stepwise")

X = np.random.default_rng(0).random((8, 6, 6, 2), np.float32)
Y = np.arange(8) % 3


def small() -> keras.Model:
    """A residual, a depthwise convolution, batch normalizations and a Flatten."""
    inputs = keras.Input((6, 6, 2), name="image")
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="first")(inputs)
    x = layers.BatchNormalization(momentum=0.5, name="bn")(x)
    x = layers.ReLU(name="relu")(x)
    y = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.Add(name="add")([x, layers.BatchNormalization(name="depthwise_bn")(y)])
    x = layers.Conv2D(8, 3, strides=2, activation="relu", name="second")(x)
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(inputs, layers.Dense(3, name="logits")(x), name="small")


def compiled(model: keras.Model) -> keras.Model:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(0.01, weight_decay=0.1), loss)
    return model


def fit(model: keras.Model, callbacks: list) -> None:
    model.fit(X, Y, batch_size=4, verbose=0, callbacks=callbacks)


def norms(model: keras.Model) -> dict[str, np.ndarray]:
    return rank(model, None, "l2")


def used(model: keras.Model, callbacks: list, moves=lambda model: None) -> None:
    """What `fit` does with the callbacks, around a batch that moves the weights."""
    for one in callbacks:
        one.set_model(model)
        one.on_train_begin()
    moves(model)
    for one in callbacks:
        one.on_train_batch_end(0)


def shaken(model: keras.Model, callbacks: list = ()) -> None:
    """Gives every weight other numbers, in place of a training."""
    rng = np.random.default_rng(len(callbacks))

    def move(model):
        for weight in model.weights:
            if "float" in weight.dtype:
                by = rng.uniform(0.1, 0.2, weight.shape)
                weight.assign(weight + by * (1 if "variance" in weight.name else -1))

    used(model, callbacks, move)


def numbers(weight) -> np.ndarray:
    return np.array(ops.convert_to_numpy(weight))


def quickly(model: keras.Model, tune=shaken, keep=0.3, steps=3, capacities=3, **kwargs) -> Nested:
    return nest(model, None, tune, keep, steps, capacities, **{"criterion": norms, **kwargs})


# Frozen channels


@pytest.fixture(scope="module")
def fitted() -> tuple[keras.Model, Nested]:
    """Trained by graphs."""
    keras.utils.set_random_seed(0)
    model = compiled(lively(small()))
    return model, nest(model, (X, Y), fit, 0.25, 2, 3, scope="layer")


def test_weights_are_blocks(fitted):
    """The matrices of the docstring, layer by layer."""
    _, nested = fitted
    for fewer, more in itertools.pairwise(nested.models):
        old, new = ({n: x.get_weights() for n, x in named_layers(m).items()} for m in (fewer, more))
        for name, weights in old.items():
            if name == "logits":
                assert not np.array_equal(new[name][1], weights[1]), "a head of its own"
                continue
            for before, after in zip(weights, new[name], strict=True):
                within = tuple(slice(n) for n in before.shape)
                np.testing.assert_array_equal(after[within], before, err_msg=name)
        a, b = (old[name][0].shape[-1] for name in ("first", "second"))
        assert new["first"][0].shape[-1] > a
        assert new["second"][0].shape[-1] > b
        assert not new["second"][0][:, :, a:, :b].any()
        assert new["second"][0][:, :, :, b:].all()


def test_new_weights_are_trained(fitted):
    model, nested = fitted
    largest, (count, *_) = nested.models[-1], [len(one["first"]) for one in nested.kept[-2:]]
    for name in ("first", "bn", "depthwise", "depthwise_bn"):
        before = model.get_layer(name).get_weights()
        for weight, start in zip(largest.get_layer(name).get_weights(), before, strict=True):
            axis = -2 if name == "depthwise" and weight.ndim > 1 else -1
            start = np.take(start, nested.kept[-1]["first"], axis)
            moved = np.moveaxis(weight != start, axis, 0)[count:]
            assert moved.reshape(len(moved), -1).any(1).all(), (name, weight.shape)


def test_activations_are_those_of_the_smaller_network(fitted):
    _, nested = fitted
    names = ("bn", "add", "second")
    inner = [
        keras.Model(one.input, [one.get_layer(name).output for name in names])
        for one in nested.models
    ]
    found = [[numbers(one) for one in model(X, training=False)] for model in inner]
    for fewer, more in itertools.pairwise(found):
        for old, new in zip(fewer, more, strict=True):
            assert new.shape[-1] > old.shape[-1]
            # To the bit only if a processor adds zeros like nothing; see below.
            np.testing.assert_allclose(new[..., : old.shape[-1]], old, rtol=1e-5, atol=1e-6)


def test_of_whole_numbers_all_activations_are_equal_to_the_bit():
    """Sums of whole numbers are exact in any order."""

    def move(model):
        for weight in model.weights:
            weight.assign(np.random.default_rng(weight.shape[-1]).integers(-3, 4, weight.shape))

    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(7, 3, activation="relu", name="a")(inputs)
    y = layers.SeparableConv2D(5, 3, padding="same", depth_multiplier=2, name="b")(x)
    z = layers.Conv2D(5, 1, name="c")(x)
    w = layers.Conv2DTranspose(4, 2, strides=2, name="d")(layers.Add(name="e")([y, z]))
    x = layers.Concatenate(name="f")([layers.MaxPooling2D()(w), y])
    x = layers.Dense(9, name="g")(layers.Flatten()(x))
    model = keras.Model(inputs, layers.Dense(3, name="h")(x))
    move(model)
    tune = lambda model, callbacks: used(model, callbacks, move)  # noqa: E731
    nested = quickly(model, tune, 0.3, 1, 2, scope="layer")
    x = np.random.default_rng(0).integers(-2, 3, (4, 6, 6, 2)).astype("float32")
    parts = [keras.Model(m.input, [m.get_layer(n).output for n in "abcdeg"]) for m in nested.models]
    *fewer, largest = [[numbers(one) for one in part(x)] for part in parts]
    for found in fewer:
        for name, old, new in zip("abcdeg", found, largest, strict=True):
            assert old.shape[-1] < new.shape[-1]
            assert old.any()
            np.testing.assert_array_equal(new[..., : old.shape[-1]], old, err_msg=name)


def test_the_largest_network_and_the_heads_are_all(fitted):
    _, nested = fitted
    assert nested.own == ("logits",)
    for number, one in enumerate(nested.models):
        cut = nested.cut(number)
        for ours, its in zip(cut.weights, one.weights, strict=True):
            np.testing.assert_array_equal(ours, its)
        np.testing.assert_array_equal(cut(X, training=False), one(X, training=False))
    for bad in (-1, 3):
        with pytest.raises(ValueError, match=f"from 0 to 2.* Received: {bad}"):
            nested.cut(bad)


def test_what_is_told(fitted):
    model, nested = fitted
    whole = {"first": 8, "second": 8}
    for fewer, more in itertools.pairwise(nested.kept):
        assert all(more[name][: len(one)] == one for name, one in fewer.items())
    assert {name: sorted(one) for name, one in nested.kept[-1].items()} == {
        name: list(range(count)) for name, count in whole.items()
    }
    for one, kept in zip(nested.models, nested.kept, strict=True):
        assert {name: one.get_layer(name).filters for name in whole} == {
            name: len(numbers) for name, numbers in kept.items()
        }
    assert nested.shares[0] <= 0.25 < nested.shares[1] < nested.shares[2] == 1
    assert nested.scores is None
    assert model.get_layer("first").filters == 8
    assert all(one.compiled for one in nested.models)


@tensorflow_alone("it converts")
def test_networks_are_plain_ones(fitted, tmp_path):
    _, nested = fitted
    one = nested.models[1]
    one.save(tmp_path / "one.keras")
    loaded = keras.models.load_model(tmp_path / "one.keras")
    np.testing.assert_array_equal(loaded(X, training=False), one(X, training=False))
    found = tflite.Runner(tflite.convert(one).content).run(X[:1])
    np.testing.assert_allclose(found, one(X[:1], training=False), rtol=1e-4, atol=1e-4)


# Batch normalization


def test_old_channels_are_normalized_as_at_inference():
    """By hand, in the batches of the training."""
    inputs = keras.Input((4,))
    x = layers.BatchNormalization(name="bn")(layers.Dense(6, name="hidden")(inputs))
    model = lively(keras.Model(inputs, layers.Dense(2, name="logits")(x)))
    x, seen = np.random.default_rng(0).normal(size=(16, 4)).astype("float32"), []

    def tune(model, callbacks):
        if callbacks:
            part = keras.Model(model.input, model.get_layer("bn").output)
            before = [numbers(one) for one in model.get_layer("bn").weights]
            training, inference = numbers(part(x, training=True)), numbers(part(x, training=False))
            seen.append((before, training, inference, numbers(model.get_layer("hidden")(x))))
        used(model, callbacks)

    nested = quickly(model, tune, keep=0.34, steps=1, capacities=2)
    ((gamma, beta, mean, variance), training, inference, h), *others = seen[0], *seen[1:]
    assert not others

    def normalized(mean, variance):
        return gamma * (h - mean) / np.sqrt(variance + 1e-3) + beta

    np.testing.assert_allclose(training[:, :2], normalized(mean, variance)[:, :2], atol=1e-5)
    np.testing.assert_allclose(training[:, 2:], normalized(h.mean(0), h.var(0))[:, 2:], atol=1e-5)
    moved = 0.99 * mean + 0.01 * h.mean(0), 0.99 * variance + 0.01 * h.var(0)
    np.testing.assert_allclose(inference[:, 2:], normalized(*moved)[:, 2:], atol=1e-5)
    bn = nested.models[1].get_layer("bn")
    np.testing.assert_array_equal(numbers(bn.moving_mean)[:2], mean[:2])
    np.testing.assert_allclose(numbers(bn.moving_mean)[2:], moved[0][2:], rtol=1e-5)
    # Afterwards it is an ordinary layer.
    after = numbers(bn(h, training=True))
    np.testing.assert_allclose(after, normalized(h.mean(0), h.var(0)), atol=1e-5)


def test_functions_of_the_training_are_forgotten(fitted):
    """They were traced with old channels that are normalized in another way."""
    seed, *others = fitted[1].models
    assert seed.train_function is not None
    assert all(one.train_function is None for one in others)


# Which layers are heads


def two_outputs():
    inputs = keras.Input((4,))
    x = layers.Dense(6, name="hidden")(inputs)
    y = layers.Dense(5, name="deeper")(x)
    return keras.Model(inputs, [layers.Dense(2, name="early")(x), layers.Dense(2, name="late")(y)])


def normalized_stem():
    """The channels of the stem stay, but all others are computed from them."""
    inputs = keras.Input((4,))
    x = layers.LayerNormalization(name="norm")(layers.Dense(8, name="stem")(inputs))
    x = layers.Dense(6, name="hidden")(x)
    return keras.Model(inputs, layers.BatchNormalization(name="out")(layers.Dense(2, name="y")(x)))


def nested_head():
    inner = keras.Sequential([keras.Input((5, 6)), layers.Dense(2, name="step")])
    head = layers.TimeDistributed(keras.Sequential([keras.Input((2,)), layers.Dense(2, name="y")]))
    body = keras.Sequential([keras.Input((5, 4)), layers.Dense(6, name="hidden")])
    return keras.Sequential([keras.Input((5, 4)), body, inner, layers.Softmax(), head])


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (two_outputs, ["early", "late"]),
        (normalized_stem, ["y", "out"]),
        (nested_head, ["step", "y"]),
        (small, ["logits"]),
    ],
)
def test_heads(build, expected):
    model = build()
    assert heads(model, channels.groups(model)) == expected


def test_several_heads_are_taken_along():
    nested = quickly(two_outputs(), scope="layer")
    x = np.ones((2, 4), "float32")
    for number, one in enumerate(nested.models):
        for ours, its in zip(nested.cut(number)(x), one(x), strict=True):
            np.testing.assert_array_equal(ours, its)


# The seed


def wide() -> keras.Model:
    inputs = keras.Input((4,))
    x = layers.Dense(24, "relu", name="hidden")(inputs)
    return keras.Model(inputs, layers.Dense(3, name="logits")(x))


def size(model: keras.Model) -> float:
    return model.count_params()


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_the_seed_is_the_last_network_that_holds_the_floor(share):
    model = wide()
    floor = share * size(model)
    expected = [
        size(one)
        for one in prune_stepwise(model, norms, lambda one: used(one, []), 0.1, 5)
        if size(one) >= floor
    ]
    nested = quickly(model, used, 0.1, 5, 2, score=size, floor=floor)
    assert nested.scores == (expected[-1], size(model))


def test_there_are_fewer_networks_than_capacities_and_it_is_said():
    model = wide()
    with pytest.warns(UserWarning, match=r"2 networks instead of 4.* 1 steps.*capacities=4"):
        nested = quickly(model, used, 0.1, 4, 4, score=size, floor=0.5 * size(model))
    assert len(nested.models) == 2


def test_channels_that_change_nothing_in_one_of_the_networks_are_named():
    inputs = keras.Input((4,))
    x = layers.Dense(1, name="narrow")(layers.Dense(4, "relu", name="hidden")(inputs))
    model = keras.Model(inputs, layers.Dense(2, name="logits")(x))
    with pytest.raises(ValueError, match=r"`recover='full'`.*\['hidden'\]"):
        quickly(model, used)
    x = layers.Dense(2, name="narrow")(layers.Dense(4, "relu", name="hidden")(inputs))
    model = keras.Model(inputs, layers.Dense(2, name="logits")(x))

    def criterion(one):
        return {"hidden": np.array([0, 0, 0, 1]), "narrow": np.ones(2)}

    with pytest.warns(UserWarning, match=r"change no output.*\{1: \['hidden'\]\}"):
        nested = quickly(model, used, 0.5, 1, 2, criterion=criterion)
    assert nested.models[0].get_layer("hidden").units == 1
    assert nested.models[0].get_layer("narrow").units == 2


def test_groups_of_a_convolution_that_become_others_end_the_way():
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(16, 1, name="stem")(inputs)
    x = layers.Conv2D(16, 3, groups=2, name="grouped")(x)
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    with pytest.warns(UserWarning, match=r"belong together in another way.*\['stem', 'grouped'\]"):
        nested = quickly(model, used, 0.05, 3, 2, scope="layer")
    assert 2 < nested.models[0].get_layer("grouped").filters < 16


def test_one_channel_is_left():
    inputs = keras.Input((4, 4, 1))
    x = layers.PReLU(shared_axes=(1, 2))(layers.Conv2D(5, 3, name="conv")(inputs))
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    nested = quickly(model, keep=0.2, steps=3, capacities=2)
    assert nested.kept[0] == {"conv": nested.kept[1]["conv"][:1]}
    np.testing.assert_array_equal(
        *(numbers(one.get_layer("conv").kernel)[..., :1] for one in nested.models)
    )


# Other ways


def test_full_recovery_trains_all_weights():
    seen = []

    def tune(model, callbacks):
        seen.append(callbacks)
        shaken(model)

    nested = quickly(small(), tune, scope="layer", recover="full")
    assert not any(seen)
    fewer, more = nested.models[-2:]
    for layer in fewer.layers:
        for before, after in zip(layer.weights, more.get_layer(layer.name).weights, strict=True):
            within = tuple(slice(n) for n in before.shape)
            assert (numbers(after)[within] != numbers(before)).all()
    assert nested.own == ("first", "bn", "depthwise", "depthwise_bn", "second", "logits")
    for number, one in enumerate(nested.models):
        np.testing.assert_array_equal(nested.cut(number)(X), one(X))


def test_new_channels_begin_as_in_the_model():
    model = lively(small())
    nested = quickly(model, used, scope="layer")
    order, old = nested.kept[1], len(nested.kept[0]["second"])
    kernel = numbers(model.get_layer("second").kernel)
    kernel = kernel[:, :, order["first"]][..., order["second"]]
    np.testing.assert_array_equal(
        numbers(nested.models[1].get_layer("second").kernel)[..., old:], kernel[..., old:]
    )


def test_other_criteria_and_networks_without_classes():
    model = two_outputs()
    x, y = np.ones((4, 4), "float32"), [np.zeros((4, 2)), np.ones((4, 2))]
    with pytest.raises(ValueError, match="criterion='information' needs no classes"):
        nest(model, (x, y), used, 0.5, 1, 2)
    with pytest.raises(ValueError, match="criterion='information' needs no classes"):
        nest(model, x, used, 0.5, 1, 2)

    def criterion(one):
        return rank(one, (x, y), "information", outputs=["numbers", "numbers"])

    assert len(nest(model, None, used, 0.5, 2, 2, criterion).models) == 2
    assert len(nest(model, x, used, 0.5, 1, 2, "l2").models) == 2


def test_mixed_precision_and_sequential():
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(6, "relu", dtype="mixed_float16", name="hidden"),
            layers.BatchNormalization(dtype="mixed_float16"),
            layers.Dense(2),
        ]
    )
    nested = quickly(model, keep=0.4)
    assert all(isinstance(one, keras.Sequential) for one in nested.models)
    kernels = [numbers(one.get_layer("hidden").kernel) for one in nested.models]
    np.testing.assert_array_equal(kernels[0], kernels[2][:, : kernels[0].shape[1]])


# Bad input


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"capacities": 1}, "`capacities` must be a number of networks, 2 or more"),
        ({"capacities": 2.0}, r"`capacities` must be.* Received: 2\.0"),
        ({"steps": 1}, "`steps` must be at least `capacities` - 1.*steps=1, capacities=3"),
        ({"steps": 0}, "`steps` must be a number of steps"),
        ({"keep": 0}, "`keep` must be"),
        ({"keep": 1e-4}, "`keep` must be at least"),
        ({"keep": 1.0}, "must allow a network with fewer.* because no step removes a channel"),
        ({"recover": "half"}, r"`recover` must be one of \('frozen', 'full'\).*'half'"),
        ({"criterion": "trr"}, "`criterion` must be one of"),
        ({"measure": "bytes"}, "`measure` must be one of"),
        ({"scope": "model"}, "`scope` must be"),
        ({"floor": 0.5}, "`floor` must come with `score`.*floor=0.5"),
        ({"floor": "0.5", "score": size}, "`floor` must be a score.*'0.5'"),
        ({"floor": np.nan, "score": size}, "`floor` must be a score"),
        ({"floor": 1e9, "score": size}, "`floor` must be at most what `model` scores: "),
        ({"floor": 1, "score": lambda one: np.nan}, "`score` must return finite numbers"),
        ({"data": iter([X])}, "`data` must be something that can be read again"),
        ({"tune": lambda model, callbacks: None}, "`tune` must give the callbacks"),
    ],
)
def test_bad_arguments(changed, message):
    arguments = {"data": None, "tune": used, "keep": 0.3, "steps": 3, "capacities": 3, **changed}
    with pytest.raises(ValueError, match=message):
        nest(small(), **{"criterion": norms, **arguments})


def test_a_floor_that_no_smaller_network_holds():
    model = wide()
    with pytest.raises(ValueError, match=r"the first one scores \d+, below floor=") as told:
        quickly(model, used, score=size, floor=size(model))
    assert "a lower `floor`" in str(told.value)


def test_networks_in_which_new_channels_would_do_nothing():
    inputs = keras.Input((4,))
    x = layers.Dense(8, name="hidden")(layers.LayerNormalization()(inputs))
    x = layers.Add(name="sum")([inputs, layers.Dense(4, name="back")(x)])
    x = layers.Dense(5, name="other")(x)
    model = keras.Model(inputs, layers.Dense(2, name="logits")(x))
    with pytest.raises(ValueError, match=r"`recover='full'`.* groups \['hidden'\]"):
        quickly(model)
    assert len(quickly(model, lambda one, callbacks: None, recover="full").models) == 3
    fixed = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    with pytest.raises(ValueError, match="must have channels that can be removed"):
        quickly(fixed)
