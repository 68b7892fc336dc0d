"""Before any work: does the network score on the data as they stand, and if not, why?"""

import dataclasses
import itertools

import keras
import numpy as np
import pytest
from examples import telling
from solved_tasks import CLASSES, classifier, dataset, pictures

from fr_bench.missing import warn_of_missing
from fr_bench.preflight import check_trained, preflight, preflight_file
from fr_bench.tasks._heads import find_head
from fr_keras import tflite

# How bright a picture is tells its class, so that no network can do without the right range.
_, Y = pictures(400)
X = 20 + 60 * Y[:, None, None, None] + np.random.default_rng(0).integers(0, 30, (400, 12, 12, 1))
X = X.astype("uint8")
RAW = {
    "uint8": X,
    "float of 0 to 255": X.astype("float32"),
    "float of 0 to 1": X.astype("float32") / 255,
}


@pytest.fixture(scope="module")
def networks():
    inside = classifier(X, Y, rescaling=True)
    plain = classifier(X, Y)
    centered = keras.Sequential([keras.Input(X.shape[1:]), keras.layers.Rescaling(0.5, 0.5), plain])
    return {"0..255": inside, "0..1": plain, "-1..1": centered}


RANGES = ["0..255", "0..1", "-1..1"]
# Fast: each range, and each form.
each_pair = pytest.mark.parametrize(
    "pair",
    telling(
        itertools.product(RANGES, RAW),
        ("0..255", "float of 0 to 1"),
        ("0..1", "float of 0 to 255"),
        ("-1..1", "uint8"),
    ),
    ids="-".join,
)


@each_pair
def test_the_range_of_pixels_is_found_however_they_come(networks, pair):
    taken, came = pair
    # A wrong scale in the data set must not matter either.
    data = dataset(RAW[came], Y, scale=1 / 255 if came == "uint8" else 1.0)
    found = preflight(networks[taken], data)
    assert found.score.value > 0.9
    assert found.scaling.startswith(f"pixels in {taken} ")
    assert len(found.tried) == 3
    scale, offset = found.data.pixels
    expected = scale * X[:3].astype("float32") + offset
    np.testing.assert_allclose(found.data.train.inputs(slice(3)), expected, atol=1e-4)
    # To the row: the same pictures reach the network, whatever they came as.
    same = preflight(networks[taken], dataset(X, Y))
    assert found.score == same.score


def test_labels_are_prepared_and_the_line_says_what_was_found(networks):
    found = preflight(networks["0..1"], dataset(X, np.eye(CLASSES)[Y]))
    np.testing.assert_array_equal(found.data.test.y, Y[300:])
    text = str(found)
    for part in ("classification, 4 classes (one-hot)", "pixels in 0..1", "accuracy", "n = 100"):
        assert part in text
    assert found.chance == np.bincount(Y[200:300]).max() / 100


def test_a_network_at_chance_is_refused(networks):
    untrained = classifier(X, np.random.default_rng(0).integers(0, CLASSES, len(X)))
    found = preflight(untrained, dataset(X, np.roll(Y, 200)))
    with pytest.raises(ValueError, match=r"must be trained.*same answer has.*Pixels in 0\.\.1, 0"):
        check_trained(found)
    check_trained(preflight(networks["0..1"], dataset(X, Y)))


def test_classes_in_another_order_are_the_cause(networks):
    found = preflight(networks["0..1"], dataset(X, (Y + 1) % CLASSES))
    with pytest.raises(ValueError, match=r"another order.*first outputs mean b, c, d, a\."):
        check_trained(found)


def test_a_range_that_is_given_is_not_questioned_but_named_as_the_cause(networks):
    network = networks["0..1"]
    right = preflight(network, dataset(X, Y), scale="0..1")
    assert list(right.tried) == ["0..1"]
    check_trained(right)
    wrong = preflight(network, dataset(X, Y), scale="0..255")
    with pytest.raises(ValueError, match=r"Without `scale`, ranges of pixels other than 0\.\.255"):
        check_trained(wrong)


