import math

import keras
import numpy as np
import pytest
from backends import not_under
from examples import telling
from hypothesis import given
from hypothesis import strategies as st
from keras import layers as kl

from fr_keras import TailTruncation, layers, regularize, zigzag, zoo
from fr_keras.models.budget import share
from fr_keras.models.budget import targets as counts
from fr_keras.models.walk import frequency_layers, named_kernels


def twin(**compiled) -> keras.Model:
    """Run eagerly, which is quicker for so few batches, unless a test is of the compiled step."""
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            kl.Conv2D(8, 3, name="conv"),
            kl.Flatten(),
            kl.Dense(3, name="dense"),
        ]
    )
    model = regularize(model)
    model.compile("adam", "mse", **{"run_eagerly": True, **compiled})
    return model


SIZES = {"conv": 144, "dense": 384}
X, Y = np.random.default_rng(0).normal(size=(16, 6, 6, 2)), np.ones((16, 3))


def fit(model, *callbacks, epochs, **kwargs):
    return model.fit(X, Y, epochs=epochs, verbose=0, callbacks=list(callbacks), **kwargs).history


def kept(model):
    return {layer.name: layer.kept for layer in frequency_layers(model)}


def targets(found, keep, floors=1, sharing="proportional"):
    return counts({layer.name: layer for layer in found}, keep, floors, sharing)


# Shares


@given(
    st.lists(st.tuples(st.integers(1, 10_000), st.integers(1, 300)), min_size=1, max_size=8),
    st.floats(0, 1),
)
def test_shares_are_exact_floored_and_in_proportion(drawn, position):
    sizes = [size for size, _ in drawn]
    floors = [min(size, floor) for size, floor in drawn]
    total = round(sum(floors) + position * (sum(sizes) - sum(floors)))
    shares = share(sizes, total, floors)
    assert sum(shares) == total
    room = [size - floor for size, floor in zip(sizes, floors, strict=True)]
    for size, floor, r, got in zip(sizes, floors, room, shares, strict=True):
        assert floor <= got <= size
        exact = floor + (total - sum(floors)) * r / max(sum(room), 1)
        assert abs(got - exact) < 1 + 1e-6


def test_totals_fractions_and_dicts():
    found = frequency_layers(twin())
    assert targets(found, 528) == SIZES
    assert targets(found, 1.0) == SIZES
    assert targets(found, 2) == {"conv": 1, "dense": 1}
    assert sum(targets(found, 0.1).values()) == 53
    assert targets(found, {"conv": 0.5, "dense": 1}) == {"conv": 72, "dense": 1}
    assert targets(found, {"dense": 5}) == {"dense": 5}
    assert targets(found, 401, "frereg") == {"conv": 130, "dense": 271}


def test_bandwidth_is_one_index_sum_for_all_layers():
    """The paper's U-Net: 33 of each 3x3 kernel are all coefficients of index sum up to 3."""
    found = [layers.FRConv2D(n, 3, name=f"c{n}") for n in (16, 32, 64)]
    for layer in found:
        layer.build((None, 9, 9, 16))
    assert targets(found, 99, sharing="bandwidth") == {"c16": 33, "c32": 33, "c64": 33}
    for total in (3, 50, 100, 777, 5000, 2304 + 4608 + 9216):
        shares = targets(found, total, sharing="bandwidth")
        assert sum(shares.values()) == total
        limits = [np.flatnonzero(zigzag.mask((3, 3, 16, n), shares[f"c{n}"])) for n in (16, 32, 64)]
        sums = [
            sum(np.indices((3, 3, 16, n))).ravel()[kept].max()
            for n, kept in zip((16, 32, 64), limits, strict=True)
        ]
        full = [shares[f"c{n}"] == 3 * 3 * 16 * n for n in (16, 32, 64)]
        open_sums = [s for s, whole in zip(sums, full, strict=True) if not whole]
        assert not open_sums or max(open_sums) - min(open_sums) <= 1


