"""The criterion "information" for every kind of output, against brute force."""

import keras
import numpy as np
import pytest
from channel_graphs import lively
from keras import layers
from ranking_networks import rows_of, scaled_outputs
from solved_tasks import sigmoid, softmax

from fr_keras.methods import _information, rank
from fr_keras.models import channels

ROWS = 3
#: So many rows that an estimate by random signs is within a tenth.
REPEATED = 700


def network(*heads) -> keras.Model:
    inputs = keras.Input((3, 3, 2))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv")(inputs)
    x = layers.Conv2D(3, 3, padding="same", activation="sigmoid", name="second")(x)
    return lively(keras.Model(inputs, [head(x) for head in heads]))


def flat(units, activation=None, after=lambda x: x):
    return lambda x: after(layers.Dense(units, activation)(layers.Flatten()(x)))


def mask(filters, activation=None, after=lambda x: x):
    return lambda x: after(layers.Conv2D(filters, 2, activation=activation)(x))


def classes(outputs) -> list[tuple[np.ndarray, np.ndarray]]:
    """The probabilities of each event, and their logarithms."""
    return [(outputs, np.log(outputs))]


def labels(outputs):
    return [(one, np.log(one)) for one in (outputs, 1 - outputs)]


def numbers(outputs):
    return [(1.0, outputs)]


#: The heads, what `outputs` says, and for each head the number of positions, labels or numbers,
#: and what becomes of its outputs.
ROWS_OF_NUMBERS = {
    "labels": ([flat(3, "sigmoid")], None, [(3, labels)]),
    "labels, logits": ([flat(3)], "labels", [(3, lambda z: labels(sigmoid(z)))]),
    "labels, a reshape": (
        [flat(4, "sigmoid", lambda x: layers.Reshape((4,))(x))], None, [(4, labels)],
    ),
    "labels, an operator": ([flat(3, None, keras.ops.sigmoid)], None, [(3, labels)]),
    "two classes": ([flat(1, "sigmoid")], None, [(1, labels)]),
    "two classes, logits": ([flat(1)], "labels", [(1, lambda z: labels(sigmoid(z)))]),
    "classes, a sigmoid each": (
        [flat(3, "sigmoid")], "classes", [(1, lambda p: classes(p / p.sum(-1, keepdims=True)))],
    ),
    "a number": ([flat(1)], "numbers", [(1, numbers)]),
    "numbers": ([flat(3)], "numbers", [(3, numbers)]),
    "bounded numbers": ([flat(3, "tanh")], ["numbers"], [(3, numbers)]),
    "a number without axis": (
        [flat(1, None, lambda x: layers.Reshape(())(x))], "numbers", [(1, numbers)],
    ),
    "classes and numbers": (
        [flat(3, "softmax"), flat(2)], ["classes", "numbers"], [(1, classes), (2, numbers)],
    ),
}  # fmt: skip
POSITIONS = {
    "masks": ([mask(3, "softmax")], None, [(4, classes)]),
    "masks, logits": ([mask(3)], None, [(4, lambda z: classes(softmax(z)))]),
    "masks of one number": ([mask(1, "sigmoid")], None, [(4, labels)]),
    "masks, channels first": (
        [mask(3, None, lambda x: layers.Softmax(axis=1)(layers.Permute((3, 1, 2))(x)))], None,
        [(6, classes)],
    ),
    "pictures": ([mask(2)], "numbers", [(8, numbers)]),
    "a mask and numbers": (
        [mask(3, "softmax"), flat(2)], ["classes", "numbers"], [(4, classes), (2, numbers)],
    ),
}  # fmt: skip


def expected(model, x, parts) -> dict[str, np.ndarray]:
    """By central differences, so small that no rectifier is likely to switch."""
    whole = [np.array(one) for one in keras.tree.flatten(model(x, training=False))]
    found = {}
    for name, group in channels.groups(model).items():
        if not group.removable:
            continue
        scores = np.zeros(group.size)
        for channel in range(group.size):
            up, down = (scaled_outputs(model, group, channel, x, 1 + e) for e in (1e-6, -1e-6))
            for (count, events), *outputs in zip(parts, whole, up, down, strict=True):
                for (chance, _), (_, above), (_, below) in zip(*map(events, outputs), strict=True):
                    change = (above - below) / 2e-6
                    scores[channel] += (chance * change**2).sum() / count / len(x) / 2
        found[name] = scores
    return found