@pytest.mark.parametrize(
    ("shape", "advice"),
    [
        ((20, 20, 1), r"image_size=\(12, 12\)`"),
        ((12, 12, 3), r"`channels=1`"),
        ((20, 20, 3), r"image_size=\(12, 12\)` and `channels=1`"),
    ],
)
def test_pictures_of_another_kind_are_refused_with_the_way_out(networks, shape, advice):
    x = np.zeros((40, *shape), "uint8")
    with pytest.raises(ValueError, match=rf"of shape \(12, 12, 1\).*{advice}"):
        preflight(networks["0..1"], dataset(x, Y[:40]))


@pytest.mark.parametrize(
    ("x", "scale", "message"),
    [
        (X, "0-255", r"`scale` must be one of \('0\.\.1', '0\.\.255', '-1\.\.1'\)"),
        (X / 127.5 - 1, "0..1", r"`scale` must be left out for pixels below 0"),
    ],
    ids=range(2),
)
def test_bad_ranges_are_refused(networks, x, scale, message):
    with pytest.raises(ValueError, match=message):
        preflight(networks["0..1"], dataset(x, Y, scale=1.0), scale=scale)


def test_numbers_stay_as_they_are():
    x = np.random.default_rng(0).normal(size=(80, 5)).astype("float32")
    weights = np.random.default_rng(1).normal(size=(5, 2)).astype("float32")
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(2)])
    model.layers[0].set_weights([weights, np.zeros(2)])
    data = dataset(x, x @ weights, (), scale=1.0)
    found = preflight(model, data)
    assert found.score.value == pytest.approx(1)
    assert found.scaling == "inputs as they are"
    assert found.data.pixels is None
    with pytest.raises(ValueError, match="no pictures"):
        preflight(model, data, scale="0..1")


def test_weights_of_rows_count(networks):
    data = dataset(X, Y)
    weight = np.zeros(100)
    weight[:10] = 1
    validation = dataclasses.replace(data.validation, sample_weight=weight)
    found = preflight(networks["0..1"], dataclasses.replace(data, validation=validation))
    few = dataclasses.replace(data, validation=dataset(X[200:240], Y[200:240]).train.thinned(1))
    assert found.score.n == 100
    assert found.score.value == pytest.approx(
        preflight(networks["0..1"], dataclasses.replace(few, validation=_first(few))).score.value
    )


def _first(data):
    split = data.validation
    return dataclasses.replace(split, x=split.x[:10], y=split.y[:10])


# Classes without rows


@pytest.mark.parametrize(
    ("labels", "gone", "told"),
    [
        (tuple("abcd"), [1], "show 3 of the 4 classes of the network: none of class 'b'."),
        (
            tuple("abcd"),
            [0, 3],
            "show 2 of the 4 classes of the network: none of classes 'a', 'd'.",
        ),
        (tuple("012"), [3], "show 3 of the 4 classes of the network: none of class 3."),
        # Numbers of folders without one for each output tell nothing: the names that are there do.
        (("ant", "bee", "cow"), [3], "show 3 of the 4 classes of the network: only ant, bee, cow."),
    ],
)
def test_classes_without_rows_to_train_on_are_named(networks, labels, gone, told):
    whole = dataset(X, Y, labels)
    rows = ~np.isin(whole.train.y, gone)
    train = dataclasses.replace(whole.train, x=whole.train.x[rows], y=whole.train.y[rows])
    data = preflight(networks["0..1"], dataclasses.replace(whole, train=train)).data
    with pytest.warns(UserWarning, match=f"The training rows of 'bars' {told}") as found:
        warn_of_missing(data)
    assert len(found) == 1


def test_of_the_rows_for_calibration_only_these_count(networks):
    data = preflight(networks["0..1"], dataset(X, Y)).data
    warn_of_missing(data, np.arange(200), "calibration rows")
    with pytest.warns(
        UserWarning, match=r"The calibration rows of 'bars' show .*: none of class 'c'\."
    ):
        warn_of_missing(data, np.flatnonzero(data.train.y != 2), "calibration rows")


