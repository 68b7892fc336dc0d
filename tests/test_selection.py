"""From scores of channels to models within a budget, and the narrow network from the start."""

import itertools

import keras
import numpy as np
import pytest
from channel_graphs import Builder, difference, inputs_of, lively, outputs_of
from examples import telling
from keras import layers

from fr_keras import regularize, summary, zoo
from fr_keras.methods import narrow, prune, prune_stepwise, select
from fr_keras.methods._costs import counted
from fr_keras.models import channels

KEYS = {"weights": "kernel_weights", "multiply_adds": "multiply_adds"}


def cost(model: keras.Model, measure: str) -> int:
    return summary(model).to_dict()[KEYS[measure]]


def small() -> keras.Model:
    """Two groups, of 6 and of 4 channels."""
    inputs = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(6, 3, padding="same", name="first")(inputs)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.Conv2D(4, 3, strides=2, activation="relu", name="second")(x)
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(inputs, layers.Dense(2, name="logits")(x), name="small")


SCORES = {
    "first": np.array([0.3, 0.1, 0.6, 0.2, 0.5, 0.4]),
    "second": np.array([30.0, 10.0, 20.0, 25.0]),
}


def permuted() -> keras.Model:
    """A Dense that is applied once for each channel of the one before."""
    inputs = keras.Input((4, 3))
    x = layers.Dense(6, activation="relu", name="hidden")(inputs)
    x = layers.Dense(5, activation="relu", name="wide")(layers.Permute((2, 1))(x))
    x = layers.GlobalAveragePooling1D()(layers.Permute((2, 1))(x))
    return keras.Model(inputs, layers.Dense(2, name="logits")(x))


def random_scores(model: keras.Model, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    found = channels.groups(model)
    return {name: rng.random(one.size) for name, one in found.items() if one.removable}


# Counting


@pytest.mark.parametrize("measure", KEYS)
@pytest.mark.parametrize("seed", telling([0, 1, 2, 3, 5, 7, 10, 14, 15], 1, 3, 5))
def test_counts_are_those_of_the_cut_model(seed, measure):
    model = Builder(seed).model()
    found, rng = channels.groups(model), np.random.default_rng(seed)
    count, fixed = counted(model, found, measure)
    assert count({}) == cost(model, measure)
    kept = {n: rng.integers(1, g.size + 1) for n, g in found.items() if g.removable}
    cut = channels.remove(model, {name: range(number) for name, number in kept.items()})
    assert count(kept) == cost(cut, measure) < cost(model, measure)
    assert fixed is None or fixed < count(kept)


def test_positions_that_are_channels_are_counted():
    model = permuted()
    count, fixed = counted(model, channels.groups(model), "multiply_adds")
    cut = channels.remove(model, {"hidden": range(2)})
    # The kernel of "wide" stays, but is applied at 2 positions instead of 6.
    assert count({"hidden": 2}) == cost(cut, "multiply_adds") == 4 * 3 * 2 + 2 * 4 * 5 + 2 * 2
    assert fixed is None
    half = prune(model, random_scores(model), 0.5)
    assert half.get_layer("hidden").units == 3


def test_what_cannot_be_counted_is_refused():
    inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, name="conv")(inputs)
    free = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    with pytest.raises(ValueError, match=r"input of fixed size.*'conv' \(Conv2D\)"):
        select(free, random_scores(free), 0.5)
    assert len(select(free, random_scores(free), 0.5, "weights")["conv"]) == 2
    inputs = keras.Input((6, 4))
    x = layers.Dense(8, name="wide")(layers.MultiHeadAttention(2, 3, name="mha")(inputs, inputs))
    model = keras.Model(inputs, layers.Dense(1)(layers.GlobalAveragePooling1D()(x)))
    with pytest.raises(ValueError, match=r"'mha' \(MultiHeadAttention\)"):
        select(model, random_scores(model), 0.5)


def test_an_embedding_is_looked_up():
    inputs = keras.Input((5,), dtype="int32")
    x = layers.GlobalAveragePooling1D()(layers.Embedding(100, 8, name="words")(inputs))
    model = keras.Model(inputs, layers.Dense(2)(x))
    count, _ = counted(model, channels.groups(model), "multiply_adds")
    assert (count({}), count({"words": 3})) == (16, 6)


# Selection


def brute_force(model, scores, budget, measure, floor) -> dict:
    """Removes the channel of the lowest normalized score, until the model fits."""
    kept = {name: list(range(len(one))) for name, one in scores.items()}
    normal = {name: one / np.sqrt(np.mean(one**2)) for name, one in scores.items()}
    while cost(channels.remove(model, kept), measure) > budget:
        free = [(normal[n][i], n, i) for n in kept for i in kept[n] if len(kept[n]) > floor]
        _, name, number = min(free)
        kept[name].remove(number)
    return kept


