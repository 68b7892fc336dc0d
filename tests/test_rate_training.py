"""`price_kernels` and `RateTraining`: ordinary Keras models that pay for their bytes."""

import warnings

import keras
import numpy as np
import pytest
from backends import no_executions
from examples import telling
from keras import layers as kl
from layer_cases import CASES
from networks import images, relative_difference

import fr_archive
from fr_keras import (
    ArchiveRounding,
    TailTruncation,
    bake,
    compact,
    load_archive,
    regularize,
    save_archive,
)
from fr_keras.layers import QUANTIZED_TWINS, Quantizing
from fr_keras.methods import RateTraining, Ternary, WholeSteps, price_kernels, quantize_kernels
from fr_keras.models.quantized import unquantized
from fr_keras.models.walk import frequency_layers, named_layers

X = np.random.default_rng(0).normal(size=(64, 6, 6, 2)).astype("float32")
Y = np.random.default_rng(1).integers(0, 3, 64)


def plain(**options) -> keras.Model:
    """A shared layer and a nested model, whose `fc` has a name that occurs twice."""
    keras.utils.set_random_seed(0)
    shared = kl.Dense(6, activation="relu", name="shared", **options)
    inner = keras.Sequential([keras.Input((6,)), kl.Dense(6, name="fc")], name="left")
    inputs = keras.Input((6, 6, 2))
    x = kl.Conv2D(6, 3, activation="relu", name="conv")(inputs)
    x = kl.GlobalAveragePooling2D()(x)
    x = kl.Dense(6, activation="relu", name="fc")(x)
    x = shared(inner(shared(x)))
    return keras.Model(inputs, kl.Dense(3, activation="softmax", name="last")(x), name="net")


def mixed() -> keras.Model:
    """FR layers and plain ones."""
    return regularize(plain(), include=["conv", "left/fc", "shared"])


def compiled(model: keras.Model, step=0.25) -> keras.Model:
    priced = price_kernels(model, step)
    priced.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    return priced


def fit(model, callback, epochs=1, **options):
    # Many batches where a budget is followed; with a rate, two will do.
    options = {"batch_size": 4 if callback.rate is None else 32, "verbose": 0, **options}
    return model.fit(X, Y, epochs=epochs, callbacks=[callback], **options).history


