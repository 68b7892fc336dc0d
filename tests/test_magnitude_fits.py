"""`MagnitudePruning`: how `fit` ends, what a further one does, and what is refused."""

import keras
import numpy as np
import pytest
from backends import tensorflow_alone
from keras import layers as kl
from test_magnitude import X, Y, fit, network, nonzero, values
from test_truncation_end import Back, Stopping, said

import fr_keras
from fr_keras import regularize
from fr_keras.methods import MagnitudePruning
from fr_keras.models.walk import plain_kernels

pytestmark = pytest.mark.usefixtures("stepwise_module")

# The end of fit, and going on


@pytest.mark.parametrize("first", [True, False], ids=["ours first", "ours last"])
@pytest.mark.parametrize("other", [Stopping, lambda: Back("on_train_end")])
def test_an_epoch_that_comes_back_is_cut_and_said_once(first, other):
    model, ours = network(), MagnitudePruning(60, epochs=3)
    with pytest.warns(UserWarning, match="another callback, such as EarlyStopping") as told:
        fit(model, *([ours, other()] if first else [other(), ours]), epochs=4)
    (message,) = said(told)
    assert "EarlyStopping(start_from_epoch=2)" in message
    assert sum(nonzero(model).values()) == 60


def test_the_epoch_that_is_named_is_one_of_this_fit():
    model, ours = network(), MagnitudePruning(60, epochs=5)
    with pytest.warns(UserWarning, match="fit ended before"):
        fit(model, ours, epochs=2)
    with pytest.warns(UserWarning, match=r"start_from_epoch=2\)"):
        fit(model, ours, Back("on_train_end"), epochs=3)
    assert sum(nonzero(model).values()) == 60


@pytest.mark.parametrize("first", [True, False], ids=["ours first", "ours last"])
def test_an_epoch_at_the_target_comes_back_silently(first):
    model, ours = network(), MagnitudePruning(60, epochs=3)
    stopping = Stopping()
    stopping.start_from_epoch = 2
    fit(model, *([ours, stopping] if first else [stopping, ours]), epochs=5)
    assert stopping.best_epoch == 2
    assert sum(nonzero(model).values()) == 60


def test_averages_are_cut_silently():
    model = network(optimizer=keras.optimizers.Adam(use_ema=True))
    swap = keras.callbacks.SwapEMAWeights()
    fit(model, MagnitudePruning(60, epochs=3), swap, epochs=3)
    assert sum(nonzero(model).values()) == 60


@pytest.mark.usefixtures("graphs")
def test_an_early_end_is_said_and_a_further_fit_continues():
    model, ours = network(), MagnitudePruning(60, epochs=5, schedule="linear")
    with pytest.warns(UserWarning, match="keep 294 weights instead of 60") as told:
        history = fit(model, ours, epochs=3)
    assert len(said(told)) == 1
    assert history["kept"] == [528, 411, 294]
    assert fit(model, ours, epochs=3)["kept"] == [177, 60, 60]
    zeros = {name: values(kernel) == 0 for name, (_, kernel) in plain_kernels(model).items()}
    assert fit(model, ours, epochs=1)["kept"] == [60]
    for name, (_, kernel) in plain_kernels(model).items():
        np.testing.assert_array_equal(values(kernel) == 0, zeros[name])


def test_a_layer_that_is_frozen_between_fits_keeps_its_zeros():
    model, ours = network(), MagnitudePruning({"conv": 20, "dense": 40}, epochs=1)
    fit(model, ours, epochs=1)
    model.get_layer("conv").trainable = False
    model.compile("adam", "mse")
    ours.keep = {"dense": 40}
    fit(model, ours, epochs=1)
    assert nonzero(model) == {"conv": 20, "dense": 40}


def test_one_callback_for_two_models_and_for_new_weights():
    ours = MagnitudePruning(60, epochs=2)
    model, other = network(), network()
    start = model.get_weights()
    assert fit(model, ours, epochs=2)["kept"] == [528, 60]
    assert fit(other, ours, epochs=2)["kept"] == [528, 60]
    assert sum(nonzero(model).values()) == 60
    assert fit(other, ours, epochs=1)["kept"] == [60]
    other.set_weights(start)
    assert fit(other, ours, epochs=2)["kept"] == [528, 60]


