"""`SoftFilterPruning`: which filters are zero and when, and that the cut network is the same."""

import keras
import numpy as np
import pytest
from channel_graphs import STEPS, Builder, difference, inputs_of, lively, outputs_of
from examples import telling
from keras import layers, ops

from fr_keras import summary, zoo
from fr_keras.methods import SoftFilterPruning
from fr_keras.models import channels


def through(model: keras.Model, soft: SoftFilterPruning, end: bool = True) -> None:
    """An epoch without training, and the end of the fit."""
    callbacks = keras.callbacks.CallbackList([soft], model=model)
    callbacks.on_train_begin()
    callbacks.on_epoch_begin(0)
    callbacks.on_epoch_end(0, {})
    if end:
        callbacks.on_train_end()


def same(model: keras.Model) -> None:
    """The cut model computes what the model does, and the check would see a halved kernel."""
    x, cut = inputs_of(model), SoftFilterPruning.cut(model)
    expected = outputs_of(model, x)
    assert difference(expected, outputs_of(cut, x)) < 1e-5
    assert cut.count_params() < model.count_params()
    for weight in cut.trainable_weights:
        if "kernel" in weight.path:
            weight.assign(0.5 * weight)
    assert difference(expected, outputs_of(cut, x)) > 1e-3


@pytest.mark.parametrize("seed", telling(range(12), 0, 1))
def test_random_graphs_are_the_cut_ones_after_the_end(seed):
    keras.utils.set_random_seed(seed)
    model = lively(Builder(seed).model())
    through(model, SoftFilterPruning(0.7, "weights"))
    same(model)


#: Steps behind which a zero filter is zero, so that the function is the same after each epoch.
ZERO = [one for one in STEPS if one not in ("mixer", "norms", "unknown")]


@pytest.mark.parametrize(
    "step",
    telling(ZERO, "attention", "channel_shuffle", "grouped", "nested", "shared", "squeeze_excite"),
)
def test_the_function_is_the_cut_one_after_each_epoch(step):
    keras.utils.set_random_seed(0)
    builder = Builder(0)
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same", name="stem")(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2D(8, 3, padding="same", name="last")(STEPS[step](builder, x, step))
    x = layers.ReLU()(layers.BatchNormalization()(x))
    model = lively(keras.Model(inputs, layers.Dense(4)(layers.Flatten()(x))))
    through(model, SoftFilterPruning(0.7, "weights"), end=False)
    same(model)


def small(activation: str = "relu", norm: bool = True, units: int = 8, **kwargs) -> keras.Model:
    inputs = keras.Input((6,))
    x = layers.Dense(units, name="hidden")(inputs)
    if norm:
        x = layers.BatchNormalization(name="bn", **kwargs)(x)
    x = layers.Activation(activation)(x)
    return keras.Model(inputs, layers.Dense(3, name="logits")(x), name="small")


X, Y = np.random.default_rng(0).normal(size=(32, 6)).astype("float32"), np.ones((32, 3))


def fit(model, *callbacks, epochs=2, optimizer="adam", **kwargs):
    if not model.compiled:
        model.compile(optimizer, "mse", run_eagerly=True)  # quicker for so few batches
    return model.fit(X, Y, epochs=epochs, verbose=0, callbacks=list(callbacks), **kwargs).history


def zeros(model: keras.Model, name: str = "hidden") -> list[int]:
    return np.flatnonzero(np.abs(np.array(model.get_layer(name).kernel)).sum(0) == 0).tolist()


@pytest.mark.parametrize("activation", ["sigmoid", "softplus", "relu"])
def test_training_with_any_activation_ends_in_the_cut_network(activation):
    model = lively(small(activation))
    fit(model, SoftFilterPruning(0.5))
    assert len(zeros(model)) == 4
    x, cut = [X], SoftFilterPruning.cut(model)
    assert difference(outputs_of(model, x), outputs_of(cut, x)) < 1e-5
    assert cut.get_layer("hidden").units == 4
    assert cut.compiled
    cut.fit(X, Y, epochs=1, verbose=0)