@pytest.mark.parametrize(
    "example",
    telling(
        itertools.product(KEYS, [0.8, 0.6, 0.4], [1, 2]),
        *[("weights", 0.8, 1), ("weights", 0.4, 2)],
        *[("multiply_adds", 0.6, 1), ("multiply_adds", 0.4, 2)],
    ),
)
def test_global_selection_is_that_of_brute_force(example):
    measure, share, floor = example
    model = small()
    budget = int(share * cost(model, measure))
    expected = brute_force(model, SCORES, budget, measure, floor)
    assert select(model, SCORES, budget, measure, floor=floor) == expected
    # Scales of groups do not matter.
    other = {"first": 1e6 * SCORES["first"], "second": 1e-6 * SCORES["second"]}
    assert select(model, other, budget, measure, floor=floor) == expected


@pytest.mark.parametrize(
    "example",
    telling(
        itertools.product([0, 2, 3], KEYS, ["global", "layer"]),
        *[(2, "weights", "layer"), (3, "multiply_adds", "global")],
    ),
)
def test_random_graphs_are_the_largest_within_the_budget(example):
    seed, measure, scope = example
    model = lively(Builder(seed).model())
    scores, whole = random_scores(model, seed), cost(model, measure)
    kept = select(model, scores, 0.6, measure, scope)
    cut = channels.remove(model, kept)
    assert cost(cut, measure) <= 0.6 * whole
    choices = (select(model, scores, share, measure, scope) for share in np.linspace(0.6, 1, 40))
    larger = next(one for one in choices if one != kept)
    assert cost(channels.remove(model, larger), measure) > 0.6 * whole
    x = inputs_of(model)
    pruned = outputs_of(prune(model, scores, 0.6, measure, scope), x)
    assert difference(outputs_of(cut, x), pruned) == 0


def test_the_same_share_of_every_group():
    model = small()
    for share in (0.3, 0.5, 0.75):
        kept = select(model, SCORES, share, "weights", scope="layer")
        taken = 6 - len(kept["first"]), 4 - len(kept["second"])
        assert abs(taken[0] / 6 - taken[1] / 4) <= 1 / 4
        for name, numbers in kept.items():  # the best of each group
            assert numbers == sorted(np.argsort(SCORES[name])[-len(numbers) :])


@pytest.mark.parametrize(
    ("floor", "least"), [(1, (1, 1)), (3, (3, 3)), (5, (5, 4)), (0.5, (3, 2)), (0.6, (4, 3))]
)
@pytest.mark.parametrize("scope", ["global", "layer"])
def test_a_group_keeps_its_floor(floor, least, scope):
    model = small()
    at_floor = {"first": range(least[0]), "second": range(least[1])}
    budget = cost(channels.remove(model, at_floor), "weights")
    kept = select(model, SCORES, budget, "weights", scope, floor)
    assert tuple(map(len, kept.values())) == least
    with pytest.raises(
        ValueError, match=rf"at least {budget} of 450, .* a budget of {budget - 1}\. Keep more$"
    ):
        select(model, SCORES, budget - 1, "weights", scope, floor)


def test_what_cannot_be_removed_is_said():
    inputs = keras.Input((8,))
    x = layers.Dense(4, name="hidden")(inputs)
    y = layers.Dense(50, name="map")(inputs)
    model = keras.Model(inputs, [layers.Dense(2, name="logits")(x), y])
    with pytest.raises(ValueError, match=r"least 410 of 440.*alone has 400.*a budget of 300"):
        select(model, random_scores(model), 300, "weights")


def test_all_and_equal_scores():
    model = small()
    whole = {"first": list(range(6)), "second": list(range(4))}
    assert select(model, SCORES, 1.0) == whole
    assert select(model, SCORES, cost(model, "weights"), "weights") == whole
    equal = {"first": np.zeros(6), "second": np.zeros(4)}
    kept = select(model, equal, 0.5, "weights")
    assert kept == select(model, equal, 0.5, "weights", scope="layer")
    signed = {"first": -SCORES["first"], "second": SCORES["second"] - 20}
    assert 2 not in select(model, signed, 0.9)["first"]


def test_any_measure_is_met():
    seen = []

    def parameters(model):
        seen.append(model.count_params())
        return seen[-1]

    model = small()
    kept = select(model, SCORES, 0.5, parameters)
    left = channels.remove(model, kept).count_params()
    assert left in seen
    assert left <= 0.5 * model.count_params()
    assert len(seen) <= 6
    numbers = range(75, model.count_params(), 100)
    assert all(prune(model, SCORES, n, parameters).count_params() <= n for n in numbers)


