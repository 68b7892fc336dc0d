"""`FreqNet`: which channels are zero and when, and that the cut network is FreqNet itself."""

import keras
import numpy as np
import pytest
import scipy.fft
from channel_graphs import Builder, difference, inputs_of, lively, outputs_of
from keras import layers, ops

from fr_keras.methods import FreqNet, narrow
from fr_keras.models import channels

X, Y = np.random.default_rng(0).normal(size=(32, 6)).astype("float32"), np.ones((32, 3), "float32")


def network(activation: str = "relu") -> keras.Model:
    inputs = keras.Input((6,))
    x = layers.BatchNormalization(name="bn")(layers.Dense(10, name="first")(inputs))
    x = layers.Dense(8, activation, name="second")(layers.Activation(activation)(x))
    return keras.Model(inputs, layers.Dense(3, name="logits")(x), name="small")


def fit(model, *callbacks, epochs, **options):
    if not model.compiled:
        model.compile("adam", "mse", run_eagerly=True)  # quicker for so few batches
    return model.fit(X, Y, epochs=epochs, verbose=0, callbacks=list(callbacks), **options).history


def used(model: keras.Model) -> dict[str, list[int]]:
    """The channels that have a weight which is not zero, in what makes, shifts or reads them."""
    found = {}
    for name, maker, reader in (("first", "first", "second"), ("second", "second", "logits")):
        parts = [np.asarray(model.get_layer(reader).kernel)]
        parts += [
            np.asarray(one).reshape(-1, parts[0].shape[0]).T
            for one in model.get_layer(maker).weights
        ]
        if name == "first":
            bn = model.get_layer("bn")
            parts += [np.asarray(one)[:, None] for one in (bn.beta, bn.moving_mean)]
        found[name] = np.flatnonzero(np.any(np.concatenate(parts, 1), 1)).tolist()
    return found


