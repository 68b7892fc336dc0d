"""What `TailTruncation` tells: of weights that come back, of an early end, of too few numbers."""

import keras
import numpy as np
import pytest
from keras import layers as kl

from fr_keras import TailTruncation, regularize
from fr_keras.models.walk import frequency_layers


def twin() -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            kl.Conv2D(8, 3, name="conv"),
            kl.Flatten(),
            kl.Dense(3, name="dense"),
        ]
    )
    model = regularize(model)
    model.compile("adam", "mse", run_eagerly=True)  # quicker for so few batches
    return model


X, Y = np.random.default_rng(0).normal(size=(16, 6, 6, 2)), np.ones((16, 3))


def fit(model, *callbacks, epochs, **kwargs):
    return model.fit(X, Y, epochs=epochs, verbose=0, callbacks=list(callbacks), **kwargs).history


def kept(model):
    return {layer.name: layer.kept for layer in frequency_layers(model)}


# What comes back behind the truncation


class Back(keras.callbacks.Callback):
    """Puts the weights of an epoch back, when one of the methods is called."""

    def __init__(self, hook, epoch=0):
        super().__init__()
        self._epoch = epoch
        setattr(self, hook, lambda *args, **kwargs: self.model.set_weights(self._weights))

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self._epoch:
            self._weights = self.model.get_weights()


class Stopping(keras.callbacks.EarlyStopping):
    """Whatever the training does, the first and uncut epoch is the best."""

    def __init__(self):
        super().__init__("loss", mode="min", patience=9, restore_best_weights=True)
        self.seen = 0

    def get_monitor_value(self, logs):
        self.seen += 1
        return self.seen


def said(told) -> list[str]:
    return [str(one.message) for one in told if one.category is UserWarning]


@pytest.mark.parametrize("first", [True, False], ids=["ours first", "ours last"])
@pytest.mark.parametrize(
    "other", [Stopping, lambda: Back("on_train_end"), lambda: Back("on_train_end", 1)]
)
def test_an_earlier_epoch_that_comes_back_is_said_once(first, other):
    model, ours = twin(), TailTruncation(48, epochs=3, schedule="linear")
    with pytest.warns(UserWarning, match="after 4 epochs of the truncation another") as told:
        fit(model, *([ours, other()] if first else [other(), ours]), epochs=4)
    total = sum(kept(model).values())
    assert total > 48
    (message,) = said(told)
    assert f"keep {total} coefficients instead of 48." in message
    assert "2 layers" in message
    assert "start_from_epoch=3" in message
    # As it says, a further fit continues.
    assert fit(model, ours, epochs=4)["kept"][-1] == 48


@pytest.mark.parametrize("first", [True, False], ids=["ours first", "ours last"])
def test_what_comes_back_from_the_final_phase_is_cut_and_zero(first):
    model, ours = twin(), TailTruncation(48, epochs=2)
    other = Back("on_train_end", epoch=3)
    fit(model, *([ours, other] if first else [other, ours]), epochs=5)
    assert sum(kept(model).values()) == 48
    for layer in frequency_layers(model):
        assert np.count_nonzero(layer.coefficients) <= layer.kept


def test_weights_from_before_the_fit_that_come_back_are_said():
    model = twin()
    start = model.get_weights()
    back = keras.callbacks.LambdaCallback(on_train_end=lambda logs: model.set_weights(start))
    with pytest.warns(UserWarning, match="keep 528 coefficients instead of 48"):
        fit(model, TailTruncation(48, epochs=2), back, epochs=2)


@pytest.mark.parametrize("epoch", [0, 1])
def test_the_schedule_goes_on_where_weights_come_back_within_a_fit(epoch):
    model, back = twin(), Back("on_nothing", epoch)
    start = model.get_weights()

    def put_back(at, logs=None):
        if at == 2:
            model.set_weights(start if epoch == 0 else back._weights)

    again = keras.callbacks.LambdaCallback(on_epoch_end=put_back)
    history = fit(model, TailTruncation(48, 4, schedule="linear"), back, again, epochs=5)
    assert history["kept"] == [528, 368, 208, 48, 48]


def test_an_early_stop_gives_one_warning():
    with pytest.warns(UserWarning, match="fit ended before the truncation did: 2 layers") as told:
        fit(twin(), TailTruncation(48, epochs=5), epochs=2)
    assert len(said(told)) == 1


def test_a_list_of_callbacks_in_a_loop_of_ones_own():
    model = twin()
    callbacks = keras.callbacks.CallbackList([TailTruncation(48, epochs=3)], model=model)
    callbacks.on_train_begin()
    callbacks.on_epoch_begin(0)
    callbacks.on_epoch_end(0, {})
    with pytest.warns(UserWarning, match="fit ended before the truncation did"):
        callbacks.on_train_end()


def test_two_truncations_of_different_layers():
    callbacks = [TailTruncation({"conv": 20}, epochs=2), TailTruncation({"dense": 10}, epochs=4)]
    model = twin()
    with pytest.warns(UserWarning, match="instead of 10") as told:
        history = model.fit(X, Y, epochs=2, verbose=0, callbacks=callbacks)
    assert len(said(told)) == 1
    assert "on_train_end" not in vars(history)


def test_a_keep_so_small_that_layers_keep_one_number_is_said_once():
    model = twin()
    callback = TailTruncation(3, epochs=1, sharing="proportional")
    with pytest.warns(UserWarning, match="1 of 2 layers will keep a single") as told:
        fit(model, callback, epochs=1)
    assert len(said(told)) == 1
    # All of an index sum up to 2: 14 in (3, 3, 2, 8), 14 in (4, 4, 8, 3).
    assert "is about 29," in said(told)[0]
    fit(model, callback, epochs=1)
    fit(twin(), TailTruncation({"conv": 1}, epochs=1), epochs=1)
    fit(twin(), TailTruncation(29, epochs=1), epochs=1)