def test_a_noisy_measure_is_asked_once_a_model():
    """A time is another one at each measurement: the one that was chosen was within the budget."""
    rng, seen = np.random.default_rng(0), {}

    def noisy(model):
        size = model.count_params()
        assert size not in seen, "measured twice"
        seen[size] = size * rng.uniform(0.7, 1.3)
        return seen[size]

    model = small()
    for _ in range(8):
        seen.clear()
        cut = prune(model, SCORES, 0.5, noisy)
        assert seen[cut.count_params()] <= 0.5 * seen[model.count_params()]


def test_the_model_stays_and_a_compiled_one_comes_back_compiled():
    model = small()
    model.compile("adam", "mse")
    before, x = outputs_of(model, inputs_of(model)), inputs_of(model)
    cut = prune(model, SCORES, 0.5)
    assert cut.compiled
    assert difference(before, outputs_of(model, x)) == 0


# Bad input


@pytest.mark.parametrize("keep", [0, -1, 0.0, 1.5, True, "half", None, float("nan"), 10**9])
@pytest.mark.parametrize("function", [lambda *args: select(args[0], SCORES, args[1]), narrow])
def test_keep_out_of_range(keep, function):
    with pytest.raises(ValueError, match="`keep` must be"):
        function(small(), keep)


@pytest.mark.parametrize("floor", [0, -2, 0.0, 1.5, True, "one", None])
def test_floor_out_of_range(floor):
    with pytest.raises(ValueError, match=r"`floor` must be .* cannot be empty"):
        select(small(), SCORES, 0.5, floor=floor)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({"first": np.ones(6)}, r"all removable groups.*\['first', 'second'\].*\['first'\]"),
        ({**SCORES, "logits": np.ones(2)}, "all removable groups"),
        ([np.ones(6), np.ones(4)], "Received: list"),
        ({**SCORES, "second": np.ones(5)}, r"`scores\['second'\]` must .* of 4 channels.*\(5,\)"),
        ({**SCORES, "second": np.ones((4, 1))}, r"shape \(4, 1\)"),
        ({**SCORES, "second": [1, np.nan, np.inf, 0]}, "must be finite. Received: 2 NaN"),
    ],
)
def test_wrong_scores(scores, message):
    with pytest.raises(ValueError, match=message):
        select(small(), scores, 0.5)


def test_other_wrong_arguments():
    with pytest.raises(ValueError, match="`scope` must be one of"):
        select(small(), SCORES, 0.5, scope="model")
    with pytest.raises(
        ValueError, match=r"`measure` must be one of \['weights', 'multiply_adds'\]"
    ):
        select(small(), SCORES, 0.5, "bytes")
    for value in (0, -1.0, float("nan"), "fast", None):
        with pytest.raises(ValueError, match="`measure` must return a number above 0"):
            select(small(), SCORES, 0.5, lambda model, value=value: value)


def test_nothing_to_remove_says_why():
    inputs = keras.Input((4,))
    only = keras.Model(inputs, layers.Dense(2, name="logits")(inputs), name="only")
    for function in (narrow, lambda model, keep: select(model, {}, keep)):
        with pytest.raises(ValueError, match=r"'only', .* 'logits' because the model gives them"):
            function(only, 0.5)
        with pytest.raises(ValueError, match="channels all stay"):
            function(regularize(small()), 0.5)


# Narrow


@pytest.mark.parametrize(
    "example",
    telling(itertools.product(KEYS, [0.3, 0.5]), ("multiply_adds", 0.5)),
)
def test_narrow_has_a_common_share_and_the_same_architecture(example):
    measure, share = example
    model = zoo.resnet20()
    thin = narrow(model, share, measure)
    assert cost(thin, measure) <= share * cost(model, measure) < 1.15 * cost(thin, measure)
    assert [(type(a), a.name) for a in thin.layers] == [(type(a), a.name) for a in model.layers]
    groups = channels.groups(model), channels.groups(thin)
    shares = [groups[1][n].size / g.size for n, g in groups[0].items() if g.removable]
    assert max(shares) - min(shares) <= 1 / 16


