"""`CapacitySampling`: prefixes train, and nothing that was kept is lost."""

import keras
import numpy as np
import pytest
from backends import no_executions, not_under
from keras import layers as kl

from fr_keras import (
    CapacitySampling,
    TailTruncation,
    interop,
    load_archive,
    regularize,
    save_archive,
    spectral,
    zigzag,
)
from fr_keras.models.walk import frequency_layers

X, Y = np.random.default_rng(0).normal(size=(32, 6, 6, 2)), np.ones((32, 3))
LEAST = 0.1


def twin(**compiled) -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            kl.Conv2D(8, 3, name="conv"),
            kl.Flatten(),
            kl.Dense(3, name="dense"),
        ]
    )
    model = regularize(model)
    model.compile(**{"optimizer": "sgd", "loss": "mse", **compiled})
    return model


def fit(model, *callbacks, epochs=2, x=X, y=Y, **kwargs):
    arguments = {"epochs": epochs, "verbose": 0, "batch_size": 4, **kwargs}
    return model.fit(x, y, callbacks=list(callbacks), **arguments).history


def is_whole(model) -> bool:
    return all(
        layer.truncation["boundary"]
        == zigzag.boundary(layer.spectrum_shape, layer.kept, layer.axis_weights)
        for layer in frequency_layers(model)
    )


def computing(layer) -> int:
    """With how many coefficients a layer computes."""
    keys = zigzag.keys(layer.spectrum_shape, layer.axis_weights)
    return int(np.count_nonzero(keys <= layer.truncation["boundary"]))


class Watch(keras.callbacks.Callback):
    """Counts per batch, and whether the network is whole where something could be saved."""

    def __init__(self):
        super().__init__()
        self.counts, self.wholes = [], []

    def on_train_batch_begin(self, batch, logs=None):
        self.counts.append([computing(layer) for layer in frequency_layers(self.model)])

    def _look(self, *_, logs=None):
        self.wholes.append(is_whole(self.model))

    on_train_batch_end = on_test_begin = on_epoch_end = on_train_end = _look


def test_batches_draw_prefixes_and_the_whole_network():
    model, watch = twin(), Watch()
    fit(model, CapacitySampling(LEAST), watch, epochs=10, validation_data=(X, Y))
    fractions = np.array(watch.counts) / [144, 384]
    assert fractions.min() >= LEAST
    assert fractions.min() < 0.2
    # One capacity for all layers, up to a coefficient.
    assert np.abs(fractions[:, 0] - fractions[:, 1]).max() <= 1 / 144
    assert 0.15 < np.mean(fractions[:, 0] == 1) < 0.45  # 0.3 of 80
    assert len(np.unique(fractions[:, 0])) > 20
    assert all(watch.wholes)
    assert [layer.kept for layer in frequency_layers(model)] == [144, 384]


@pytest.mark.usefixtures("stepwise")
def test_draws_follow_the_seed():
    def counts(seed):
        watch = Watch()
        fit(twin(), CapacitySampling(seed=seed), watch)
        return watch.counts

    assert counts(1) == counts(1) != counts(2)
    # Not the same capacities in each epoch.
    assert counts(1)[:8] != counts(1)[8:]


