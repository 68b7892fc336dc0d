"""Scores of channels: what holds for every criterion and graph, and what is refused."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from channel_graphs import STEPS, Builder, lively
from keras import layers

import fr_keras
from fr_keras import zoo
from fr_keras.methods import _observing, rank
from fr_keras.models import channels
from fr_keras.models.walk import all_layers

CRITERIA = (
    "l1", "l2", "batch_norm", "active", "apoz", "triplet", "information", "relevance", "random",
)  # fmt: skip
#: The steps with layers that have no rule for relevance, and the name of one of these.
WITHOUT_RULE = {
    "squeeze_excite": "'squeeze_excite' (Multiply)",
    "separable": "'separable' (SeparableConv2D)",
    "norms": "'norms' (RMSNormalization)",
    "attention": "'attention' (MultiHeadAttention)",
    "operators": "(Multiply)",
    "steps": "'steps' (TimeDistributed)",
    "recurrent": "'recurrent' (GRU)",
    "unknown": "'unknown' (Lambda)",
}
LABELS = np.array([0, 1, 2, 1, 0, 2, 2])
_MEANINGLESS = "ignore:`criterion='(active|apoz)'` counts:UserWarning"


def network(name: str) -> keras.Model:
    """A step of the random networks between two convolutions with normalizations."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="stem")(inputs)
    x = layers.ReLU()(layers.BatchNormalization(name="stem_bn")(x))
    x = STEPS[name](Builder(0), x, name)
    x = layers.Conv2D(6, 3, padding="same", use_bias=False, name="after")(x)
    x = layers.ReLU()(layers.BatchNormalization(name="after_bn")(x))
    x = layers.Flatten()(layers.MaxPooling2D(4)(x))
    return lively(keras.Model(inputs, layers.Dense(3, activation="softmax", name="out")(x)))


def rows_of(model: keras.Model, rows: int = len(LABELS)) -> np.ndarray:
    shape = model.inputs[0].shape[1:]
    return np.random.default_rng(1).normal(size=(rows, *shape)).astype("float32")


def refused(name: str, criterion: str, found: channels.Groups) -> str | None:
    """What the message of a refusal has, if there must be one."""
    if criterion == "batch_norm":
        normed = [
            any(isinstance(axis.owner, layers.BatchNormalization) for axis in one.axes)
            for one in found.values()
            if one.removable
        ]
        return None if all(normed) else "must have a batch normalization on each group"
    return WITHOUT_RULE.get(name) if criterion == "relevance" else None


def state(model: keras.Model):
    """The weights of a model, and what its layers hold beside their class."""
    own = [sorted(vars(one)) for one in all_layers(model)]
    return model.get_weights(), own


def check_unchanged(model: keras.Model, before) -> None:
    weights, own = state(model)
    np.testing.assert_equal(weights, before[0])
    assert own == before[1]


@pytest.mark.filterwarnings(_MEANINGLESS)
@pytest.mark.parametrize("name", STEPS)
def test_every_criterion_on_every_graph(name):
    model = network(name)
    found, x = channels.groups(model), rows_of(model)
    sizes = {name: one.size for name, one in found.items() if one.removable}
    batches = [(x[:1], LABELS[:1]), (x[1:5], LABELS[1:5]), (x[5:], LABELS[5:])]
    before = state(model)
    for criterion in CRITERIA:
        message = refused(name, criterion, found)
        if message:
            with pytest.raises(ValueError, match="Received") as caught:
                rank(model, (x, LABELS), criterion)
            assert message in str(caught.value)
            continue
        scores = rank(model, (x, LABELS), criterion)
        check_unchanged(model, before)
        assert {name: one.shape for name, one in scores.items()} == {
            name: (size,) for name, size in sizes.items()
        }
        assert list(scores) == list(sizes)
        assert all(one.dtype == np.float64 for one in scores.values())
        assert all(np.isfinite(one).all() for one in scores.values())
        again = rank(model, batches, criterion)
        for group, values in scores.items():
            # Float32 activations of another batch size, summed in float64.
            np.testing.assert_allclose(again[group], values, rtol=1e-3, atol=1e-5)
    check_unchanged(model, before)


def small() -> keras.Model:
    return lively(
        keras.Sequential(
            [
                keras.Input((6,)),
                layers.Dense(5, activation="relu", name="hidden"),
                layers.Dense(3, activation="softmax", name="out"),
            ]
        )
    )