BAR, ONE = np.ones((4, 2, 2), int), np.array([[0, 1, 0], [0, 1, 1]] * 2)


@pytest.mark.parametrize(
    ("y", "outputs", "missing"),
    [
        (np.array([0, 2, 2]), np.zeros((1, 3)), [1]),
        (np.eye(3)[[0, 2, 2]], np.zeros((1, 3)), [1]),
        (np.array([1, 1]), np.zeros((1, 1)), [0]),
        (np.array([1, 0]), np.zeros((1, 1)), []),
        (ONE, np.zeros((1, 3)), [0]),
        (BAR, np.zeros((1, 2, 2, 3)), [0, 2]),
        (255 * BAR, np.zeros((1, 2, 2, 2)), [0]),
        (BAR, np.zeros((1, 2, 2, 1)), [0]),
        (np.array([0.5, 1.5]), np.zeros((1, 1)), []),
    ],
    ids=range(9),
)
def test_each_kind_of_labels_knows_what_is_missing(y, outputs, missing):
    head = find_head(y, outputs)
    assert head.missing(head.prepared(y)) == missing


def test_pixels_that_were_divided_twice_are_named_and_made_right(networks):
    twice = preflight(networks["0..1"], dataset(X.astype("float32") / 255**2, Y, scale=1.0))
    assert twice.scaling.startswith("pixels in 0..1 ")
    assert twice.scaling.endswith(", made of pixels that were divided by 255 twice")
    np.testing.assert_allclose(twice.data.train.inputs(slice(3)), X[:3] / 255, atol=1e-5)
    once = preflight(networks["0..1"], dataset(X.astype("float32") / 255, Y, scale=1.0))
    assert "twice" not in once.scaling
    assert twice.data.pixels == once.data.pixels


# Files


@pytest.fixture(scope="module")
def files(networks):
    return {name: tflite.convert(one).content for name, one in networks.items()}


@each_pair
def test_the_range_of_a_file_is_found_however_pixels_come(networks, files, pair):
    taken, came = pair
    data = dataset(RAW[came], Y, scale=1.0)
    found = preflight_file(files[taken], data)
    expected = preflight(networks[taken], data)
    assert found.score == expected.score
    assert found.data.pixels == expected.data.pixels
    assert str(found.task) == str(expected.task)


def test_the_range_that_a_file_holds_is_tried_too():
    odd = (3 / 255, -1.0)
    inside = keras.Sequential(
        [keras.Input(X.shape[1:]), keras.layers.Rescaling(1 / 3, 1 / 3), classifier(X, Y)]
    )
    content = tflite.convert(inside, normalization=odd).content
    for raw in RAW.values():
        found = preflight_file(content, dataset(raw, Y))
        assert found.scaling.startswith("pixels in -1..2 ")
        np.testing.assert_allclose(found.data.pixels, odd)
        assert found.score.value > 0.9
    # One that is wrong, as older versions of `convert` wrote it for floats, does no harm.
    wrong = tflite.convert(classifier(X, Y), normalization=(1.0, 0.0)).content
    assert preflight_file(wrong, dataset(RAW["float of 0 to 1"], Y)).score.value > 0.9


def test_a_file_is_tried_on_at_most_a_thousand_rows(files):
    rows = np.arange(1200) % len(X)
    split = dataset(X[rows], Y[rows]).train
    data = dataclasses.replace(dataset(X, Y), validation=dataclasses.replace(
        split, x=np.repeat(split.x, 2, 0), y=np.repeat(split.y, 2)
    ))  # fmt: skip
    found = preflight_file(files["0..1"], data, scale="0..1")
    assert found.score.n == 600  # every second row
    assert list(found.tried) == ["0..1"]


def test_a_file_gets_data_of_its_shape(files):
    with pytest.raises(ValueError, match=r"of shape \(12, 12, 1\).*`channels=1`"):
        preflight_file(files["0..1"], dataset(np.zeros((40, 12, 12, 3), "uint8"), Y[:40]))
