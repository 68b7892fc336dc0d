"""Scores of channels: what holds for every criterion and graph, and every form of data."""

import keras
import numpy as np
import pytest
from backends import batched
from channel_graphs import STEPS, lively
from examples import telling
from keras import layers
from ranking_networks import LABELS, check_unchanged, network, rows_of, small, state

from fr_keras.methods import rank
from fr_keras.models import channels

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
_MEANINGLESS = "ignore:`criterion='(active|apoz)'` counts:UserWarning"


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


@pytest.mark.filterwarnings(_MEANINGLESS)
# Each with another kind of group or reader; `test_criteria.py` has others.
@pytest.mark.parametrize(
    "name",
    telling(STEPS, "norms", "attention", "nested", "operators"),
)
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
        if (name, criterion) == ("norms", "apoz"):
            continue  # whether any value is zero depends on the weights that a backend draws
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


@pytest.mark.parametrize("criterion", CRITERIA[3:])
def test_the_same_data_in_other_forms(criterion):
    model = small()
    x = rows_of(model)
    expected = rank(model, (x, LABELS), criterion)["hidden"]
    forms = (
        batched((x, LABELS), 3),
        _Batches(x, LABELS),
        iter([(x, LABELS[:, None].astype("float32"))]),
        [[x[:2], LABELS[:2]], (x[2:], LABELS[2:], np.ones(5))],
    )
    for data in forms:
        np.testing.assert_allclose(rank(model, data, criterion)["hidden"], expected, rtol=1e-4)
    if criterion not in ("triplet", "relevance"):
        for data in (x, keras.ops.array(x), [x[:4], x[4:]]):
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


@pytest.mark.filterwarnings(_MEANINGLESS)
def test_a_model_made_from_a_list_of_one_input_and_labels_of_nothing():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    hidden = layers.Dense(6, activation="relu", name="hidden")(inputs)
    outputs = layers.Dense(3, activation="softmax", name="out")(hidden)
    model, listed = keras.Model(inputs, outputs), keras.Model([inputs], outputs)
    x = rows_of(model)
    for criterion in ("active", "apoz", "information"):
        expected = rank(model, x, criterion)["hidden"]
        for data in (x, [x], (x, None), [(x[:3], None), (x[3:], None)]):
            found = rank(listed, data, criterion)["hidden"]
            np.testing.assert_allclose(found, expected, rtol=1e-5)
    expected = rank(model, (x, LABELS), "relevance")["hidden"]
    np.testing.assert_array_equal(rank(listed, (x, LABELS), "relevance")["hidden"], expected)


@pytest.mark.filterwarnings(_MEANINGLESS)
def test_readers_in_a_time_distributed_layer():
    """What each step reads counts like a position."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((5, 4))
    x = layers.Dense(6, activation="relu", name="hidden")(inputs)
    steps = layers.TimeDistributed(layers.Dense(3, name="inner"))(x)
    model = keras.Model(inputs, layers.GlobalAveragePooling1D()(steps))
    rows = rows_of(model)
    seen = keras.ops.convert_to_numpy(keras.Model(inputs, x)(rows))
    found = rank(model, rows, "active")["hidden"]
    np.testing.assert_array_equal(found, (seen > 0).sum((0, 1)))


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