def test_the_weakest_filters_by_brute_force():
    model = small(norm=False)
    kernel = np.array(model.get_layer("hidden").kernel)
    through(model, SoftFilterPruning(5 * 9, "weights"), end=False)
    assert zeros(model) == sorted(np.argsort(np.linalg.norm(kernel, axis=0))[:3])
    kept = np.setdiff1d(np.arange(8), zeros(model))
    np.testing.assert_array_equal(
        np.array(model.get_layer("hidden").kernel)[:, kept], kernel[:, kept]
    )


def test_all_makers_of_a_sum_go_to_zero_together():
    inputs = keras.Input((8, 8, 3))
    parts = [layers.Conv2D(6, k, padding="same", name=f"k{k}")(inputs) for k in (1, 3)]
    x = layers.Conv2D(2, 3, name="map")(layers.ReLU()(layers.Add()(parts)))
    model = keras.Model(inputs, x)
    kernels = [np.array(model.get_layer(one).kernel) for one in ("k1", "k3")]
    norms = sum(np.square(one).sum((0, 1, 2)) for one in kernels)
    through(model, SoftFilterPruning(0.5), end=False)
    for name in ("k1", "k3"):
        kernel = np.abs(np.array(model.get_layer(name).kernel)).sum((0, 1, 2))
        assert np.flatnonzero(kernel == 0).tolist() == sorted(np.argsort(norms)[:3])
    same(model)


def test_filters_are_updated_and_may_come_back():
    model, soft, seen = small(), SoftFilterPruning(0.5), []

    def look(batch, logs=None):
        kernel = np.array(model.get_layer("hidden").kernel)
        seen.append((np.abs(kernel).sum(0) > 0).sum())

    fit(model, soft, keras.callbacks.LambdaCallback(on_train_batch_end=look), epochs=3)
    assert seen == [8, 8, 8], "momentum moves the zero filters"
    callbacks = keras.callbacks.CallbackList([soft], model=model)
    callbacks.on_train_begin()
    before = zeros(model)
    kernel = np.array(model.get_layer("hidden").kernel)
    kernel[:, before[0]] = 10.0
    model.get_layer("hidden").kernel.assign(kernel)
    callbacks.on_epoch_begin(0)
    callbacks.on_epoch_end(0, {})
    after = zeros(model)
    assert len(after) == len(before)
    assert before[0] not in after


def test_the_budget_holds_and_shares_are_equal():
    model = zoo.resnet20()
    scaled = keras.models.clone_model(
        model,
        clone_function=lambda one: type(one).from_config({**one.get_config(), **_scale(one)}),
    )
    through(scaled, SoftFilterPruning(0.5))
    cut = SoftFilterPruning.cut(scaled)
    whole, left = (summary(one).to_dict()["multiply_adds"] for one in (scaled, cut))
    assert left <= 0.5 * whole < 1.15 * left
    groups = channels.groups(scaled), channels.groups(cut)
    shares = [groups[1][name].size / one.size for name, one in groups[0].items() if one.removable]
    assert max(shares) - min(shares) <= 1 / 16


def _scale(layer) -> dict:
    return {"scale": True} if isinstance(layer, keras.layers.BatchNormalization) else {}


# Other callbacks, and going on


def test_validation_sees_the_pruned_network():
    model, counts = small(), []
    look = keras.callbacks.LambdaCallback(on_test_begin=lambda logs: None)
    look.on_test_end = lambda logs=None: counts.append(len(zeros(model)))
    history = fit(model, SoftFilterPruning(0.5), look, validation_data=(X, Y))
    assert counts == [4, 4]
    assert all(0 < one < 1 for one in history["energy_cut"])
    # Outside a fit, nothing happens.
    again, soft = small(), SoftFilterPruning(0.5)
    again.compile("sgd", "mse")
    again.evaluate(X, Y, verbose=0, callbacks=[soft])
    assert zeros(again) == []


