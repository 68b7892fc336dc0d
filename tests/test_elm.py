"""Extreme learning machines, beside ridge regression by plain matrices."""

import itertools
import sys

import keras
import numpy as np
import pytest
from backends import batched, tensorflow_alone
from test_ridge import reference

import fr_keras
from fr_keras import tflite
from fr_keras.layers import SeededSigns
from fr_keras.methods import _ridge, elm

INPUTS, NEURONS = 20, 30


def rows(count: int = 300, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (count, INPUTS)).astype(np.float32)


def classes(x: np.ndarray) -> np.ndarray:
    return (x[:, 0] > x[:, 1]).astype(int) + (x[:, 2] > 0.3)


def numbers(x: np.ndarray) -> np.ndarray:
    return x[:, 0] * 3 + np.abs(x[:, 1]) + 7


def hidden(model: keras.Model, x: np.ndarray) -> np.ndarray:
    """What the hidden layer gives, from its weights."""
    kernel, bias = model.get_layer("hidden").get_weights()
    return np.maximum(x.astype(np.float64) @ kernel + bias, 0)


def answers(model: keras.Model, x: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(x))


def softmax(z: np.ndarray) -> np.ndarray:
    powers = np.exp(z - z.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def same(one: keras.Model, other: keras.Model) -> None:
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_the_hidden_layer_is_known_from_the_seed():
    x = rows()
    model = elm((x, numbers(x)), NEURONS, seed=5)
    layer = model.get_layer("hidden")
    expected = SeededSigns(5, 0.25).values((INPUTS, NEURONS))
    np.testing.assert_array_equal(layer.kernel, expected)
    bias = keras.ops.convert_to_numpy(layer.bias)
    middles = [0.25 * ((i + 0.5) / NEURONS * 2 - 1) for i in range(NEURONS)]
    np.testing.assert_allclose(bias, middles, rtol=1e-6)
    assert model.trainable_weights == model.get_layer("output").trainable_weights
    other = elm((x, numbers(x)), NEURONS, seed=6)
    assert np.any(np.array(other.get_layer("hidden").kernel) != expected)


def test_one_penalty_for_numbers_is_ridge_regression_on_all_rows():
    x = rows()
    model = elm((x, numbers(x)), NEURONS, penalty=0.01)
    kernel, bias = reference(hidden(model, x), numbers(x)[:, None], 0.01)
    expected = hidden(model, x) @ kernel + bias
    np.testing.assert_allclose(answers(model, x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("given", [True, False])
def test_validation_rows_choose_the_penalty_and_the_sharpness_of_classes(given):
    x, x_val = rows(), rows(80, seed=1)
    choosing = np.arange(len(x)) % 10 == 9
    fitted = x if given else x[~choosing]
    judged = x_val if given else x[choosing]
    validation = (x_val, classes(x_val)) if given else None
    penalties, best = (1e-5, 1e-2, 3.0, 1000.0), (np.inf, None)
    model = elm((x, classes(x)), NEURONS, validation, penalty=penalties)
    for penalty in penalties:
        kernel, bias = reference(hidden(model, fitted), np.eye(3)[classes(fitted)], penalty)
        for factor in 2.0 ** (np.arange(15) / 2):
            found = softmax((hidden(model, judged) @ kernel + bias) * factor)
            loss = -np.log(found[np.arange(len(judged)), classes(judged)]).mean()
            best = min(best, (loss, (kernel * factor, bias * factor)), key=lambda one: one[0])
    for one, expected in zip(model.get_layer("output").get_weights(), best[1], strict=True):
        np.testing.assert_allclose(one, expected, rtol=1e-3, atol=1e-3)


def test_validation_rows_choose_the_penalty_of_numbers():
    x, x_val = rows(60), rows(80, seed=1)
    penalties = (1e-5, 0.3, 1e4)
    model = elm((x, numbers(x)), NEURONS, (x_val, numbers(x_val)), penalty=penalties)
    single = [elm((x, numbers(x)), NEURONS, penalty=one) for one in penalties]
    errors = [np.square(answers(one, x_val)[:, 0] - numbers(x_val)).mean() for one in single]
    assert np.argmin(errors) == 1
    same(model, single[1])


def test_batches_of_any_size_give_the_same_network():
    x = rows()
    whole = elm((x, classes(x)), NEURONS)
    cuts = [0, 1, 2, 40, 41, 250, 300]
    pieces = [(x[a:b], classes(x)[a:b]) for a, b in itertools.pairwise(cuts)]
    same(elm(iter(pieces), NEURONS), whole)
    same(elm(batched((x, classes(x)), 7), NEURONS), whole)


def test_labels_may_be_one_hot_or_a_column():
    x = rows()
    whole = elm((x, classes(x)), NEURONS)
    one_hot = np.eye(3)[classes(x)]
    for labels in (one_hot, one_hot.astype(bool), one_hot.astype(int), classes(x)[:, None]):
        same(elm((x, labels), NEURONS), whole)


def test_two_classes_may_be_truth_values():
    x = rows()
    model = elm((x, x[:, 0] > 0), NEURONS)
    assert model.output_shape == (None, 2)
    assert np.mean(answers(model, x).argmax(1) == (x[:, 0] > 0)) > 0.8


def test_images_of_whole_numbers_are_flattened():
    pixels = np.random.default_rng(0).integers(0, 256, (200, 2, 3, 2), np.uint8)
    labels = pixels[:, 0, 0, 0] > pixels[:, 1, 2, 1]
    model = elm((pixels, labels), 64)
    assert model.input_shape == (None, 2, 3, 2)
    assert np.mean(answers(model, pixels).argmax(1) == labels) > 0.8


def test_outputs_of_several_numbers_keep_their_units():
    x = rows()
    y = np.stack([numbers(x) * 1e6, x[:, 3] * 1e-3, np.full(len(x), 4.0)], axis=1)
    found = answers(elm((x, y), NEURONS), x)
    assert np.all(np.abs(found - y).mean(0) < 0.5 * y.std(0) + 1e-5)


def test_the_activation_may_be_any_of_keras():
    x = rows()
    model = elm((x, numbers(x)), NEURONS, activation=keras.activations.tanh, penalty=1e-3)
    kernel, bias = model.get_layer("hidden").get_weights()
    h = np.tanh(x.astype(np.float64) @ kernel + bias)
    solution, last = reference(h, numbers(x)[:, None], 1e-3)
    np.testing.assert_allclose(answers(model, x), h @ solution + last, rtol=1e-3, atol=1e-3)


def test_mixed_precision_computes_features_as_the_network_does():
    x = rows()
    full = elm((x, numbers(x)), NEURONS, penalty=0.01)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = elm((x, numbers(x)), NEURONS, penalty=0.01)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("hidden").compute_dtype == "bfloat16"
    difference = answers(model, x).astype(np.float32) - answers(full, x)
    assert np.sqrt(np.mean(difference**2)) < 0.2


def test_a_keras_file_has_the_same_network(tmp_path):
    x = rows()
    model = elm((x, classes(x)), NEURONS, seed=(1 << 64) - 1)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(answers(loaded, x), answers(model, x))
    signs = loaded.get_layer("hidden").kernel_initializer
    assert isinstance(signs, SeededSigns)
    assert signs.get_config() == model.get_layer("hidden").kernel_initializer.get_config()
    assert not loaded.get_layer("hidden").trainable


@tensorflow_alone("it converts")
def test_it_becomes_an_int8_file_and_an_archive(tmp_path):
    x = rows()
    model = elm((x, classes(x)), NEURONS)
    content = tflite.convert(model, quantize="int8", calibration=x).content
    assert np.abs(tflite.Runner(content).run(x) - answers(model, x)).max() < 0.1
    fr_keras.save_archive(model, tmp_path / "m.fr")
    loaded = fr_keras.load_archive(tmp_path / "m.fr")
    np.testing.assert_array_equal(
        loaded.get_layer("hidden").kernel, model.get_layer("hidden").kernel
    )
    assert np.abs(answers(loaded, x) - answers(model, x)).max() < 0.02


def test_progress_ends_with_what_was_chosen():
    said = []
    x = rows()
    elm((x, numbers(x)), NEURONS, penalty=(1e-3, 10), progress=lambda *one: said.append(one))
    assert said[0] == ("Adding rows", None)
    assert said[1:3] == [("Solved with penalty 0.001", 0.5), ("Solved with penalty 10", 1.0)]
    assert said[3][0].startswith("Penalty 0.001 has the least loss, 0.")


def test_nothing_else_draws_from_the_seed():
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.get_state()[1].copy()  # noqa: NPY002
    x = rows()
    elm((x, numbers(x)), NEURONS, penalty=1.0)
    np.testing.assert_array_equal(np.random.get_state()[1], expected)  # noqa: NPY002


def test_it_warns_of_a_penalty_at_the_end():
    x = rows()
    noise = np.random.default_rng(1).normal(size=len(x))
    with pytest.warns(UserWarning, match=r"the largest penalty, 0\.001, .* larger one"):
        elm((x, noise), 200, penalty=(1e-5, 1e-3))


def test_it_warns_of_penalties_that_float32_cannot_solve(monkeypatch):
    monkeypatch.setattr(_ridge, "_MOST_IN_DOUBLE", 0)
    x = rows(20)  # fewer than neurons
    with pytest.warns(UserWarning, match="smaller ones have no solution in this precision"):
        elm((x, numbers(x)), 300, penalty=(1e-12, 1e-3, 1e9))


def test_it_warns_of_neurons_that_are_alike():
    x = rows()[:, :3]
    with pytest.warns(UserWarning, match="rows of 3 numbers allow only 8 different neurons"):
        elm((x, numbers(x)), 9)


def test_it_warns_of_a_class_without_rows():
    x = rows()
    labels = classes(x) * 2
    with pytest.warns(UserWarning, match="no rows to fit for 2 of 5 classes: 1, 3"):
        elm((x, labels), NEURONS)


X = rows(40)
NAN, INFINITE = X.copy(), X.copy()
NAN[35, 2], INFINITE[1, 2] = np.nan, np.inf
Y, T = classes(X), numbers(X)
CHANGES = [(X[:20], Y[:20]), (X[20:], T[20:])]
WIDER = [(X[:20], np.eye(3)[Y[:20]]), (X[20:], np.eye(4)[Y[20:]])]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((X[:0], Y[:0]), "`data` must hold at least one batch with rows"),
        ([], "`data` must hold at least one batch with rows"),
        (None, "`data` must be an array"),
        (X, "`data` must have labels"),
        ((X,), "`data` must have labels"),
        ((X, Y, Y), "`data` must be inputs and labels; weights"),
        (({"a": X}, Y), "one array of inputs"),
        ((X[:, 0], Y), "one array of inputs"),
        ((X[:, :0], Y), "one array of inputs"),
        ((X, Y[:30]), "`data` must have as many rows"),
        ((NAN, Y), "inputs in `data` must be finite"),
        ((INFINITE, Y), "inputs in `data` must be finite"),
        ((X, np.where(T > 7, np.nan, T)), "labels in `data` must be the numbers"),
        ((X, Y - 1), "labels in `data` must be the numbers"),
        ((X, Y + 70_000), "labels in `data` must be the numbers"),
        ((X, np.array(["a"] * 40)), "labels in `data` must be the numbers"),
        ((X, np.stack([Y, Y], 1)), "labels in `data` must be the numbers"),
        ((X, T[:, None, None]), "labels in `data` must be the numbers"),
        ((X, Y * 0), "at least two classes.*Received: 1"),
        ((X, Y * 0 + 3), "at least two classes.*Received: 1"),
        (CHANGES, "labels in `data` must be of one task"),
        (WIDER, "labels in `data` must be of one task"),
        ((X[:9], Y[:9]), "`data` must have at least 10 rows.*Received: 9 rows"),
        ((X * 0, T), "inputs in `data` must differ"),
    ],
)
def test_bad_data_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        elm(data, NEURONS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"neurons": 0}, "`neurons` must be an int from 1 to 65,534. Received: 0"),
        ({"neurons": 65_535}, "`neurons` must be"),
        ({"neurons": 2.0}, "`neurons` must be"),
        ({"neurons": True}, "`neurons` must be"),
        ({"seed": -1}, "`seed` must be"),
        ({"penalty": 0}, "`penalty` must be a number above 0"),
        ({"penalty": ()}, "`penalty` must be"),
        ({"penalty": (1e-3, np.nan)}, "`penalty` must be"),
        ({"penalty": True}, "`penalty` must be"),
        ({"penalty": "1"}, "`penalty` must be"),
        ({"validation": (X[:0], Y[:0])}, "`validation` must hold at least one batch"),
        ({"validation": X}, "`validation` must have labels"),
        ({"validation": (NAN, Y)}, "inputs in `validation` must be finite"),
        ({"validation": (X, T)}, "labels in `validation` must be of one task"),
        ({"validation": (X, Y + 1)}, "`validation` must have no class.*Received: class 3"),
        ({"validation": 3}, "`validation` must be an array"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        elm((X, Y), **{"neurons": NEURONS, **arguments})


def test_an_activation_that_keras_does_not_know_is_refused():
    with pytest.raises(ValueError, match="nothing"):
        elm((X, Y), NEURONS, activation="nothing")


def test_without_scipy_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.linalg", None)
    with pytest.raises(ImportError, match="extra `elm`"):
        elm((X, Y), NEURONS)
