import keras
import numpy as np
import pytest
from backends import BACKEND, tensorflow_alone
from examples import telling
from keras import layers as kl

import fr_archive
from fr_keras import ArchiveRounding, load_archive, regularize, save_archive
from fr_keras.callbacks._rounding import _Bits
from fr_keras.models.walk import frequency_layers, named_kernels

X = np.random.default_rng(0).normal(size=(64, 6, 6, 2)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(64, 3)).astype(np.float32)
STEP = 0.1


def twin(start=120, **options) -> keras.Model:
    keras.utils.set_random_seed(0)
    plain = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            kl.Conv2D(8, 3, use_bias=False, name="conv", **options),
            kl.Activation("relu"),
            kl.Flatten(),
            kl.Dense(3, use_bias=False, name="dense"),
        ]
    )
    model = regularize(plain, start=start)
    model.compile(keras.optimizers.SGD(0.01), "mse")
    return model


def fit(model, *callbacks, epochs=2, **kwargs):
    return model.fit(X, Y, epochs=epochs, verbose=0, callbacks=list(callbacks), **kwargs).history


def coefficients(model):
    return [layer.kept_coefficients() for layer in frequency_layers(model)]


@pytest.mark.parametrize(
    ("start", "step"),
    [
        (120, 0.1),
        *(pytest.param(None, step, marks=pytest.mark.slow) for step in (0.02, 0.1, 0.3)),
        *(pytest.param(120, step, marks=pytest.mark.slow) for step in (0.02, 0.3)),
    ],
)
def test_an_archive_holds_exactly_what_was_trained(tmp_path, start, step):
    model = twin(start)
    fit(model, ArchiveRounding(step, rate=1e-4))
    save_archive(model, tmp_path / "model.fr", step)
    loaded = load_archive(tmp_path / "model.fr")
    for layer, again in zip(frequency_layers(model), frequency_layers(loaded), strict=True):
        held = layer.kept_coefficients()
        corner = tuple(slice(n) for n in layer.corner)
        box = tuple(slice(n) for n in again.corner)
        np.testing.assert_array_equal(held[corner], again.kept_coefficients()[box])
    np.testing.assert_allclose(model.predict(X, verbose=0), loaded.predict(X, verbose=0), atol=1e-5)


def test_coefficients_are_whole_steps_of_the_format():
    model = twin()
    fit(model, ArchiveRounding(STEP))
    for values in coefficients(model):
        size = np.min(np.abs(values[values != 0]))
        candidates = [fr_archive.step_value(k) for k in range(-120, 20)]
        whole = [np.abs(values / one - np.rint(values / one)).max() < 1e-4 for one in candidates]
        steps = [one for one, fits in zip(candidates, whole, strict=True) if fits and one <= size]
        # Steps relative to a norm that the rounding has changed a little.
        assert any(abs(one / (STEP * np.linalg.norm(values)) - 1) < 0.2 for one in steps)


def test_the_loss_is_that_of_the_rounded_network():
    model = twin()
    model.compile(keras.optimizers.SGD(0.0), "mse")
    history = fit(model, ArchiveRounding(0.5), epochs=1, validation_data=(X, Y))
    rounded = model.evaluate(X, Y, verbose=0)
    assert history["loss"][-1] == pytest.approx(rounded, rel=1e-5)
    assert history["val_loss"][-1] == pytest.approx(rounded, rel=1e-5)


def test_the_gradient_passes_the_rounding():
    """Whole-batch descent to the outputs of a network of the same kind: any processor descends."""
    model, teacher = twin(), twin()
    for layer in frequency_layers(teacher):
        values = np.random.default_rng(1).normal(0, 0.15, layer.coefficients.shape)
        layer.set_coefficients(values)
    before, y = coefficients(model), teacher.predict(X, verbose=0)
    model.compile(keras.optimizers.SGD(0.05), "mse")
    callbacks = [ArchiveRounding(STEP)]
    losses = model.fit(X, y, batch_size=64, epochs=15, verbose=0, callbacks=callbacks)
    assert losses.history["loss"][-1] < 0.9 * losses.history["loss"][0]
    assert all(np.any(a != b) for a, b in zip(before, coefficients(model), strict=True))


def test_a_price_for_bits_makes_smaller_numbers(tmp_path):
    """The price alone, without a loss beside it, and the archive before and after."""
    model = twin()
    model.compile(keras.optimizers.SGD(0.02), "mse", loss_weights=0.0)
    before = save_archive(model, tmp_path / "before.fr", 0.05)
    prices = fit(model, ArchiveRounding(0.05, rate=0.01), epochs=15, batch_size=16)["loss"]
    assert prices[-1] < prices[0]
    after = save_archive(model, tmp_path / "after.fr", 0.05)
    assert after.sections["coefficients"] < 0.9 * before.sections["coefficients"]