def test_bandwidth_of_lenet5_feeds_the_small_layers():
    lenet = frequency_layers(regularize(zoo.lenet5(batch_norm=True)))
    shares = targets(lenet, 776, sharing="bandwidth")
    assert sum(shares.values()) == 776
    assert shares["conv1"] > 20 * targets(lenet, 776)["conv1"]
    floored = targets(lenet, 776, floors=100, sharing="bandwidth")
    assert min(floored.values()) >= 100
    with pytest.raises(ValueError, match="`sharing` must be one of"):
        targets(lenet, 776, sharing="equal")


@pytest.mark.parametrize("total", [4, 100, 776, 43_050, 430_000, 430_500])
def test_erdos_renyi_shares_follow_the_axes(total):
    lenet = frequency_layers(regularize(zoo.lenet5(batch_norm=True)))
    shares = targets(lenet, total, sharing="erdos_renyi")
    assert sum(shares.values()) == total
    axes = {"conv1": 5 + 5 + 1 + 20, "conv2": 5 + 5 + 20 + 50, "hidden": 4 + 4 + 50 + 500}
    axes["classifier"] = 500 + 10
    sizes = {"conv1": 500, "conv2": 25_000, "hidden": 400_000, "classifier": 5_000}
    rates = [shares[name] / axes[name] for name in axes if 1 < shares[name] < sizes[name]]
    # Layers that are neither whole nor at their floor have one rate, up to rounding.
    assert all(abs(a - b) <= 0.1 for a in rates for b in rates)
    assert min(targets(lenet, 776, floors=100, sharing="erdos_renyi").values()) >= 100
    with pytest.raises(ValueError, match="sum of the layers' floors"):
        targets(lenet, 300, floors=100, sharing="erdos_renyi")


def test_frereg_floors_of_lenet5_and_transposed_layers():
    lenet = frequency_layers(regularize(zoo.lenet5(batch_norm=True)))
    shares = targets(lenet, 776, floors="frereg")
    assert sum(shares.values()) == 776
    assert shares["conv1"] >= 128
    assert shares["classifier"] >= 256
    up = layers.FRConv2DTranspose(8, 2, name="up")
    up.build((None, 4, 4, 8))
    assert targets([up], 40, floors="frereg") == {"up": 40}
    with pytest.raises(ValueError, match="at least 32"):
        targets([up], 31, floors="frereg")


@pytest.mark.parametrize(
    ("keep", "match"),
    [
        (0, "`keep`.*from 1 to 528"),
        (0.0, "`keep`"),
        (-3, "`keep`"),
        (1.5, "`keep`"),
        (529, "`keep`"),
        (True, "`keep`"),
        (float("nan"), "`keep`"),
        ("all", "`keep`"),
        (1, "at least 2, the sum"),
        ({}, "`keep`.*an empty dict"),
        ({"convv": 3}, "`keep` must name layers of the model that.*convv"),
        ({"conv": 0}, r"`keep\['conv'\]`"),
        ({"conv": 145}, r"`keep\['conv'\]`.*from 1 to 144"),
    ],
)
def test_bad_keep_is_named(keep, match):
    with pytest.raises(ValueError, match=match):
        fit(twin(), TailTruncation(keep, epochs=2), epochs=2)


@pytest.mark.parametrize("floors", [0, -1, 2.5, True, "caffe"])
def test_bad_floors_are_named(floors):
    with pytest.raises(ValueError, match="`floors`"):
        targets(frequency_layers(twin()), 100, floors)


# The callback


def test_kept_follows_the_schedule_and_ends_in_a_final_phase():
    model = twin(run_eagerly=False)
    history = fit(model, TailTruncation(48, epochs=4, schedule="linear", warmup=2), epochs=8)
    assert history["kept"] == [528, 528, 528, 368, 208, 48, 48, 48]
    assert kept(model) == targets(frequency_layers(model), 48, sharing="bandwidth")
    assert history["energy_cut"][:3] == [0, 0, 0]
    assert all(0 < cut < 1 for cut in history["energy_cut"][3:6])