def test_narrow_starts_anew_from_the_seed():
    model = lively(small())
    model.compile("adam", "mse")
    thin = []
    for seed in (0, 0, 1):
        keras.utils.set_random_seed(seed)
        thin.append(narrow(model, 0.5))
    assert not thin[0].compiled
    x = inputs_of(model)
    first, again, other = (outputs_of(one, x) for one in thin)
    assert difference(first, again) == 0 < difference(first, other)
    norm = thin[0].get_layer("bn")
    np.testing.assert_array_equal(norm.moving_mean, 0)
    np.testing.assert_array_equal(norm.gamma, 1)
    kernel = np.array(thin[0].get_layer("second").kernel)
    limit = np.sqrt(6 / (9 * sum(kernel.shape[2:])))  # of glorot_uniform, at the new width
    assert 0.8 * limit < np.abs(kernel).max() <= limit


def test_narrow_keeps_what_is_not_trained():
    inputs = keras.Input((4,))
    adapted = layers.Normalization(name="adapted")
    adapted.adapt(np.random.default_rng(0).normal(3, 2, (50, 4)))
    x = layers.Dense(8, name="frozen")(adapted(inputs))
    x = layers.Dense(8, name="trained")(x)
    model = keras.Model(inputs, layers.Dense(2, name="logits")(x))
    model.get_layer("frozen").trainable = False
    thin = narrow(model, 0.5)
    before, after = model.get_layer("frozen"), thin.get_layer("frozen")
    columns = np.array(before.kernel).T.tolist()
    assert all(one in columns for one in np.array(after.kernel).T.tolist())
    x = np.ones((1, 4), "float32")
    np.testing.assert_array_equal(thin.get_layer("adapted")(x), adapted(x))
    model.trainable = False
    with pytest.raises(ValueError, match="must have trainable weights"):
        narrow(model, 0.5)


# Step by step


def norms(model: keras.Model) -> dict[str, np.ndarray]:
    """The L2 norm of the filters of each group of `small`."""
    kernels = {name: np.array(model.get_layer(name).kernel) for name in SCORES}
    return {name: np.sqrt(np.square(one).sum((0, 1, 2))) for name, one in kernels.items()}


@pytest.mark.parametrize("scope", ["global", "layer"])
@pytest.mark.parametrize("keep", telling([0.4, 180], 0.4))
def test_steps_are_those_of_a_loop(keep, scope):
    def tune(model):
        """Changes the order of the norms."""
        for name in SCORES:
            kernel = model.get_layer(name).kernel
            kernel.assign(kernel * np.linspace(0.5, 2, kernel.shape[-1], dtype="float32"))

    model = small()
    whole, x = cost(model, "weights"), inputs_of(model)
    target = keep if isinstance(keep, int) else keep * whole
    expected, before = model, outputs_of(model, x)
    found = list(prune_stepwise(model, norms, tune, keep, 3, "weights", scope))
    assert len(found) == 3
    for number, one in enumerate(found, 1):
        budget = int(whole * (target / whole) ** (number / 3) + 1e-9)
        expected = prune(expected, norms(expected), budget, "weights", scope)
        tune(expected)
        assert difference(outputs_of(expected, x), outputs_of(one, x)) == 0
        assert cost(one, "weights") <= budget
    assert difference(before, outputs_of(model, x)) == 0


def test_a_floor_in_steps_is_a_share_of_the_start():
    steps = prune_stepwise(small(), norms, lambda model: None, 0.45, 4, "weights", "layer", 0.5)
    *_, last = steps
    assert {name: len(one) for name, one in norms(last).items()} == {"first": 3, "second": 2}


def test_steps_by_another_measure_and_with_a_compiled_model():
    model = small()
    model.compile("adam", "mse")
    x, y = inputs_of(model)[0], np.zeros((4, 2))

    def tune(model):
        model.fit(x, y, verbose=0)

    *_, last = prune_stepwise(model, norms, tune, 0.5, 2, lambda model: model.count_params())
    assert last.compiled
    assert last.count_params() <= 0.5 * model.count_params()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"steps": 0}, "`steps` must be"),
        ({"steps": 1.5}, "`steps` must be"),
        ({"keep": 2.0}, "`keep` must be"),
        ({"keep": 10**6}, "`keep` must be at most"),
        ({"floor": 0}, "`floor` must be"),
        ({"scope": "model"}, "`scope` must be"),
        ({"measure": "bytes"}, "`measure` must be"),
    ],
)
def test_steps_refuse_at_once(changed, message):
    arguments = {"keep": 0.5, "steps": 2, **changed}
    with pytest.raises(ValueError, match=message):
        prune_stepwise(small(), norms, lambda model: None, **arguments)


def test_wrong_scores_of_a_step_are_said():
    steps = prune_stepwise(small(), lambda model: {}, lambda model: None, 0.5, 2)
    with pytest.raises(ValueError, match="`scores` must be a dict with the names"):
        next(steps)