def test_what_a_batch_does_not_compute_with_stays_as_it_is(monkeypatch):
    """Without momentum, coefficients beyond every prefix drawn are those of the beginning."""
    monkeypatch.setattr(CapacitySampling, "_draw", lambda self: 0.25)
    model = twin()
    before = [np.array(layer.coefficients) for layer in frequency_layers(model)]
    fit(model, CapacitySampling())
    for layer, old in zip(frequency_layers(model), before, strict=True):
        inside = zigzag.mask(layer.spectrum_shape, layer.kept // 4)
        new = np.array(layer.coefficients)
        assert np.array_equal(new[~inside], old[~inside])
        assert np.count_nonzero(old[~inside]) > 0
        assert not np.array_equal(new[inside], old[inside])
    assert is_whole(model)


def test_a_batch_computes_with_the_prefix_and_validation_with_all(monkeypatch):
    monkeypatch.setattr(CapacitySampling, "_draw", lambda self: 0.25)
    model = twin(optimizer=keras.optimizers.SGD(0.0))
    history = fit(model, CapacitySampling(), epochs=1, batch_size=32, validation_data=(X, Y))
    assert history["val_loss"] == [pytest.approx(model.evaluate(X, Y, verbose=0), rel=1e-5)]
    for layer in frequency_layers(model):
        layer.limit(layer.kept // 4)
    assert history["loss"] == [pytest.approx(model.evaluate(X, Y, verbose=0), rel=1e-5)]
    assert abs(history["loss"][0] - history["val_loss"][0]) > 0.01


@pytest.mark.parametrize("sampling_first", [True, False])
def test_together_with_truncation(sampling_first):
    model, watch = twin(), Watch()
    callbacks = [CapacitySampling(LEAST), TailTruncation(48, epochs=3, schedule="linear")]
    history = fit(model, *callbacks[:: 1 if sampling_first else -1], watch, epochs=4)
    assert history["kept"] == [528, 288, 48, 48]
    assert all(watch.wholes)
    assert max(sum(counts) for counts in watch.counts[-8:]) <= 48
    for layer in frequency_layers(model):
        assert np.count_nonzero(layer.coefficients) <= layer.kept


@no_executions
def test_one_capacity_for_each_execution():
    watch = Watch()
    fit(twin(steps_per_execution=4), CapacitySampling(), watch, epochs=1)
    assert len(watch.counts) == 2


@not_under("torch", "no batch begins after the last")
def test_data_of_unknown_length():
    """The last batch begins and has no end."""
    model, watch = twin(), Watch()

    def rows():
        for start in range(0, 32, 8):
            yield X[start : start + 8], Y[start : start + 8]

    with pytest.warns(UserWarning, match="ran out of data"):
        model.fit(
            rows(), epochs=1, verbose=0, shuffle=False, validation_data=(X, Y),
            callbacks=[CapacitySampling(), watch],
        )  # fmt: skip
    assert len(watch.counts) == 5
    assert all(watch.wholes)


class Fail(keras.callbacks.Callback):
    def __init__(self, event):
        super().__init__()
        setattr(self, event, self._fail)

    def _fail(self, *_, logs=None):
        raise KeyboardInterrupt


def test_an_exception_after_a_batch_leaves_the_whole_network():
    model = twin()
    with pytest.raises(KeyboardInterrupt):
        fit(model, CapacitySampling(), Fail("on_train_batch_end"))
    assert is_whole(model)


@pytest.mark.parametrize("how", ["restore", "fit"])
def test_an_exception_within_a_batch_is_repaired(monkeypatch, how):
    monkeypatch.setattr(CapacitySampling, "_draw", lambda self: 0.25)
    model, callback = twin(), CapacitySampling()
    with pytest.raises(KeyboardInterrupt):
        fit(model, callback, Fail("on_train_batch_begin"))
    assert not is_whole(model)
    if how == "restore":
        callback.restore()
    else:
        with pytest.raises(KeyboardInterrupt):
            fit(model, CapacitySampling(), Fail("on_train_begin"))
    assert is_whole(model)


def test_a_saved_model_resumes_exactly(tmp_path):
    keras.utils.set_random_seed(0)
    whole = twin(optimizer="adam")
    half = twin(optimizer="adam")
    half.set_weights(whole.get_weights())
    fit(whole, CapacitySampling(), epochs=4, shuffle=False)
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "at.keras")
    fit(half, CapacitySampling(), checkpoint, epochs=2, shuffle=False)
    again = keras.models.load_model(tmp_path / "at.keras")
    assert is_whole(again)
    fit(again, CapacitySampling(), epochs=4, initial_epoch=2, shuffle=False)
    for a, b in zip(whole.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)  # float32 rounding


@not_under("torch", "it traces nothing")
def test_no_retracing():
    model, traces = twin(), []
    layer = model.get_layer("dense")
    original = layer.call
    layer.call = lambda *a, **k: traces.append(1) or original(*a, **k)
    fit(model, CapacitySampling(), epochs=3)
    assert len(traces) <= 2


def test_frozen_layers_stay_whole():
    model, watch = twin(), Watch()
    model.get_layer("conv").trainable = False
    model.compile("sgd", "mse")
    fit(model, CapacitySampling(), watch)
    assert {conv for conv, _ in watch.counts} == {144}
    assert len({dense for _, dense in watch.counts}) > 3


def test_prefixes_of_a_network_trained_so_are_better(tmp_path):
    """Inputs with a low and a high frequency that say the same: which one is learned?

    Usual training from zero divides the answer between both, so a prefix knows half of it. A
    least-squares problem with an exact solution: every processor gets there.
    """
    says = np.linspace(-2, 2, 24)[:, None]
    x = says * (spectral.cosine_matrix(16)[0] + spectral.cosine_matrix(16)[15])
    losses = {}
    for name, callbacks in (("sampled", [CapacitySampling()]), ("usual", [])):
        plain = kl.Dense(1, use_bias=False, kernel_initializer="zeros")
        model = regularize(keras.Sequential([keras.Input((16,)), plain]))
        model.compile(keras.optimizers.SGD(0.1), "mse")
        rows = {"x": np.tile(x, (60, 1)), "y": np.tile(says, (60, 1)), "shuffle": False}
        fit(model, *callbacks, epochs=1, batch_size=24, **rows)
        save_archive(model, tmp_path / f"{name}.fr")
        for capacity in (1, 0.25):
            loaded = load_archive(tmp_path / f"{name}.fr", capacity)
            losses[name, capacity] = np.mean((loaded.predict(x, verbose=0) - says) ** 2)
    without = np.mean(says**2)
    assert losses["sampled", 1] < 0.01 * without
    assert losses["usual", 1] < 0.01 * without
    assert losses["sampled", 0.25] < 0.01 * without
    assert 0.2 * without < losses["usual", 0.25] < 0.3 * without  # half of the answer, squared


@pytest.mark.filterwarnings("ignore:calibration changed")
def test_statistics_can_be_set_anew_for_a_prefix(tmp_path):
    """What the docstring says of batch normalization: one set of statistics in the file."""
    plain = keras.Sequential(
        [keras.Input((8,)), kl.Dense(16, use_bias=False), kl.BatchNormalization(), kl.Dense(3)]
    )
    model = regularize(plain)
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(2, 1, (64, 8)).astype("float32")
    model.fit(x, np.ones((64, 3)), verbose=0, callbacks=[CapacitySampling()])
    save_archive(model, tmp_path / "model.fr", calibration=x)
    small = load_archive(tmp_path / "model.fr", 0.25)
    before = small.predict(x, verbose=0)
    interop.calibrate_batch_norm(small, x)
    assert np.abs(small.predict(x, verbose=0) - before).max() > 0.01


def test_limit_and_its_bounds():
    layer = twin().get_layer("conv")
    layer.limit(10)
    assert computing(layer) == np.count_nonzero(layer.kept_coefficients()) == 10
    assert layer.kept == 144
    layer.limit()
    assert computing(layer) == 144
    with pytest.raises(ValueError, match=r"`count` must be at most 144.*'conv'"):
        layer.limit(145)
    with pytest.raises(ValueError, match="`kept` must be a whole number from 1"):
        layer.limit(0)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"least": 0}, "`least`"),
        ({"least": 1}, "`least`.*leave this callback out"),
        ({"least": -0.5}, "`least`"),
        ({"least": True}, "`least`"),
        ({"least": "half"}, "`least`"),
        ({"least": float("nan")}, "`least`"),
        ({"seed": -1}, "`seed`"),
        ({"seed": 0.5}, "`seed`"),
        ({"seed": True}, "`seed`"),
    ],
)
def test_bad_arguments_are_named(arguments, match):
    with pytest.raises(ValueError, match=match):
        CapacitySampling(**arguments)


def test_a_plain_model_is_refused():
    model = keras.Sequential([keras.Input((6, 6, 2)), kl.Flatten(), kl.Dense(3)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="no trainable FR layers"):
        fit(model, CapacitySampling())