@pytest.mark.parametrize("criterion", CRITERIA[3:])
def test_the_same_data_in_other_forms(criterion):
    model = small()
    x = rows_of(model)
    expected = rank(model, (x, LABELS), criterion)["hidden"]
    forms = (
        tf.data.Dataset.from_tensor_slices((x, LABELS)).batch(3),
        _Batches(x, LABELS),
        iter([(x, LABELS[:, None].astype("float32"))]),
        [[x[:2], LABELS[:2]], (x[2:], LABELS[2:], np.ones(5))],
    )
    for data in forms:
        np.testing.assert_allclose(rank(model, data, criterion)["hidden"], expected, rtol=1e-4)
    if criterion not in ("triplet", "relevance"):
        for data in (x, tf.constant(x), [x[:4], x[4:]]):
            np.testing.assert_allclose(rank(model, data, criterion)["hidden"], expected, rtol=1e-4)


class _Batches(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self._x, self._y = x, y

    def __len__(self):
        return 2

    def __getitem__(self, index):
        part = slice(4 * index, 4 * index + 4)
        return self._x[part], self._y[part]


@pytest.mark.parametrize("criterion", CRITERIA[3:])
def test_several_inputs(criterion):
    inputs = {name: keras.Input((n,), name=name) for name, n in (("a", 6), ("b", 4))}
    x = layers.Concatenate()(list(inputs.values()))
    x = layers.Dense(5, activation="relu", name="hidden")(x)
    outputs = layers.Dense(3, activation="softmax", name="out")(x)
    x = {name: np.random.default_rng(2).normal(size=(7, n)) for name, n in (("a", 6), ("b", 4))}
    model = keras.Model(inputs, outputs)
    expected = rank(model, (x, LABELS), criterion)["hidden"]
    listed = keras.Model(list(inputs.values()), outputs)
    for data in ((list(x.values()), LABELS), [(list(x.values()), LABELS)]):
        np.testing.assert_array_equal(rank(listed, data, criterion)["hidden"], expected)
    if criterion not in ("triplet", "relevance"):
        np.testing.assert_array_equal(rank(model, x, criterion)["hidden"], expected)
        data = [list(x.values())]
        np.testing.assert_array_equal(rank(listed, data, criterion)["hidden"], expected)


def _text():
    inputs = keras.Input((5,), dtype="int32")
    x = layers.Embedding(10, 6, name="words")(inputs)
    x = layers.Dense(5, activation="relu", name="hidden")(inputs=x)
    x = layers.GlobalAveragePooling1D()(inputs=x)
    return lively(keras.Model(inputs, layers.Dense(3, activation="softmax")(x)))


@pytest.mark.filterwarnings(_MEANINGLESS)
@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_words_and_short_numbers(policy):
    """An embedding, layers called by keyword, and 16-bit activations."""
    before = keras.config.dtype_policy()
    x = np.random.default_rng(0).integers(0, 10, (7, 5))
    expected = _text()
    keras.config.set_dtype_policy(policy)
    try:
        model = _text()
    finally:
        keras.config.set_dtype_policy(before)
    model.set_weights(expected.get_weights())
    for criterion in set(CRITERIA) - {"batch_norm"}:
        found, exact = (rank(one, (x, LABELS), criterion) for one in (model, expected))
        assert set(found) == {"words", "hidden"}
        for group, values in found.items():
            assert np.abs(values).max() > 0
            # bfloat16 has 8 bits, which rounding and cancellation make fewer.
            size = np.abs(exact[group]).max()
            np.testing.assert_allclose(values, exact[group], atol=0.1 * size)


def test_more_rows_than_a_batch():
    model = small()
    x = rows_of(model, 300)
    parts = [rank(model, part, "active")["hidden"] for part in (x[:7], x[7:])]
    np.testing.assert_array_equal(rank(model, x, "active")["hidden"], sum(parts))


def test_random_depends_on_the_seed_only():
    model = small()
    first = rank(model, None, "random", seed=1)["hidden"]
    np.testing.assert_array_equal(rank(model, None, "random", seed=1)["hidden"], first)
    assert (rank(model, None, "random", seed=2)["hidden"] != first).any()


@pytest.mark.parametrize("criterion", ["active", "triplet", "information", "relevance"])
def test_calls_are_as_they_were_after_an_error(criterion):
    model = small()
    own = model.get_layer("out").call
    model.get_layer("out").call = own  # somebody else's
    before = state(model)
    x = rows_of(model)
    x[3, 0] = np.inf
    with pytest.raises(ValueError, match="NaN or infinite inputs of layer 'out'"):
        rank(model, (x, LABELS), criterion)
    check_unchanged(model, before)
    assert vars(model.get_layer("out"))["call"] is own
    with pytest.raises(ValueError, match="Received"):
        rank(model, (x[:0], LABELS[:0]), criterion)
    check_unchanged(model, before)


BAD = {
    "unknown criterion": ((small, "both", "L2"), r"one of \['l1'.* Received: 'L2'"),
    "no data": ((small, None, "apoz"), "`data` must be given for criterion='apoz'"),
    "data of no kind": ((small, 3, "apoz"), "`data` must be an array.*Received: int"),
    "empty array": ((small, "empty", "active"), "at least one batch with rows"),
    "no batches": ((small, [], "active"), "at least one batch with rows"),
    "no labels, triplet": ((small, "x", "triplet"), "labels for criterion='triplet'"),
    "no labels, relevance": ((small, "x", "relevance"), "labels for criterion='relevance'"),
    "one-hot labels": ((small, "one-hot", "triplet"), "`argmax` of one-hot labels"),
    "labels with a half": ((small, "half", "relevance"), "numbers of the classes"),
    "negative labels": ((small, "negative", "relevance"), "numbers of the classes"),
    "labels above": ((small, "above", "relevance"), "below 3.*Received: 4"),
    "fewer labels": ((small, "fewer", "triplet"), r"as many rows.*Received: \[6, 7\]"),
    "one class": ((small, "one class", "triplet"), r"two or more classes.*\{0: 7\}"),
    "a single row": ((small, "single", "triplet"), r"two or more rows.*\{0: 1, 1: 6\}"),
}


def _data(kind):
    x = np.ones((7, 6), "float32")
    return (
        {
            "both": (x, LABELS),
            "x": x,
            "empty": x[:0],
            "one-hot": (x, np.eye(3)[LABELS]),
            "half": (x, LABELS + 0.5),
            "negative": (x, LABELS - 1),
            "above": (x, LABELS * 2),
            "fewer": (x, LABELS[:6]),
            "one class": (x, LABELS * 0),
            "single": (x, np.array([0, 1, 1, 1, 1, 1, 1])),
        }.get(kind, kind)
        if isinstance(kind, str)
        else kind
    )


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    (model, data, criterion), message = BAD[case]
    with pytest.raises(ValueError, match=message):
        rank(model(), _data(data), criterion)


def _normalized(norm, between=()):
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, name="conv"),
            *between,
            norm,
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(3, name="out"),
        ]
    )


