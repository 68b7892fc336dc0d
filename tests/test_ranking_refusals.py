"""Scores of channels: what is refused, and what is said."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import layers
from ranking_networks import LABELS, rows_of, small

import fr_keras
from fr_keras import zoo
from fr_keras.methods import _observing, rank
from fr_keras.models import channels

BAD = {
    "unknown criterion": ((small, "both", "L2"), r"one of .'l1'.* Received: 'L2'"),
    "labels as the criterion": ((small, "x", np.zeros(8)), r"one of .'l1'.* Received: array"),
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


@pytest.mark.parametrize("kind", [list, tuple, lambda both: dict(zip("ab", both, strict=True))])
def test_labels_of_several_outputs(kind):
    inputs = keras.Input((6,))
    x = layers.Dense(4, name="hidden")(inputs)
    model = keras.Model(inputs, [layers.Dense(2, name="a")(x), layers.Dense(3, name="b")(x)])
    x, outputs = np.ones((7, 6), "float32"), ["numbers", "numbers"]
    labels = kind([np.ones((7, 2)), np.ones((7, 3))])
    found = rank(model, (x, labels), "information", outputs=outputs)
    expected = rank(model, x, "information", outputs=outputs)
    np.testing.assert_array_equal(found["hidden"], expected["hidden"])
    with pytest.raises(ValueError, match=r"criterion='information' needs no classes.* several"):
        rank(model, (x, labels), "triplet")


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
    with pytest.raises(ValueError, match="'fc' because 'unknown' \\(Lambda\\) is a layer whose"):
        rank(keras.Model(inputs, x), None, "l1")
    with pytest.raises(ValueError, match="whose channels all stay: none are known"):
        rank(keras.Sequential([keras.Input((4,)), layers.ReLU()]), None, "random")
    with pytest.raises(ValueError, match="bake"):
        rank(fr_keras.regularize(small()), None, "l1")
    assert set(rank(fr_keras.bake(fr_keras.regularize(small())), None, "l1")) == {"hidden"}


def _classifier(units, activation, outputs=1):
    inputs = keras.Input((6,))
    x = layers.Dense(5, activation="relu", name="hidden")(inputs)
    heads = [layers.Dense(units, activation=activation, name=f"out{i}")(x) for i in range(outputs)]
    return keras.Model(inputs, heads if outputs > 1 else heads[0])


def test_relevance_needs_a_classifier():
    for model in (_classifier(1, None), _classifier(3, None, 2), zoo.unet(filters=2)):
        with pytest.raises(ValueError, match="classifier for criterion='relevance'"):
            rank(model, _data("both"), "relevance")


UNKNOWN = {
    "one number": (1, None, 1, None, r"`outputs` must say .*'out0' with .* linear .*\(None, 1\)"),
    "bounded": (3, "tanh", 1, None, "`outputs` must say .*activation tanh"),
    "bounded classes": (3, "tanh", 1, "classes", "end in logits, a softmax or a sig.*tanh"),
    "bounded labels": (3, "relu", 1, "labels", "unless `outputs` says .*'numbers'.*relu"),
    "one class": (1, None, 1, "classes", r"two or more classes along .*\(None, 1\)"),
    "no kind": (3, None, 1, "masks", r"one of \('classes', 'labels', 'numbers'\).*Rec.*'masks'"),
    "none in a list": (3, None, 1, [None], r"`outputs` must be one of.*Received: \[None\]"),
    "too few": (3, None, 2, ["labels"], r"each of the 2 outputs.*Received: \['labels'\]"),
    "the second": (1, "sigmoid", 2, ["labels", "classes"], "two or more classes.*'out1'"),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_information_needs_to_know_what_outputs_are(case):
    units, activation, count, outputs, message = UNKNOWN[case]
    model = _classifier(units, activation, count)
    with pytest.raises(ValueError, match=message):
        rank(model, _data("x"), "information", outputs=outputs)


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