def test_it_goes_on_from_a_checkpoint(tmp_path):
    path = str(tmp_path / "{epoch}.keras")
    save = keras.callbacks.ModelCheckpoint(path)
    model = small()
    fit(model, SoftFilterPruning(0.5), save, epochs=2)
    for epoch in (1, 2):
        loaded = keras.models.load_model(path.format(epoch=epoch))
        assert len(zeros(loaded)) == 4
        x = [X]
        cut = SoftFilterPruning.cut(loaded)
        assert difference(outputs_of(loaded, x), outputs_of(cut, x)) < 1e-5
        fit(loaded, SoftFilterPruning(0.5), epochs=epoch + 1, initial_epoch=epoch)
        assert len(zeros(loaded)) == 4
        assert SoftFilterPruning.cut(loaded).get_layer("hidden").units == 4


class Stopping(keras.callbacks.EarlyStopping):
    """The first epoch is the best."""

    def __init__(self):
        super().__init__("loss", mode="min", patience=1, restore_best_weights=True)
        self.seen = 0

    def get_monitor_value(self, logs):
        self.seen += 1
        return self.seen


@pytest.mark.parametrize("first", [True, False], ids=["ours first", "ours last"])
def test_weights_of_another_epoch_that_come_back_are_zero_in_the_end(first):
    model, soft = small("sigmoid"), SoftFilterPruning(0.5)
    if first:
        fit(model, soft, Stopping(), epochs=4)
    else:  # it keeps what the weights are before they go to zero
        with pytest.warns(UserWarning, match=r"put weights back .* List SoftFilterPruning before"):
            fit(model, Stopping(), soft, epochs=4)
    assert len(zeros(model)) == 4
    x = [X]
    assert difference(outputs_of(model, x), outputs_of(SoftFilterPruning.cut(model), x)) < 1e-5
    assert "on_train_end" not in vars(model.history)


def test_frozen_layers_stay_whole():
    inputs = keras.Input((6,))
    x = layers.Dense(8, activation="relu", name="frozen")(inputs)
    x = layers.Dense(8, activation="relu", name="hidden")(x)
    model = keras.Model(inputs, layers.Dense(3, name="logits")(x))
    model.get_layer("frozen").trainable = False
    fit(model, SoftFilterPruning(0.7), epochs=1)
    assert zeros(model, "frozen") == []
    assert zeros(model)
    model.get_layer("hidden").trainable = False
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match="must have trainable layers"):
        fit(model, SoftFilterPruning(0.7), epochs=1)


# Bad input


def test_batch_norm_without_scale_is_refused_by_name():
    for model in (small(scale=False), small(scale=False, center=False)):
        with pytest.raises(ValueError, match="Received: layer 'bn' on group 'hidden'"):
            fit(model, SoftFilterPruning(0.5))
    with pytest.raises(ValueError, match="has no effect"):
        through(zoo.lenet5(batch_norm=True), SoftFilterPruning(0.5))
    through(zoo.lenet5(batch_norm=False), SoftFilterPruning(0.5))


@pytest.mark.parametrize("keep", [0, 0.0, 1.1, True, None])
def test_keep_out_of_range(keep):
    with pytest.raises(ValueError, match="`keep` must be"):
        SoftFilterPruning(keep)


def test_a_budget_that_empties_a_group():
    with pytest.raises(ValueError, match="`floor` must be"):
        fit(small(), SoftFilterPruning(0.5, floor=0))
    with pytest.raises(ValueError, match="keeps only its floor of channels"):
        fit(small(), SoftFilterPruning(0.01))


def test_nothing_to_prune_or_to_cut():
    inputs = keras.Input((6,))
    only = keras.Model(inputs, layers.Dense(3, name="logits")(inputs))
    with pytest.raises(ValueError, match="must have channels that can be removed"):
        fit(only, SoftFilterPruning(0.5))
    with pytest.raises(ValueError, match="must have filters that are zero"):
        SoftFilterPruning.cut(small())
    # A zero filter with an offset is no zero channel.
    model = lively(small())
    model.get_layer("hidden").kernel.assign(ops.zeros((6, 8)))
    with pytest.raises(ValueError, match="must have filters that are zero"):
        SoftFilterPruning.cut(model)