def test_fit_without_it_is_plain_again():
    once, other = twin(kernel_regularizer="l2"), twin(kernel_regularizer="l2")
    regularizers = [layer.coefficients.regularizer for layer in frequency_layers(once)]
    fit(once, ArchiveRounding(STEP, rate=0.1))
    assert [one.coefficients.regularizer for one in frequency_layers(once)] == regularizers
    for layer, values in zip(frequency_layers(other), coefficients(once), strict=True):
        layer.set_coefficients(values)
    histories = [fit(model, epochs=3, shuffle=False) for model in (once, other)]
    assert histories[0]["loss"] == pytest.approx(histories[1]["loss"], rel=1e-5)
    for left, right in zip(coefficients(once), coefficients(other), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-6)


def test_a_regularizer_of_the_kernel_still_counts():
    model = twin(kernel_regularizer=keras.regularizers.L2(1.0))
    model.compile(keras.optimizers.SGD(0.0), "mse")
    plain = model.evaluate(X, Y, verbose=0)
    norm = np.sum(np.square(frequency_layers(model)[0].kept_coefficients()))
    priced = fit(model, ArchiveRounding(1e-6, rate=1e-9), epochs=1)["loss"][-1]
    assert priced == pytest.approx(plain, rel=1e-3)
    assert plain > norm


def test_frozen_layers_stay_as_they_are():
    model = twin()
    conv, dense = frequency_layers(model)
    conv.trainable = False
    model.compile(keras.optimizers.SGD(0.01), "mse")
    before = conv.kept_coefficients()
    fit(model, ArchiveRounding(0.5))
    np.testing.assert_array_equal(conv.kept_coefficients(), before)
    assert len(np.unique(dense.kept_coefficients())) < 10


@pytest.mark.parametrize("step", [0, 1.5, -0.1, "0.1", True, float("nan")])
def test_a_bad_step_is_named(step):
    with pytest.raises(ValueError, match=r"`step` must .*Received: step="):
        ArchiveRounding(step)


@pytest.mark.parametrize("rate", [-1, "1", True, float("inf"), float("nan")])
def test_a_bad_rate_is_named(rate):
    with pytest.raises(ValueError, match=r"`rate` must .*Received: rate="):
        ArchiveRounding(0.1, rate)