def test_energy_cut_is_what_the_cut_removes():
    model = twin()
    layer = model.get_layer("dense")
    values = np.zeros(layer.coefficients.shape)
    values[0, 0, 0, 0], values[-1, -1, -1, -1] = 3, 4
    layer.set_coefficients(values)
    model.get_layer("conv").set_coefficients(np.zeros(model.get_layer("conv").coefficients.shape))
    history = fit(model, TailTruncation(50, epochs=1), epochs=1)
    assert history["energy_cut"] == [pytest.approx(16 / 25)]


def test_start_fraction_and_constant_schedule():
    model = twin()
    history = fit(model, TailTruncation(48, epochs=3, schedule="linear", start=0.5), epochs=3)
    assert history["kept"] == [264, 156, 48]
    model = twin()
    assert fit(model, TailTruncation(48, 1, schedule="constant"), epochs=2)["kept"] == [48, 48]


def test_a_dict_touches_only_its_layers():
    model = twin()
    fit(model, TailTruncation({"dense": 20}, epochs=2), epochs=2)
    assert kept(model) == {"conv": 144, "dense": 20}


def test_own_schedule():
    model = twin()
    history = fit(model, TailTruncation(48, 3, schedule=lambda e: [1, 0.5, 0][min(e, 2)]), epochs=3)
    assert history["kept"] == [528, 288, 48]


def test_what_was_cut_is_zero_after_training_with_momentum():
    model = twin(run_eagerly=False)
    fit(model, TailTruncation(48, epochs=3), epochs=5)
    for layer in frequency_layers(model):
        assert np.count_nonzero(layer.coefficients) <= layer.kept


@pytest.mark.parametrize("with_initial_epoch", telling([True, False], False))
def test_a_saved_model_resumes_exactly(tmp_path, with_initial_epoch):
    def callback():
        return TailTruncation(48, epochs=6, schedule="cosine", warmup=1)

    whole = twin()
    expected = fit(whole, callback(), epochs=9, shuffle=False)["kept"]
    model = twin()
    model.set_weights(twin().get_weights())
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "at.keras")
    first = fit(model, callback(), checkpoint, epochs=9, shuffle=False, steps_per_epoch=1)["kept"]
    assert first == expected

    model = twin()
    with pytest.warns(UserWarning, match="fit ended before"):
        first = fit(model, callback(), checkpoint, epochs=4, shuffle=False)["kept"]
    again = keras.models.load_model(tmp_path / "at.keras")
    arguments = {"epochs": 9, "initial_epoch": 4} if with_initial_epoch else {"epochs": 5}
    second = fit(again, callback(), shuffle=False, **arguments)["kept"]
    assert first + second == expected


def test_resumed_weights_equal_an_uninterrupted_run(tmp_path):
    def callback():
        return TailTruncation(48, epochs=4)

    keras.utils.set_random_seed(1)
    whole = twin()
    start = [np.array(w) for w in whole.get_weights()]
    fit(whole, callback(), epochs=6, shuffle=False)

    model = twin()
    model.set_weights(start)
    with pytest.warns(UserWarning, match="fit ended before"):
        fit(model, callback(), epochs=3, shuffle=False)
    model.save(tmp_path / "half.keras")
    again = keras.models.load_model(tmp_path / "half.keras")
    fit(again, callback(), epochs=6, initial_epoch=3, shuffle=False)
    for a, b in zip(whole.get_weights(), again.get_weights(), strict=True):
        assert np.allclose(a, b, atol=1e-6)


def test_a_new_target_starts_a_new_schedule_from_the_present():
    model = twin()
    fit(model, TailTruncation(100, epochs=2), epochs=2)
    history = fit(model, TailTruncation(50, epochs=2, schedule="linear"), epochs=2)
    assert history["kept"] == [100, 50]
    with pytest.raises(ValueError, match="`keep` must not be above the start"):
        fit(model, TailTruncation(400, epochs=2), epochs=2)


def test_a_plan_begins_where_the_fit_begins():
    """`initial_epoch` counts epochs of ordinary training before the truncation."""
    model = twin()
    callback = TailTruncation(48, epochs=4, schedule="linear")
    history = fit(model, callback, epochs=16, initial_epoch=10)
    assert history["kept"] == [528, 368, 208, 48, 48, 48]


