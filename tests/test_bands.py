import keras
import numpy as np
import pytest
from backends import tensorflow_alone
from hypothesis import given
from hypothesis import strategies as st
from networks import images, small_convnet

from fr_keras import BandEnergy, TailTruncation, regularize
from fr_keras.callbacks import band_energy
from fr_keras.models.walk import frequency_layers


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(1, 15))
def test_the_bands_hold_all_energy(shape, bands):
    values = np.random.default_rng(0).normal(size=shape)
    energy = band_energy(values, bands)
    assert energy.shape == (bands,)
    assert energy.sum() == pytest.approx(np.sum(values**2))


def test_low_and_high_frequencies():
    values = np.zeros((4, 4))
    values[0, 0], values[3, 3] = 3, 4
    assert band_energy(values, 5).tolist() == [9, 0, 0, 0, 16]


def test_truncation_moves_energy_to_the_lowest_bands():
    model = regularize(small_convnet())
    before = [band_energy(layer.kept_coefficients()) for layer in frequency_layers(model)]
    for layer, energy in zip(frequency_layers(model), before, strict=True):
        layer.truncate(max(1, layer.kept // 10))
        after = band_energy(layer.kept_coefficients())
        assert after[-1] == 0
        assert after[0] / after.sum() > energy[0] / energy.sum()


def test_event_files(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    model = regularize(small_convnet())
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    callbacks = [
        TailTruncation(0.1, epochs=2),
        BandEnergy(tmp_path / "bands", bands=6),
    ]
    history = model.fit(images(16), np.arange(16) % 5, epochs=3, verbose=0, callbacks=callbacks)
    bands = EventAccumulator(str(tmp_path / "bands"), {"tensors": 0}).Reload()
    names = [layer.name for layer in frequency_layers(model)]
    tags = set(bands.Tags()["tensors"])
    assert tags == {f"{kind}/{n}" for n in names for kind in ("band_energy", "energy", "kept")}
    kept = [
        sum(int(make_ndarray(bands.Tensors(f"kept/{n}")[epoch].tensor_proto)) for n in names)
        for epoch in range(3)
    ]
    assert kept == history.history["kept"]


@tensorflow_alone("the callback of Keras needs it")
def test_the_logs_of_a_truncation_are_in_those_of_keras(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model = regularize(keras.Sequential([keras.Input((6,)), keras.layers.Dense(4)]))
    model.compile("sgd", "mse")
    callbacks = [TailTruncation(0.5, epochs=2), keras.callbacks.TensorBoard(tmp_path)]
    model.fit(images(8, (6,)), images(8, (4,)), epochs=2, verbose=0, callbacks=callbacks)
    train = EventAccumulator(str(tmp_path / "train"), {"tensors": 0}).Reload()
    assert {"epoch_kept", "epoch_energy_cut"} <= set(train.Tags()["tensors"])


def test_bad_bands_are_named():
    pytest.importorskip("tensorboard")
    for make in (lambda: band_energy(np.ones(3), 0), lambda: BandEnergy("logs", bands=0)):
        with pytest.raises(ValueError, match="`bands`"):
            make()