def test_a_model_without_frequency_layers_is_refused():
    model = keras.Sequential([keras.Input((6, 6, 2)), kl.Flatten(), kl.Dense(3)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="no trainable FR layers"):
        fit(model, ArchiveRounding(0.1))


def test_each_layer_has_its_own_step():
    steps = {"conv": 0.3, "dense": 0.02}
    model = twin()
    fit(model, ArchiveRounding(steps))
    for layer, values in zip(frequency_layers(model), coefficients(model), strict=True):
        least = np.abs(values[values != 0]).min() / np.linalg.norm(values)
        assert 0.8 * steps[layer.name] < least < 1.2 * steps[layer.name]
    with pytest.raises(ValueError, match=r"`step` must name every trainable FR layer.*'dense'"):
        fit(model, ArchiveRounding({"conv": 0.3}))


# Interruptions

HOOKS = (
    "on_train_begin",
    "on_epoch_begin",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_begin",
    "on_test_batch_begin",
    "on_test_batch_end",
    "on_test_end",
    "on_epoch_end",
)


class Interrupt(keras.callbacks.Callback):
    def __init__(self, hook, after=0):
        super().__init__()
        left = [after]

        def raises(*args, **kwargs):
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt

        setattr(self, hook, raises)


def as_it_was(model):
    """Whether the model computes with its coefficients as they are, in every way to ask it."""
    copy = twin(kernel_regularizer=L2)
    copy.set_weights(model.get_weights())
    outputs = copy(X)
    loss = np.mean(np.square(outputs - Y)) + sum(map(keras.ops.convert_to_numpy, copy.losses))
    return (
        np.allclose(outputs, model(X), atol=1e-5)
        and np.allclose(outputs, model.predict(X, verbose=0), atol=1e-5)
        and model.evaluate(X, Y, verbose=0) == pytest.approx(loss, rel=1e-5)
        and model.train_on_batch(X, Y) == pytest.approx(loss, rel=1e-5)
    )


L2 = keras.regularizers.L2(0.01)
INTERRUPTIONS = (
    *((hook, True) for hook in HOOKS),
    *((hook, False) for hook in ("on_train_batch_begin", "on_train_batch_end", "on_test_begin")),
)
# While it trains, and while it tests.
_OFTEN = (("on_train_batch_begin", True), ("on_test_batch_end", True))


@pytest.mark.usefixtures("stepwise")
@pytest.mark.parametrize(
    ("hook", "first"),
    [one if one in _OFTEN else pytest.param(*one, marks=pytest.mark.slow) for one in INTERRUPTIONS],
)
def test_an_interruption_leaves_nothing_behind(hook, first):
    model = twin(kernel_regularizer=L2)
    ours, other = ArchiveRounding(0.5, rate=0.1), Interrupt(hook, after=hook.count("batch"))
    with pytest.raises(KeyboardInterrupt):
        fit(
            model,
            *([ours, other] if first else [other, ours]),
            validation_data=(X, Y),
            batch_size=16,
        )
    if hook.endswith("batch_begin") and first:
        ours.restore()
    assert as_it_was(model)


@pytest.mark.usefixtures("stepwise")
@pytest.mark.parametrize("same", telling([True, False], True))
def test_the_next_fit_is_as_without_the_interruption(same):
    histories = []
    for interrupted in (True, False):
        model, ours = twin(kernel_regularizer=L2), ArchiveRounding(0.3, rate=0.01)
        before = model.get_weights()
        if interrupted:
            with pytest.raises(KeyboardInterrupt):
                fit(model, ours, Interrupt("on_train_batch_begin", after=1), batch_size=16)
            model.set_weights(before)
        following = ours if same else ArchiveRounding(0.3, rate=0.01)
        history = fit(model, following, shuffle=False, validation_data=(X, Y))
        layers = frequency_layers(model)
        assert not any(isinstance(one.coefficients.regularizer, _Bits) for one in layers)
        assert all(layer.rounding is None for layer in layers)
        histories.append((history, fit(model, shuffle=False), *coefficients(model)))
    (left, right, *values), (expected, plain, *others) = histories
    for one, other in ((left, expected), (right, plain)):
        assert one.keys() == other.keys()
        assert all(one[name] == pytest.approx(other[name], rel=1e-5) for name in one)
    for one, other in zip(values, others, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_an_error_within_a_batch_leaves_nothing_behind():
    model, ours = twin(kernel_regularizer=L2), ArchiveRounding(0.5, rate=0.1)

    def rows():
        yield X[:16], Y[:16]
        yield X[:16], Y[:16]
        raise KeyboardInterrupt

    # TensorFlow has an error of its own for one that a generator raises.
    with pytest.raises(Exception if BACKEND == "tensorflow" else KeyboardInterrupt):
        model.fit(rows(), verbose=0, shuffle=False, callbacks=[ours])
    assert as_it_was(model)


@tensorflow_alone("no other data set ends unforeseen")
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_a_data_set_of_unknown_length():
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(16).filter(lambda *_: True)
    model, seen = twin(), []
    look = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: seen.append(as_predicted(model)),
    )
    callbacks = [ArchiveRounding(0.5), look]
    model.fit(data, epochs=2, verbose=0, shuffle=False, callbacks=callbacks)
    assert seen == [True, True]


def as_predicted(model):
    """Whether the model computes with its coefficients as they are."""
    copy = twin()
    copy.set_weights(model.get_weights())
    return np.allclose(copy(X), model.predict(X, verbose=0), atol=1e-5)


def test_checkpoints_hold_the_coefficients_unrounded_and_compute_so(tmp_path):
    model, path = twin(), tmp_path / "at.keras"
    fit(model, ArchiveRounding(0.5), keras.callbacks.ModelCheckpoint(path), epochs=1)
    saved = keras.models.load_model(path)
    assert all(len(np.unique(one)) > 20 for one in coefficients(saved))
    assert all(len(np.unique(one)) < 20 for one in coefficients(model))
    assert all(layer.rounding is None for layer in frequency_layers(saved))


def test_steps_of_layers_of_one_name_in_nested_models():
    def nested(name):
        return keras.Sequential([keras.Input((8,)), kl.Dense(8, name="same")], name=name)

    inputs = keras.Input((8,))
    plain = keras.Model(inputs, kl.Dense(2, name="end")(nested("b")(nested("a")(inputs))))
    model, x = regularize(plain), np.ones((4, 8))
    model.compile("sgd", "mse")
    steps = {"a/same": 0.5, "b/same": 0.01, "end": 0.1}
    model.fit(x, np.ones((4, 2)), verbose=0, callbacks=[ArchiveRounding(steps)])
    for name, layer in named_kernels(model).items():
        values = layer.kept_coefficients()
        least = np.abs(values[values != 0]).min() / np.linalg.norm(values)
        assert least >= 0.9 * steps[name]
    assert len(np.unique(model.get_layer("b").layers[0].kept_coefficients())) > 12
    with pytest.raises(
        ValueError, match=r"`step` must name every .*'a/same'.*Received: \['same'\]"
    ):
        model.fit(x, np.ones((4, 2)), verbose=0, callbacks=[ArchiveRounding({"same": 0.5})])