def test_an_own_schedule_is_asked_for_its_epochs_only_and_ends_at_the_target():
    model = twin()
    history = fit(model, TailTruncation(48, 3, schedule=lambda e: [1, 0.5, 0.25][e]), epochs=5)
    assert history["kept"] == [528, 288, 48, 48, 48]


def test_frozen_layers_are_left_alone():
    model = twin()
    model.get_layer("conv").trainable = False
    model.compile("adam", "mse")
    fit(model, TailTruncation(0.1, epochs=2), epochs=2)
    assert kept(model) == {"conv": 144, "dense": 38}
    with pytest.raises(ValueError, match="`keep` must name layers of the model that can be cut"):
        fit(model, TailTruncation({"conv": 5}, epochs=2), epochs=2)


def test_equal_names_in_nested_models():
    def nested(name):
        return keras.Sequential([keras.Input((8,)), kl.Dense(8, name="same")], name=name)

    inputs = keras.Input((8,))
    model = regularize(keras.Model(inputs, nested("b")(nested("a")(inputs))))
    found = named_kernels(model)
    assert counts(found, 0.5) == {"a/same": 32, "b/same": 32}
    for wrong in ("same", "c/same"):
        with pytest.raises(ValueError, match=rf"`keep` must name .*'a/same'.*: \['{wrong}'\]"):
            counts(found, {wrong: 5})
    model.compile("sgd", "mse")
    x = np.ones((4, 8))
    callback = TailTruncation({"b/same": 5}, epochs=1)
    model.fit(x, x, verbose=0, callbacks=[callback])
    assert [layer.kept for layer in found.values()] == [64, 5]


def test_early_stopping_that_chooses_in_the_final_phase():
    model = twin()
    stop = keras.callbacks.EarlyStopping(
        "loss", restore_best_weights=True, start_from_epoch=3, patience=1
    )
    fit(model, TailTruncation(48, epochs=3), stop, epochs=8)
    assert sum(kept(model).values()) == 48


def test_ending_too_early_is_a_warning():
    with pytest.warns(UserWarning, match="warmup \\+ epochs = 6 epochs"):
        fit(twin(), TailTruncation(48, epochs=5, warmup=1), epochs=3)


def test_a_plain_model_is_refused():
    model = keras.Sequential([keras.Input((6, 6, 2)), kl.Flatten(), kl.Dense(3)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="no trainable FR layers"):
        fit(model, TailTruncation(5, epochs=1), epochs=1)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"epochs": 0}, "`epochs`"),
        ({"epochs": 2, "start": 0}, "`start`"),
        ({"epochs": 2, "start": 1.1}, "`start`"),
        ({"epochs": 2, "start": True}, "`start`"),
        ({"epochs": 2, "warmup": -1}, "`warmup`"),
        ({"epochs": 2, "schedule": "up"}, "`schedule`"),
        (
            {"epochs": 3, "schedule": lambda epoch: min(1, 0.1 + epoch)},
            "`schedule` must never grow",
        ),
    ],
)
def test_bad_arguments_are_named(arguments, match):
    with pytest.raises(ValueError, match=match):
        TailTruncation(5, **arguments)


def test_counts_reach_history_and_csv_log(tmp_path):
    log = tmp_path / "log.csv"
    fit(twin(), TailTruncation(48, epochs=2), keras.callbacks.CSVLogger(log), epochs=2)
    header, *rows = log.read_text().splitlines()
    assert {"kept", "energy_cut"} <= set(header.split(","))
    assert len(rows) == 2


@not_under("torch", "it traces nothing")
def test_no_retracing_when_the_cut_moves():
    """A new `kept` is a new value in a variable: the compiled step stays."""
    model = twin(run_eagerly=False)
    traces = []
    layer = model.get_layer("dense")
    original = layer.call
    layer.call = lambda *a, **k: traces.append(1) or original(*a, **k)
    model.make_train_function()
    fit(model, TailTruncation(48, epochs=4), epochs=4)
    assert len(traces) <= 2
    assert math.prod(layer.coefficients.shape) == 384