def resumed(tmp_path, callbacks) -> keras.Model:
    """Breaks in the third epoch, and goes on from the backup in a new model."""

    def interrupt(epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt

    broken = keras.callbacks.LambdaCallback(on_epoch_begin=interrupt)
    with pytest.raises(KeyboardInterrupt):
        fit(network(), *callbacks(), broken, epochs=5, shuffle=False)
    model = network()
    history = fit(model, *callbacks(), epochs=5, shuffle=False)
    assert history["kept"] == [216, 60, 60]
    return model


def test_a_backup_goes_on_as_if_nothing_had_happened(tmp_path):
    def callbacks():
        ours = MagnitudePruning(60, epochs=4, schedule="linear")
        return ours, keras.callbacks.BackupAndRestore(tmp_path / "backup")

    keras.utils.set_random_seed(1)
    broken = resumed(tmp_path, callbacks)
    keras.utils.set_random_seed(1)
    whole = network()
    fit(whole, MagnitudePruning(60, epochs=4, schedule="linear"), epochs=5, shuffle=False)
    assert nonzero(broken) == nonzero(whole)
    for a, b in zip(broken.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_initial_epoch_takes_the_place_in_the_schedule(tmp_path):
    model = network()
    with pytest.warns(UserWarning, match="fit ended before"):
        fit(model, MagnitudePruning(60, epochs=5, schedule="linear"), epochs=3)
    model.save(tmp_path / "m.keras")
    model = keras.models.load_model(tmp_path / "m.keras")
    ours = MagnitudePruning(60, epochs=5, schedule="linear")
    before = {name: values(kernel) != 0 for name, (_, kernel) in plain_kernels(model).items()}
    assert fit(model, ours, epochs=6, initial_epoch=3)["kept"] == [177, 60, 60]
    for name, (_, kernel) in plain_kernels(model).items():
        assert not (~before[name] & (values(kernel) != 0)).any()


def test_after_an_exception_the_same_callback_continues():
    model, ours = network(), MagnitudePruning(60, epochs=5, schedule="linear")

    class Interrupting(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 3:  # as in the middle of a step: weights moved and the batch did not end
                self.model.set_weights([w + 1 for w in self.model.get_weights()])
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(model, ours, Interrupting(), epochs=5)
    assert fit(model, ours, epochs=3)["kept"] == [177, 60, 60]


def test_a_list_of_callbacks_in_a_loop_of_ones_own():
    model = network()
    ours = MagnitudePruning({"dense": 64}, epochs=3)
    callbacks = keras.callbacks.CallbackList([ours], model=model)
    callbacks.on_train_begin()
    callbacks.on_epoch_begin(1)
    model.train_on_batch(X[:8], Y[:8])
    callbacks.on_train_batch_end(0)
    assert nonzero(model)["dense"] == 64 + (384 - 64) / 8
    callbacks.on_epoch_end(1, {})
    with pytest.warns(UserWarning, match="fit ended before the pruning did"):
        callbacks.on_train_end()


def test_two_callbacks_prune_different_layers():
    model = network()
    callbacks = [MagnitudePruning({"conv": 20}, 2), MagnitudePruning({"dense": 10}, 3)]
    assert fit(model, *callbacks, epochs=3)["kept"][-1] == 30


# Bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"keep": 0}, r"`keep` must be a whole number from 1 to 528.*Received: 0"),
        ({"keep": 529}, r"`keep` must be a whole number from 1 to 528.*Received: 529"),
        ({"keep": 1.5}, "`keep` must be a whole number"),
        ({"keep": True}, "`keep` must be a whole number"),
        ({"keep": "half"}, "`keep` must be a whole number"),
        ({"keep": 1}, r"`keep` must be at least 2, .*Received: 1. Keep more or give"),
        ({"keep": 1e-6}, r"`keep` must be at least 2, "),
        ({"keep": {}}, "`keep` must name layers of the model that can be cut.*an empty dict"),
        ({"keep": {"other": 3}}, r"`keep` must name layers .*\['conv', 'dense'\].*other"),
        ({"keep": {"conv": 145}}, r"`keep\['conv'\]` must be a whole number from 1 to 144"),
        ({"epochs": 0}, "`epochs` must be a whole number of at least 1"),
        ({"epochs": 2.0}, "`epochs` must be a whole number of at least 1"),
        ({"schedule": "fast"}, "`schedule` must be one of .*cubic"),
        ({"schedule": lambda epoch: epoch}, "`schedule` must return fractions|never grow"),
        ({"sharing": "bandwidth"}, r"`sharing` must be one of \('erdos_renyi', 'proportional'\)"),
    ],
)
def test_bad_arguments_are_refused_and_nothing_is_cut(arguments, message):
    model = network()
    start = model.get_weights()
    with pytest.raises(ValueError, match=message):
        fit(model, MagnitudePruning(**{"keep": 60, "epochs": 2, **arguments}), epochs=1)
    for a, b in zip(start, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_largest_keep_cuts_nothing():
    model = network()
    assert fit(model, MagnitudePruning(528, 2), epochs=2)["kept"] == [528, 528]
    assert fit(model, MagnitudePruning(1.0, 2), epochs=2)["kept"] == [528, 528]


def test_fr_layers_are_refused_with_a_way_out():
    twin = regularize(network())
    twin.compile("adam", "mse")
    with pytest.raises(ValueError, match=r"`fr_keras.TailTruncation` cuts.*bake.*layer 'conv'"):
        fit(twin, MagnitudePruning(60, 1), epochs=1)
    baked = fr_keras.bake(twin)
    baked.compile("adam", "mse")
    fit(baked, MagnitudePruning(60, 1), epochs=1)


def test_models_without_a_kernel_to_prune_are_refused():
    model = keras.Sequential([keras.Input((4,)), kl.LayerNormalization(name="norm")])
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match=r"`model` must have a trainable kernel.*'norm'"):
        fit(model, MagnitudePruning(1, 1), epochs=1, x=np.ones((8, 4)), y=np.ones((8, 4)))
    frozen = network()
    frozen.trainable = False
    frozen.layers[1].trainable = True
    frozen.compile("adam", "mse")
    with pytest.raises(ValueError, match="`model` must have a trainable kernel"):
        fit(frozen, MagnitudePruning(60, 1), epochs=1)


def test_a_subclassed_model_is_refused():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = kl.Dense(3)

        def call(self, inputs):
            return self.dense(inputs)

    model = Own()
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match="`model` must be sequential or functional"):
        fit(model, MagnitudePruning(3, 1), epochs=1, x=np.ones((8, 4)), y=np.ones((8, 3)))