def _inside(norm):
    inner = keras.Sequential([keras.Input((6, 6, 4)), norm])
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, name="conv"),
            inner,
            layers.Flatten(),
            layers.Dense(3),
        ]
    )


NORM = layers.BatchNormalization
WITHOUT_SCALE = {
    "plain": lambda: _normalized(NORM(scale=False, name="norm")),
    "neither": lambda: _normalized(NORM(center=False, scale=False, name="norm")),
    "behind an activation": lambda: _normalized(NORM(scale=False, name="norm"), [layers.ReLU()]),
    "in a nested model": lambda: _inside(NORM(scale=False, name="norm")),
    "of instances": lambda: _normalized(layers.GroupNormalization(-1, scale=False, name="norm")),
    "of instances, no weights": lambda: _normalized(
        layers.GroupNormalization(-1, scale=False, center=False, name="norm")
    ),
}


@pytest.mark.parametrize("name", WITHOUT_SCALE)
def test_norms_behind_normalizations_without_scale_mean_nothing(name):
    for criterion in ("l1", "l2"):
        with pytest.raises(ValueError, match="layer 'norm' on group 'conv'"):
            rank(WITHOUT_SCALE[name](), None, criterion)
    if "instances" not in name:
        with pytest.raises(ValueError, match=r"`scale=True`.*Received: \['norm'\].*'conv'"):
            rank(WITHOUT_SCALE[name](), None, "batch_norm")