def test_the_last_channels_are_zero_after_each_batch_as_the_schedule_says():
    model, seen = network(), []
    look = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda *_, **__: seen.append(used(model))
    )
    freqnet = FreqNet(0.3, 3, schedule="linear", measure="weights")
    kept = fit(model, freqnet, look, epochs=3, batch_size=16)["kept"]
    whole, target = {"first": 10, "second": 8}, {n: len(one) for n, one in seen[-1].items()}
    for batch, one in enumerate(seen):
        fraction = max(0, 1 - (batch // 2) / 2)  # two batches an epoch
        assert one == {
            name: [*range(target[name] + round((size - target[name]) * fraction))]
            for name, size in whole.items()
        }
    small = FreqNet.cut(model)
    assert {n: small.get_layer(n).units for n in whole} == target
    assert kept[0] == 6 * 10 + 10 * 8 + 8 * 3
    assert kept[-1] == sum(np.size(one) for one in small.weights if one.name == "kernel")
    assert kept[-1] <= 0.3 * kept[0]
    shapes = [one.shape for one in narrow(network(), 0.3, "weights").weights]
    assert [one.shape for one in small.weights] == shapes


def dct(x):
    return scipy.fft.dct(x, norm="ortho")


def idct(x):
    return scipy.fft.idct(x, norm="ortho")


def freqnet(model: keras.Model, kept: dict[str, int], x: np.ndarray) -> np.ndarray:
    """FreqNet in space, with the weights of a plain network as its coefficients.

    The transform of pixels and that of classes are in the first and the last kernel.
    """
    values = {one.name: [np.asarray(w, np.float64) for w in one.weights] for one in model.layers}
    kernel, bias = values["first"]
    kernel[:, kept["first"] :] = 0
    gamma, beta, mean, variance = values["bn"]
    spectrum = dct(x @ idct(kernel)) + bias
    spectrum = (spectrum - mean) / np.sqrt(variance + model.get_layer("bn").epsilon) * gamma + beta
    spectrum[:, kept["first"] :] = 0
    x = idct(np.maximum(spectrum, 0))
    kernel, bias = values["second"]
    kernel[:, kept["second"] :] = 0
    kernel[kept["first"] :] = 0
    spectrum = dct(x @ idct(idct(kernel.T).T)) + bias
    spectrum[:, kept["second"] :] = 0
    x = idct(np.maximum(spectrum, 0))
    kernel, bias = values["logits"]
    kernel[kept["second"] :] = 0
    return x @ idct(kernel.T).T + bias


def test_the_narrow_network_is_freqnet_with_its_tail_cut():
    model = network()
    fit(model, FreqNet(0.3, 1), epochs=2)
    small = FreqNet.cut(model)
    kept = {name: small.get_layer(name).units for name in ("first", "second")}
    expected = freqnet(model, kept, X)
    for one in (model, small):
        assert difference([expected], outputs_of(one, [X])) < 1e-5
    small.get_layer("second").kernel.assign(small.get_layer("second").kernel * 0.5)
    assert difference([expected], outputs_of(small, [X])) > 1e-3


def test_a_trained_network_is_a_freqnet_and_its_transformed_kernels_are_not():
    """Which is why it begins as it is: an activation does not commute with a transform."""
    model = lively(network())
    whole = {"first": 10, "second": 8}
    expected = outputs_of(model, [X])
    assert difference(expected, [freqnet(model, whole, X)]) < 1e-5
    for name, before, after in (
        ("first", False, True),
        ("second", True, True),
        ("logits", True, False),
    ):
        kernel = np.array(model.get_layer(name).kernel)
        kernel = dct(kernel) if after else kernel
        model.get_layer(name).kernel.assign(dct(kernel.T).T if before else kernel)
    assert difference(expected, [freqnet(model, whole, X)]) > 0.1


def through(model: keras.Model, one: FreqNet) -> None:
    """An epoch without training, and the end of the fit."""
    callbacks = keras.callbacks.CallbackList([one], model=model)
    callbacks.on_train_begin()
    callbacks.on_epoch_begin(0)
    callbacks.on_epoch_end(0, {})
    callbacks.on_train_end()


@pytest.mark.parametrize("seed", range(1))
def test_random_graphs_compute_what_the_cut_ones_do(seed):
    keras.utils.set_random_seed(seed)
    model = lively(Builder(seed).model())
    kept = {name: one.size for name, one in channels.groups(model).items() if one.removable}
    through(model, FreqNet(0.6, 1, measure="weights"))
    x, cut = inputs_of(model), FreqNet.cut(model)
    assert difference(outputs_of(model, x), outputs_of(cut, x)) < 1e-5
    assert cut.count_params() < model.count_params()
    sizes = {name: one.size for name, one in channels.groups(cut).items() if one.removable}
    assert all(sizes[name] <= kept[name] for name in sizes)


def test_frozen_groups_stay_whole_and_the_student_of_a_distiller_is_cut():
    teacher, student = network(), network()
    student.get_layer("first").trainable = False
    distiller = keras.distillation.Distiller(
        teacher, student, [keras.distillation.LogitsDistillation(loss="mse")]
    )
    fit(distiller, FreqNet(0.7, 1, measure="weights"), epochs=1)
    assert FreqNet.cut(student).get_layer("first").units == 10
    assert FreqNet.cut(student).get_layer("second").units < 8
    with pytest.raises(ValueError, match="must have filters that are zero: train it with FreqNet"):
        FreqNet.cut(teacher)
    for layer in student.layers:
        layer.trainable = False
    with pytest.raises(ValueError, match="must have trainable layers whose channels"):
        through(student, FreqNet(0.5, 1))


def test_a_fit_goes_on_where_it_was():
    model = network()
    with pytest.warns(UserWarning, match=r"before the channels were cut .* at least epochs = 3"):
        fit(model, FreqNet(0.3, 3, schedule="linear", measure="weights"), epochs=2)
    between = used(model)
    fit(model, FreqNet(0.3, 3, schedule="linear", measure="weights"), epochs=3, initial_epoch=2)
    assert len(used(model)["first"]) < len(between["first"]) < 10


def test_weights_that_come_back_are_cut_again_with_a_warning():
    class Back(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            self.model.get_layer("second").kernel.assign(ops.ones((10, 8)))

    model = network("sigmoid")  # of a channel that is 0 it would make a half
    with pytest.warns(UserWarning, match=r"put weights back .*start_from_epoch=1"):
        fit(model, FreqNet(0.3, 2), Back(), epochs=2)
    assert difference(outputs_of(model, [X]), outputs_of(FreqNet.cut(model), [X])) < 1e-5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": 0.0}, "`keep` must be a number from 1"),
        ({"keep": True}, "`keep` must be a number from 1"),
        ({"keep": {"first": 3}}, "`keep` must be a number from 1"),
        ({"epochs": 0}, "`epochs`"),
        ({"schedule": "no such"}, "`schedule`"),
    ],
)
def test_arguments_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        FreqNet(**{"keep": 0.5, "epochs": 2, **options})


def test_budgets_that_cannot_be_met_are_refused_when_fit_begins():
    with pytest.raises(ValueError, match="`keep` must be at least"):
        through(network(), FreqNet(3, 2, measure="weights"))
    with pytest.raises(ValueError, match="`keep` must be at most"):
        through(network(), FreqNet(10**6, 2, measure="weights"))
    lone = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    with pytest.raises(ValueError, match="must have channels that can be removed"):
        through(lone, FreqNet(0.5, 2))