# One layer of each way to mix channels; the others are slow tests.
_QUICK = [CASES[number] for number in (0, 2, 4)]


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.id, marks=[] if case in _QUICK else [pytest.mark.slow])
        for case in CASES
    ],
)
def test_an_fr_layer_computes_with_whole_steps(case, tmp_path):
    """The oracle: the FR layer whose coefficients are rounded in numpy."""
    if case.cls not in QUANTIZED_TWINS:
        pytest.skip("it has several kernels")
    model = case.model(case.built())
    model.set_weights([w + 0.1 if "bias" in v.name else w for v, w in named_weights(model)])
    (layer,) = frequency_layers(model)
    layer.truncate(max(1, layer.kept * 2 // 3))
    priced = price_kernels(model, step=1.0)
    own = priced.get_layer("layer")
    before, x = layer.kept_coefficients(), case.inputs()
    kept = before[np.nonzero(before)]
    number = round(8 * np.log2(np.sqrt(np.mean(np.square(kept)))))
    step = fr_archive.step_value(number)
    rounded = (np.rint(before / step) * step).astype("float32")
    np.testing.assert_array_equal(own.kept_coefficients(), rounded)
    assert not np.array_equal(rounded, before)
    layer.set_coefficients(rounded)
    np.testing.assert_allclose(priced(x), model(x), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(bake(priced)(x), model(x), rtol=1e-4, atol=1e-5)
    again = unquantized(priced)
    assert type(again.get_layer("layer")) is case.cls
    for got, expected in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(got, expected)
    priced.save(tmp_path / "m.keras")
    back = keras.models.load_model(tmp_path / "m.keras")
    assert back.get_layer("layer").quantizer == WholeSteps(1.0)
    np.testing.assert_array_equal(back(x), priced(x))
    assert [w.name for w in back.weights] == [w.name for w in priced.weights]


def named_weights(model):
    return zip(model.weights, model.get_weights(), strict=True)


def test_a_fine_step_changes_next_to_nothing():
    for model in (plain(), mixed()):
        priced = price_kernels(model, step=0.001)
        kinds = [type(one) for one in named_layers(priced).values() if isinstance(one, Quantizing)]
        assert len(kinds) == 5
        assert [one.name for one in priced.layers] == [one.name for one in model.layers]
        assert relative_difference(model(X), priced(X)) < 2e-3
        assert relative_difference(model(X), price_kernels(model, step=1.0)(X)) > 2e-3


def test_the_penalty_is_counted_once_also_of_a_shared_layer():
    priced = price_kernels(mixed())
    for layer in priced._flatten_layers():
        if isinstance(layer, Quantizing):
            for name in layer.kernel_names:
                layer.state_of(name)["price"].assign(1.0)
    assert len(priced.losses) == 5
    expected = [
        layer.quantizer.penalty(*layer.numbers_of(name), layer.state_of(name))
        for layer in named_layers(priced).values()
        if isinstance(layer, Quantizing)
        for name in layer.kernel_names
    ]
    found, expected = (
        sorted(map(keras.ops.convert_to_numpy, one)) for one in (priced.losses, expected)
    )
    np.testing.assert_allclose(found, expected)
    priced.get_layer("conv").trainable = False
    assert len(priced.losses) == 4


def test_l2_stays_beside_the_price():
    for make in (lambda m: m, regularize):
        model = make(plain(kernel_regularizer=keras.regularizers.L2(0.1)))
        (penalty,) = model.losses
        priced = price_kernels(model)
        assert len(priced.losses) == 5
        np.testing.assert_allclose(sum(priced.losses), penalty, rtol=1e-6)


@pytest.mark.usefixtures("stepwise")
def test_an_archive_holds_the_trained_numbers_exactly(tmp_path):
    model = compiled(mixed())
    history = fit(model, RateTraining(rate=1e-4), epochs=2)
    assert history["price"] == pytest.approx([1e-4, 1e-4])
    packing = save_archive(model, tmp_path / "m.fr")
    held = bake(load_archive(tmp_path / "m.fr"))
    kernels = 0
    for got, own in zip(held.weights, bake(model).weights, strict=True):
        if "kernel" in own.name:
            kernels += 1
            np.testing.assert_array_equal(got, own)
    assert kernels == 5
    # So few numbers take about as much again for the tables of their counts and steps.
    written = packing.sections["coefficients"] + packing.sections["kernels"]
    assert written / 2 < history["bytes"][-1] < written


@pytest.mark.slow
@pytest.mark.parametrize(("make", "budget"), [(plain, 150), (mixed, 100)])
def test_a_budget_is_met_however_the_training_goes(make, budget):
    model, callback = compiled(make()), RateTraining(bytes=budget)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of steps made coarser, or of kernels of one number
        fit(model, callback, epochs=2)
    assert callback._estimate() <= budget
    assert all(kernel.left() >= 1 for kernel in callback._kernels)


def test_the_price_follows_the_estimate():
    callback = RateTraining(bytes=100)
    model = compiled(mixed())
    callback.set_model(model)
    callback.set_params({"epochs": 10, "steps": 100})
    callback.on_train_begin()
    first = callback._price()
    assert 0 < first < 1e-3
    callback._follow(callback._first, 0.01)
    assert callback._price() > first  # the budget has begun to fall
    for _ in range(70):
        callback._follow(100, 0.01)
    met = callback._price()
    callback._follow(100, 0.01)
    assert callback._price() == pytest.approx(met, rel=1e-5)
    callback._follow(120, 0.01)
    dear = callback._price()
    assert dear > met
    callback._follow(60, 0.01)
    assert callback._price() < dear
    prices = {float(one.state["price"]) for one in callback._kernels}
    assert len(prices) == 1


@pytest.mark.parametrize(
    ("epochs", "options", "together"),
    [
        # Fewer batches than the price waits for.
        pytest.param(8, {"steps_per_epoch": 5}, 1, marks=pytest.mark.slow),
        pytest.param(2, {}, 4, marks=[pytest.mark.slow, no_executions]),
        pytest.param(2, {}, 16, marks=no_executions),
        pytest.param(9, {"initial_epoch": 6}, 1, marks=pytest.mark.slow),
        pytest.param(1, {"steps_per_epoch": 3}, 1, marks=pytest.mark.slow),
    ],
)
def test_the_budget_falls_to_the_bytes_however_batches_are_counted(epochs, options, together):
    model, callback = price_kernels(plain()), RateTraining(bytes=200)
    model.compile(
        keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy",
        steps_per_execution=together,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of steps made coarser, or of kernels of one number
        fit(model, callback, epochs=epochs, **options)
    assert callback._done == 1


@pytest.mark.usefixtures("stepwise")
def test_frozen_layers_have_no_price():
    model = price_kernels(plain())
    for name in ("conv", "last"):
        model.get_layer(name).trainable = False
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    before = model.get_layer("conv").get_weights()
    callback = RateTraining(rate=1e-4)
    fit(model, callback)
    assert {one.label for one in callback._kernels} == {"shared", "left/fc", "fc"}
    for old, new in zip(before, model.get_layer("conv").get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    model.trainable = False
    with pytest.raises(ValueError, match="trainable"):
        fit(model, RateTraining(rate=1e-4))


@pytest.mark.parametrize("make", [plain, mixed])
def test_a_kernel_of_zeros_is_refused(make):
    model = make()
    layer = model.get_layer("conv")
    layer.set_weights([0 * one if one.ndim > 1 else one for one in layer.get_weights()])
    with pytest.raises(ValueError, match=r"'conv' cannot have a price.*only zeros"):
        price_kernels(model)


@pytest.mark.usefixtures("stepwise")
def test_rounding_at_the_end_changes_no_output():
    class Outputs(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            self.found = keras.ops.convert_to_numpy(self.model(X))

    model, before = compiled(mixed()), Outputs()
    model.fit(X, Y, verbose=0, callbacks=[before, RateTraining(rate=1e-4)])
    np.testing.assert_array_equal(model(X), before.found)
    conv = model.get_layer("conv")
    values = conv.exact_kernel("coefficients").numpy()
    np.testing.assert_array_equal(values, conv.kept_coefficients())


def test_the_price_goes_on_from_a_file(tmp_path):
    model = price_kernels(mixed())
    callback = RateTraining(bytes=180)
    callback.set_model(model)
    callback.on_train_begin()
    begun = callback._price()
    callback._set_price(3 * begun)
    model.save(tmp_path / "m.keras")
    back = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(back(X), model(X))
    callback = RateTraining(bytes=180)
    callback.set_model(back)
    callback.on_train_begin()
    assert callback._price() == pytest.approx(3 * begun, rel=1e-6)


@pytest.mark.slow
def test_a_training_goes_on_from_a_file(tmp_path):
    model = compiled(mixed())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        history = fit(model, RateTraining(bytes=180))
    model.save(tmp_path / "m.keras")
    back = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(back(X), model(X))
    for one in (model, back):
        callback = RateTraining(bytes=180)
        callback.set_model(one)
        callback.set_params({"epochs": 4, "steps": 16})
        callback.on_train_begin()
        assert callback._price() == pytest.approx(history["price"][-1], rel=1e-6)
    for before, after in zip(model.optimizer.variables, back.optimizer.variables, strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.usefixtures("stepwise")
def test_a_high_price_leaves_one_number_and_says_so():
    model = compiled(regularize(plain()), step=1.0)
    for layer in named_layers(model).values():
        if isinstance(layer, Quantizing):
            layer.state_of("coefficients")["log2_step"].assign(40.0)
    with pytest.warns(UserWarning, match=r"\[.*'(left/)?fc'.*\] are down to one number"):
        fit(model, RateTraining(rate=0.0))
    assert np.isfinite(model(X)).all()


def test_a_budget_that_training_cannot_meet_is_met_by_coarser_steps_and_told():
    model = price_kernels(mixed())
    model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    with pytest.warns(UserWarning, match=r"coarser by a factor of .*that is enough.*bytes=100"):
        fit(model, RateTraining(bytes=100))


@pytest.mark.slow
@pytest.mark.usefixtures("stepwise")
def test_truncation_compaction_and_capacity_go_on():
    twin = regularize(plain())
    model = compiled(twin)
    model.fit(
        X,
        Y,
        verbose=0,
        epochs=2,
        callbacks=[TailTruncation(keep=0.2, epochs=2), RateTraining(rate=0)],
    )
    small = compact(model)
    np.testing.assert_allclose(small(X), model(X), atol=1e-5)
    assert small.count_params() < model.count_params()
    assert {type(one) for one in frequency_layers(small)} == {
        type(o) for o in frequency_layers(model)
    }
    assert fit(small, RateTraining(rate=1e-5))["bytes"][0] < 200


def test_compaction_keeps_the_function_and_the_price():
    twin = regularize(plain())
    for layer in frequency_layers(twin):
        layer.truncate(layer.kept // 5)
    priced = price_kernels(twin)
    small = compact(priced)
    np.testing.assert_allclose(small(X), priced(X), atol=1e-5)
    assert small.count_params() < priced.count_params()
    assert {type(one) for one in frequency_layers(small)} == {
        type(one) for one in frequency_layers(priced)
    }


@pytest.mark.usefixtures("stepwise")
@pytest.mark.parametrize("policy", telling(["mixed_float16", "mixed_bfloat16"], "mixed_float16"))
def test_steps_are_exact_in_mixed_precision(policy):
    with_policy = kl.Dense(6, name="fc", dtype=policy)
    model = keras.Sequential(
        [keras.Input((8,)), with_policy, kl.Dense(3, name="last", dtype=policy)]
    )
    for one in (model, regularize(model)):
        priced = price_kernels(one)
        fc = priced.get_layer("fc")
        (name,) = fc.kernel_names
        assert fc.exact_kernel(name).dtype == "float32"
        assert keras.backend.standardize_dtype(fc.quantized(name).dtype) == "float32"
        assert priced(images(2, (8,))).dtype == one(images(2, (8,))).dtype
        np.testing.assert_array_equal(unquantized(priced)(images(2, (8,))), priced(images(2, (8,))))
        priced.compile("adam", "mse")
        priced.fit(np.ones((4, 8)), np.ones((4, 3)), verbose=0, callbacks=[RateTraining(rate=1e-4)])
        assert np.isfinite(priced(images(2, (8,)))).all()


def test_layers_that_get_no_price_are_told():
    model = keras.Sequential(
        [keras.Input((9, 4)), kl.SeparableConv1D(6, 3, name="sep"), kl.Dense(2)]
    )
    assert len(price_kernels(model).losses) == 3
    twin = regularize(model)
    with pytest.warns(UserWarning, match=r"kernels of \['sep'\] get no price"):
        price_kernels(twin)
    assert len(price_kernels(twin, exclude="sep").losses) == 1


def test_bad_models_and_arguments():
    with pytest.raises(ValueError, match=r"`exclude` must name layers of the model.*\['nothing'\]"):
        price_kernels(plain(), exclude="nothing")
    with pytest.raises(ValueError, match="`model` must have a layer to price"):
        price_kernels(plain(), exclude=kl.Layer)
    with pytest.raises(ValueError, match=r"'conv' cannot have a price.*quantized already"):
        price_kernels(quantize_kernels(plain(), Ternary(), exclude=[]))
    for arguments in ({}, {"bytes": 9, "rate": 1}):
        with pytest.raises(ValueError, match=r"Give either `bytes` or `rate`. Received: bytes="):
            RateTraining(**arguments)
    for value in (0, -1, np.inf, np.nan, "9", True):
        with pytest.raises(ValueError, match=r"`bytes` must be a number above 0. Received"):
            RateTraining(bytes=value)
    for value in (-1, np.inf, np.nan, "9", True):
        with pytest.raises(
            ValueError, match=r"`rate` must be a finite number, 0 or more. Received"
        ):
            RateTraining(rate=value)
    model = plain()
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(
        ValueError, match=r"needs a model whose kernels have a price.*Received: 'net'"
    ):
        fit(model, RateTraining(rate=1e-5))
    with pytest.raises(ValueError, match="must not have quantized coefficients"):
        fit(compiled(mixed()), ArchiveRounding(0.1))
    with pytest.raises(ValueError, match=r"`bytes` must be at least \d+.*Received: bytes=1"):
        fit(compiled(mixed()), RateTraining(bytes=1))