@tensorflow_alone("elsewhere Keras builds a model before its callbacks begin")
def test_a_sequential_model_must_be_built():
    model = keras.Sequential([kl.Dense(4), kl.Dense(3)])
    model.compile("adam", "mse")
    x, y = np.ones((8, 4)), np.ones((8, 3))
    with pytest.raises(ValueError, match=r"`model` must be built.*model.build"):
        fit(model, MagnitudePruning(8, 1), epochs=1, x=x, y=y)
    model.build((None, 4))
    fit(model, MagnitudePruning(8, 1), epochs=1, x=x, y=y)
    assert sum(nonzero(model).values()) == 8


def test_lora_is_refused_where_it_would_fill_the_zeros():
    model = network()
    model.get_layer("dense").enable_lora(2)
    model.compile("adam", "mse")
    for keep in (60, 0.1, {"dense": 9}):
        with pytest.raises(ValueError, match=r"LoRA.*dict without the layer.*layer 'dense'"):
            fit(model, MagnitudePruning(keep, 1), epochs=1)
    fit(model, MagnitudePruning({"conv": 20}, 1), epochs=1)
    assert nonzero(model)["conv"] == 20
    model.get_layer("dense").trainable = False
    model.compile("adam", "mse")
    fit(model, MagnitudePruning(20, 1), epochs=1)


def test_lora_inside_attention_is_refused():
    query = keras.Input((5, 4))
    attention = kl.MultiHeadAttention(1, 2, name="attention")
    model = keras.Model(query, attention(query, query))
    attention.query_dense.enable_lora(1)
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match=r"LoRA.*'attention_query'"):
        fit(model, MagnitudePruning(9, 1), epochs=1, x=np.ones((8, 5, 4)), y=np.ones((8, 5, 4)))