def check(case, repeated: int, rtol: float) -> None:
    heads, outputs, parts = case
    model = network(*heads)
    x = rows_of(model, ROWS).astype("float64")
    right = expected(model, x, parts)
    scores = rank(model, np.repeat(x, repeated, 0), "information", outputs=outputs)
    assert set(scores) == set(right) == {"conv", "second"}
    for name, values in scores.items():
        assert right[name].max() > 1e-6
        # The scale of the group: a channel without effect has only noise.
        np.testing.assert_allclose(values, right[name], rtol, right[name].max() * 1e-4)


@pytest.mark.parametrize("case", ROWS_OF_NUMBERS)
def test_information_of_rows_of_numbers_is_exact(case, float64):
    check(ROWS_OF_NUMBERS[case], 1, 1e-3)


@pytest.mark.parametrize("case", POSITIONS)
def test_information_of_positions_is_right_on_average(case, float64):
    check(POSITIONS[case], REPEATED, 0.1)


def test_information_is_the_divergence_of_masks_without_the_channel(float64):
    """Channels of little weight, so that the second order is all."""
    model = network(mask(3, "softmax"))
    for name in ("second", model.layers[-1].name):
        model.get_layer(name).kernel.assign(model.get_layer(name).kernel * 0.01)
    x = rows_of(model, 4).astype("float64")
    before = np.array(model(x))
    scores = rank(model, np.repeat(x, 500, 0), "information")
    for name, group in channels.groups(model).items():
        if group.removable:
            for channel, score in enumerate(scores[name]):
                (after,) = scaled_outputs(model, group, channel, x, 0.0)
                divergence = (before * np.log(before / after)).sum(-1).mean()
                assert score == pytest.approx(divergence, rel=0.1)


def test_an_output_that_reads_no_channel_adds_nothing():
    model = network(flat(3, "softmax"))
    beside = layers.Dense(2)(layers.Flatten()(model.input))
    both = keras.Model(model.input, [beside, *model.outputs])
    x = rows_of(model)
    found = rank(both, x, "information", outputs=["numbers", "classes"])
    for name, values in rank(model, x, "information").items():
        np.testing.assert_array_equal(found[name], values)


def test_signs_have_a_seed_and_rows_signs_of_their_own():
    model = network(mask(2, "softmax"))
    x = rows_of(model, 1)
    first, same, other = (rank(model, x, "information", seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first["conv"], same["conv"])
    assert (first["conv"] != other["conv"]).any()
    assert (first["conv"] != rank(model, np.repeat(x, 2, 0), "information")["conv"]).any()


@pytest.mark.parametrize(("head", "rows"), [(flat(2), [128, 72]), (mask(2), [100, 100])])
def test_masks_are_computed_for_fewer_rows_at_once(head, rows, monkeypatch):
    seen, gained = [], _information._gained

    def spied(layout, model, inputs, kinds, rng):
        seen.append(len(inputs))
        return gained(layout, model, inputs, kinds, rng)

    monkeypatch.setattr(_information, "_gained", spied)
    monkeypatch.setattr(_information, "_WITH_POSITIONS", 100 * 3 * 3 * 2)
    model = network(head)
    rank(model, rows_of(model, 200), "information")
    assert seen == rows


def test_sure_networks_give_numbers():
    """Probabilities that are 0 and 1 in their last digit say nothing, and are not NaN."""
    for head in (flat(3, "softmax"), flat(3, "sigmoid"), mask(3, "softmax"), mask(1, "sigmoid")):
        model = network(head)
        kernel = model.layers[-1].kernel
        kernel.assign(1e6 * kernel)
        for values in rank(model, rows_of(model), "information").values():
            assert np.isfinite(values).all()


def test_half_precision_is_as_float32():
    scores = []
    for dtype in ("float32", "mixed_float16"):
        keras.utils.set_random_seed(0)
        keras.config.set_dtype_policy(dtype)
        try:
            model = network(mask(2, "softmax"))
        finally:
            keras.config.set_dtype_policy("float32")
        scores.append(rank(model, rows_of(model, 20), "information"))
    for name, values in scores[0].items():
        np.testing.assert_allclose(scores[1][name], values, 0.2, 0.05 * values.max())
