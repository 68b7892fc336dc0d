"""Training on corners: `regularize(start=...)` and `compact` between fits."""

import keras
import numpy as np
import pytest
from keras import layers as kl
from networks import colours, images, live, relative_difference, small_convnet, truncated_twin

from fr_keras import TailTruncation, bake, compact, layers, regularize, summary
from fr_keras.models.walk import frequency_layers

X, Y = colours(64)
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def stored(model) -> int:
    return sum(int(np.prod(layer.coefficients.shape)) for layer in frequency_layers(model))


def compiled(model, optimizer=None, **kwargs):
    optimizer = optimizer or keras.optimizers.Adam(1e-2)
    model.compile(optimizer, LOSS, metrics=["accuracy"], **kwargs)
    return model


def fit(model, epochs, initial_epoch=0, **kwargs):
    # In order and in the same batches: two ways to train see the same steps.
    kwargs = {"epochs": epochs, "initial_epoch": initial_epoch, "shuffle": False, **kwargs}
    return model.fit(X, Y, batch_size=16, verbose=0, **kwargs).history


def without_dropout():
    model = small_convnet()
    model.get_layer("dropout").rate = 0.0
    return live(model, X)


def test_start_is_the_truncated_twin():
    plain = live(small_convnet(), images(64))
    whole = regularize(plain)
    for layer in frequency_layers(whole):
        layer.truncate(max(1, layer.kept // 20))
    kept = {layer.name: layer.kept for layer in frequency_layers(whole)}
    small = regularize(plain, start=kept)
    x = images(8, seed=4)
    assert relative_difference(whole(x), small(x)) < 1e-4
    assert {layer.name: layer.kept for layer in frequency_layers(small)} == kept
    assert stored(small) < 0.5 * stored(whole)
    assert summary(small).kept == sum(kept.values())
    assert summary(small).total("kernel_weights") == summary(whole).total("kernel_weights")
    assert summary(small).total("other") == summary(whole).total("other")


def test_start_as_a_total_or_a_fraction():
    plain = small_convnet()
    assert summary(regularize(plain, start=400)).kept == 400
    weights = summary(regularize(plain)).kept
    assert summary(regularize(plain, start=0.1)).kept == round(0.1 * weights)
    for start, message in ((0, "from 1 to"), (1.5, "fraction"), ({"none": 3}, "must name layers")):
        with pytest.raises(ValueError, match=message):
            regularize(plain, start=start)


@pytest.mark.slow
def test_the_schedule_falls_from_the_start():
    model = compiled(regularize(without_dropout(), start=1000))
    history = fit(model, 10, callbacks=[TailTruncation(400, epochs=3)])
    assert history["kept"][0] <= 1000
    assert history["kept"][-1] == summary(model).kept == 400
    assert history["loss"][-1] < history["loss"][0]
    assert relative_difference(model(X), bake(model)(X)) < 1e-4
    assert relative_difference(model(X), bake(model, form="factored")(X)) < 1e-4


def test_what_is_kept_cannot_grow_beyond_the_start():
    model = compiled(regularize(small_convnet(), start=300))
    with pytest.raises(ValueError, match="`keep` must not be above the start"):
        fit(model, 1, callbacks=[TailTruncation(3000, epochs=1)])


# A larger epsilon than usual: with it the last bits of a gradient near 0 stay the last bits.
@pytest.mark.usefixtures("stepwise")
@pytest.mark.parametrize(
    "optimizer",
    [
        # `test_compact_keeps_the_slots` has its slots.
        pytest.param(
            {"class_name": "SGD", "config": {"learning_rate": 0.05, "momentum": 0.9}},
            marks=pytest.mark.slow,
        ),
        {"class_name": "AdamW", "config": {"weight_decay": 0.1, "epsilon": 0.01, "use_ema": True}},
        # Its slots are as SGD's.
        pytest.param(
            {"class_name": "RMSprop", "config": {"learning_rate": 0.003, "epsilon": 0.01}},
            marks=pytest.mark.slow,
        ),
    ],
    ids=lambda optimizer: optimizer["class_name"],
)
def test_compact_between_fits_trains_on_as_if_nothing_had_happened(optimizer):
    """Same kept coefficients, same slots, same schedule: the same weights at the end."""
    whole = compiled(regularize(without_dropout()), keras.optimizers.deserialize(optimizer))
    cut = {"keep": 0.1, "epochs": 3, "schedule": "linear"}
    fit(whole, 3, callbacks=[TailTruncation(**cut)])
    small = compact(whole)
    assert stored(small) < 0.6 * stored(whole)
    assert small.optimizer.iterations == whole.optimizer.iterations
    long, short = (
        fit(model, 5, initial_epoch=3, callbacks=[TailTruncation(**cut)])
        for model in (whole, small)
    )
    np.testing.assert_allclose(short["loss"], long["loss"], rtol=1e-4)
    assert short["kept"] == long["kept"]
    assert relative_difference(whole(X), small(X)) < 1e-3
    for a, b in zip(frequency_layers(whole), frequency_layers(small), strict=True):
        assert a.truncation == b.truncation


@pytest.mark.usefixtures("stepwise")
def test_compact_keeps_the_slots():
    """Momentum that is lost shows at the next step."""
    model = compiled(truncated_twin(without_dropout(), 0.05), keras.optimizers.SGD(0.05, 0.9))
    fit(model, 1)
    small = compact(model)
    slots = [slot for slot in small.optimizer.variables if "coefficients" in slot.path]
    before = [slot for slot in model.optimizer.variables if "coefficients" in slot.path]
    assert len(slots) == len(before) == 5
    for old, new in zip(before, slots, strict=True):
        corner = tuple(slice(n) for n in new.shape)
        np.testing.assert_array_equal(old.numpy()[corner], new.numpy())
        assert np.abs(new.numpy()).max() > 0


def test_compact_leaves_the_model_and_an_uncompiled_one_uncompiled():
    model = truncated_twin(without_dropout(), 0.05)
    before = model.get_weights()
    small = compact(model)
    assert not small.compiled
    assert relative_difference(model(X), small(X)) < 1e-4
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    again = compact(small)
    assert stored(again) == stored(small)
    np.testing.assert_array_equal(small(X), again(X))


@pytest.mark.usefixtures("stepwise")
def test_an_optimizer_with_other_slots_is_refused_by_name():
    model = compiled(regularize(without_dropout()), keras.optimizers.Adafactor(0.01))
    fit(model, 1)
    for layer in frequency_layers(model):
        layer.truncate(max(1, layer.kept // 20))
    with pytest.raises(ValueError, match="Received: Adafactor with the slot"):
        compact(model)


def test_compact_opens_nested_models_and_copies_layers_of_several_kernels():
    inner = keras.Sequential([keras.Input((6, 6, 3)), kl.Conv2D(8, 3, name="conv")], name="inner")
    inputs = keras.Input((6, 6, 3))
    x = kl.SeparableConv2D(8, 3, name="separable")(inner(inputs))
    model = regularize(keras.Model(inputs, kl.Dense(4, name="dense")(kl.Flatten()(x))))
    for layer in frequency_layers(model):
        layer.truncate(max(1, layer.kept // 10))
    small = compact(model)
    x = images(4, (6, 6, 3))
    assert relative_difference(model(x), small(x)) < 1e-4
    assert small.get_layer("inner").get_layer("conv").stored is not None
    assert type(small.get_layer("separable")) is layers.FRSeparableConv2D


@pytest.mark.slow
def test_jit_and_mixed_precision_train_on_corners():
    model = compiled(regularize(without_dropout(), start=600), jit_compile=True)
    history = fit(model, 10, callbacks=[TailTruncation(400, epochs=2)])
    assert history["loss"][-1] < history["loss"][0]
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = compiled(regularize(without_dropout(), start=600))
        history = fit(model, 10, callbacks=[TailTruncation(400, epochs=2)])
        fit(compact(model), 11, initial_epoch=10, callbacks=[TailTruncation(400, epochs=2)])
    finally:
        keras.config.set_dtype_policy("float32")
    assert history["loss"][-1] < history["loss"][0]


@pytest.mark.slow
def test_a_saved_model_trains_on(tmp_path):
    model = compiled(regularize(without_dropout(), start=600))
    with pytest.warns(UserWarning, match="fit ended before the truncation did"):
        fit(model, 1, callbacks=[TailTruncation(200, epochs=3)])
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert stored(loaded) == stored(model)
    np.testing.assert_array_equal(model(X), loaded(X))
    fit(loaded, 3, initial_epoch=1, callbacks=[TailTruncation(200, epochs=3)])
    assert summary(loaded).kept == 200