def test_norms_of_lenet5_are_refused_and_its_counts_are_not():
    model = zoo.lenet5(batch_norm=True)
    with pytest.raises(ValueError, match="normalizations have no scale"):
        rank(model, None, "l2")
    scores = rank(model, rows_of(model), "apoz")
    assert all(0 < one.mean() < 1 for one in scores.values())


def test_a_group_without_batch_normalization_has_no_scale():
    with pytest.raises(ValueError, match="Received: group 'hidden' without"):
        rank(small(), None, "batch_norm")


def _without_zeros(activation, second="relu"):
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(5, activation=activation, name="smooth"),
            layers.Dense(4, activation=second, bias_initializer="ones", name="rectified"),
            layers.Dense(3, name="out"),
        ]
    )


def test_counts_say_where_they_mean_little():
    model = _without_zeros("tanh")
    x = rows_of(model, 50)
    with pytest.warns(UserWarning, match=r"'apoz'` counts zeros.*none in \['smooth'\]"):
        scores = rank(model, x, "apoz")
    assert (scores["smooth"] == 1).all()
    assert (scores["rectified"] < 1).any()
    with pytest.warns(UserWarning, match=r"negative ones, too: \['smooth'\]"):
        rank(model, x, "active")
    with pytest.raises(ValueError, match="no value that is zero"):
        rank(_without_zeros("sigmoid", "sigmoid"), x, "apoz")


def test_data_say_nothing_about_a_group_that_no_layer_reads():
    group = dataclasses.replace(channels.groups(small())["hidden"], axes=())
    with pytest.raises(ValueError, match="group 'hidden', which none reads"):
        _observing.Layout([group])


def test_finite_weights_are_needed():
    model = small()
    model.get_layer("hidden").kernel.assign(np.full((6, 5), np.nan))
    with pytest.raises(ValueError, match="'kernel' of layer 'hidden' with NaN"):
        rank(model, None, "l1")


def test_models_with_nothing_to_remove():
    inputs = keras.Input((4,))
    x = layers.Lambda(lambda x: x, name="unknown")(layers.Dense(3, name="fc")(inputs))
    with pytest.raises(ValueError, match="'fc': 'unknown' \\(Lambda\\) is a layer whose"):
        rank(keras.Model(inputs, x), None, "l1")
    with pytest.raises(ValueError, match="no layer that makes any"):
        rank(keras.Sequential([keras.Input((4,)), layers.ReLU()]), None, "random")
    with pytest.raises(ValueError, match="bake"):
        rank(fr_keras.regularize(small()), None, "l1")
    assert set(rank(fr_keras.bake(fr_keras.regularize(small())), None, "l1")) == {"hidden"}


def _classifier(units, activation, outputs=1):
    inputs = keras.Input((6,))
    x = layers.Dense(5, activation="relu", name="hidden")(inputs)
    heads = [layers.Dense(units, activation=activation, name=f"out{i}")(x) for i in range(outputs)]
    return keras.Model(inputs, heads if outputs > 1 else heads[0])


@pytest.mark.parametrize("criterion", ["information", "relevance"])
def test_class_criteria_need_a_classifier(criterion):
    data = _data("both")
    for model in (_classifier(1, None), _classifier(3, None, 2), zoo.unet(filters=2)):
        with pytest.raises(ValueError, match=f"classifier for criterion='{criterion}'"):
            rank(model, data, criterion)


def test_information_needs_probabilities():
    with pytest.raises(ValueError, match="'out0' with activation sigmoid"):
        rank(_classifier(3, "sigmoid"), _data("x"), "information")


def test_a_fixed_batch_size_needs_whole_batches():
    inputs = keras.Input(batch_shape=(2, 6))
    x = layers.Dense(5, activation="relu")(inputs)
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(x))
    with pytest.raises(ValueError, match=r"whole batches of 2 rows.*Received: 7"):
        rank(model, _data("x"), "active")
    assert rank(model, _data("x")[:6], "active")


def test_rows_of_several_shapes():
    inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    x = layers.Conv2D(4, 1, name="reader")(x)
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    data = [(np.ones((4, side, side, 3)), np.array([0, 0, 1, 1])) for side in (6, 8)]
    assert set(rank(model, data, "relevance")) == set(rank(model, data, "information"))
    with pytest.raises(ValueError, match=r"rows of one shape.*layer 'reader'"):
        rank(model, data, "triplet")
