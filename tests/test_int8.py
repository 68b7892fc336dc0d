"""int8 that holds: ranges, sensitivity, layers left in float, quantization-aware fine-tuning."""

import keras
import numpy as np
import pytest
from keras import layers

from fr_keras import interop, regularize, tflite
from fr_keras.models.walk import frequency_layers
from fr_keras.tflite.int8.ranges import clipped_range

pytestmark = pytest.mark.usefixtures("stepwise_module")


def rounded(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """The reference: what int8 with that range makes of the values."""
    step = (high - low) / 255
    zero = np.round(low / step)
    return np.clip(np.round(values / step), zero, zero + 255) * step


def images(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((rows, 16, 16, 1)).astype("float32")


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A U-Net of one level, truncated, with live statistics."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 16, 1))
    skip = block(inputs, 24, "down0")
    x = block(layers.MaxPooling2D()(skip), 32, "down1")
    x = layers.Conv2DTranspose(24, 2, strides=2, use_bias=False, name="up0")(x)
    x = block(layers.Concatenate()([skip, x]), 24, "up0_conv")
    outputs = layers.Conv2D(2, 1, activation="softmax", name="classifier")(x)
    model = regularize(keras.Model(inputs, outputs))
    for layer in frequency_layers(model):
        layer.truncate(min(20, layer.kept))
    model.get_layer("classifier").bias.assign([0.5, -0.5])  # where all is dead, no tie
    interop.calibrate_batch_norm(model, images(32))
    return model


def block(x, filters: int, name: str):
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=name)(x)
    return layers.ReLU()(layers.BatchNormalization(name=f"{name}_bn")(x))


def test_no_range_of_a_grid_is_better():
    """By real rounding, not by the noise that the search takes for it."""
    values = np.random.default_rng(0).standard_t(3, 20_000)
    low, high = clipped_range(values)
    assert values.min() < low < 0 < high < values.max()
    error = np.square(rounded(values, low, high) - values).mean()
    shares = np.linspace(0.05, 1, 12)
    grid = [(values.min() * a, values.max() * b) for a in shares for b in shares]
    best = min(np.square(rounded(values, *ends) - values).mean() for ends in grid)
    assert error < 1.02 * best


def test_an_even_spread_is_not_clipped():
    low, high = clipped_range(np.random.default_rng(0).uniform(-1, 3, 50_000))
    assert low == pytest.approx(-1, rel=0.1)
    assert high == pytest.approx(3, rel=0.02)


def test_ranges_include_zero():
    assert clipped_range(np.full(10, 5.0))[0] == 0
    assert clipped_range(np.zeros(10)) == (0, 0)


def test_one_bright_row_does_not_cost_the_others_their_precision():
    keras.utils.set_random_seed(0)
    net = keras.Sequential(
        [keras.Input((16,)), layers.Dense(64, activation="relu"), layers.Dense(8)]
    )
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 16)).astype("float32")
    x[7] *= 8
    file = tflite.convert(net, quantize="int8", calibration=x, float_io=True).content
    typical = rng.normal(size=(50, 16)).astype("float32")
    expected = net.predict(typical, verbose=0)
    error = np.abs(tflite.run(file, typical) - expected).mean()
    # The file keeps the range of the bright row on its ends, and must not inside.
    assert error < 0.02 * np.ptp(expected)


def test_what_no_row_excites_divides_by_nothing(model):
    done = tflite.convert(model, quantize="int8", calibration=np.zeros((10, 16, 16, 1)))
    assert np.isfinite(tflite.run(done.content, images(2))).all()


def test_sensitivity_finds_the_layer_that_suffers():
    keras.utils.set_random_seed(0)
    net = keras.Sequential(
        [
            keras.Input((32,)),
            layers.Dense(32, name="calm"),
            layers.Dense(32, name="uneven"),
            layers.Dense(4, name="logits"),
        ]
    )
    # Half its outputs are large and not listened to: the step of its range is theirs.
    loud = np.arange(32) < 16
    kernel, bias = net.get_layer("uneven").get_weights()
    net.get_layer("uneven").set_weights([kernel * np.where(loud, 1000, 1), bias])
    kernel, bias = net.get_layer("logits").get_weights()
    net.get_layer("logits").set_weights([kernel * np.where(loud, 0, 1)[:, None], bias])
    x = np.random.default_rng(0).normal(size=(100, 32)).astype("float32")
    found = tflite.sensitivity(net, x, verbose=0)
    assert sorted(found) == ["calm", "logits", "uneven"]
    assert next(iter(found)) == "uneven"
    with pytest.warns(tflite.ConversionWarning, match="disagrees"):
        all_int8 = tflite.convert(net, quantize="int8", calibration=x).agreement
    mixed = tflite.convert(net, quantize="int8", calibration=x, float_layers=["uneven", "logits"])
    assert mixed.agreement.relative < all_int8.relative / 5
    assert {"QUANTIZE", "DEQUANTIZE"} & {*tflite.inspect(mixed.content).ops}


def test_sensitivity_of_a_truncated_network(model, capsys):
    found = tflite.sensitivity(model, images(20), verbose=1)
    assert {*found} >= {layer.name for layer in frequency_layers(model)}
    assert all(np.isfinite(one.relative) for one in found.values())


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"float_layers": ["nobody"]}, r"`float_layers` must be a list of layers.*nobody"),
        ({"float_layers": "up0"}, r"`float_layers` must be a list of layers.*up0"),
        (
            {"float_layers": ["up0"], "quantize": "float16"},
            r"`float_layers` must be left out unless quantize='int8'.*float16",
        ),
    ],
)
def test_bad_float_layers(model, options, match):
    with pytest.raises(ValueError, match=match):
        tflite.convert(model, calibration=images(8), **{"quantize": "int8", **options})


def test_fake_quantization_is_the_reference():
    values = np.random.default_rng(0).normal(size=(5, 40)).astype("float32")
    layer = tflite.FakeQuantize()
    np.testing.assert_array_equal(layer(values), values)  # no range yet
    layer.set_range(-1.0, 2.4)
    np.testing.assert_allclose(layer(values), rounded(values, -1.0, 2.4), atol=1e-6)
    assert layer.range == pytest.approx((-1.0, 2.4))
    tflite.FakeQuantize.from_config(layer.get_config())


@pytest.mark.slow
def test_aware_model_computes_what_its_file_does(model, tmp_path):
    aware = tflite.quantization_aware(model, images(40))
    assert not [one for one in aware.layers if isinstance(one, keras.Model)]
    x = images(6, seed=1)
    # Rounded, but still the network.
    assert 0 < np.abs(aware.predict(x, verbose=0) - model.predict(x, verbose=0)).mean() < 0.05
    aware.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    before = {one.path: np.array(one) for one in aware.variables}
    aware.fit(images(32), (images(32) > 0.5).astype(int)[..., 0], epochs=1, verbose=0)
    moved = {one.path for one in aware.variables if np.any(np.array(one) != before[one.path])}
    assert moved
    assert all(path.split("/")[-2].endswith(("_core", "down0", "classifier")) for path in moved)
    done = tflite.convert(aware, quantize="int8", calibration=images(40), float_io=True)
    expected = aware.predict(x, verbose=0)
    exact = tflite.convert(aware, calibration=images(40)).content
    rounding = np.abs(tflite.run(exact, x) - expected).mean()
    assert np.abs(tflite.run(done.content, x) - expected).mean() < max(rounding, 2 / 255)
    aware.save(tmp_path / "aware.keras")
    loaded = keras.models.load_model(tmp_path / "aware.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), expected)


def test_aware_of_a_plain_model_with_several_ends():
    keras.utils.set_random_seed(0)
    one, two = keras.Input((12,), name="one"), keras.Input((8, 8, 2), name="two")
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(two)
    x = layers.Flatten()(layers.MaxPooling2D()(x))
    both = layers.Concatenate()([layers.Dense(20, activation="relu")(one), x])
    net = keras.Model([one, two], {"a": layers.Dense(3)(both), "b": layers.Dense(2)(both)})
    rng = np.random.default_rng(0)
    data = {"one": rng.normal(size=(60, 12)), "two": rng.normal(size=(60, 8, 8, 2))}
    aware = tflite.quantization_aware(net, data)
    rows = list(data.values())
    for name, expected in net.predict(rows, verbose=0).items():
        found = aware.predict(rows, verbose=0)[name]
        assert np.abs(found - expected).mean() < 0.02 * np.ptp(expected)
    done = tflite.convert(aware, quantize="int8", calibration=data)
    assert all(agreement.holds for agreement in done.agreements.values())


def test_aware_of_a_sequential_model_trains():
    x = np.random.default_rng(0).normal(size=(64, 6)).astype("float32")
    net = keras.Sequential([keras.Input((6,)), layers.Dense(8, activation="relu"), layers.Dense(1)])
    aware = tflite.quantization_aware(net, x)
    aware.compile(keras.optimizers.Adam(0.05), "mse")
    losses = aware.fit(x, x[:, :1], epochs=10, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 2
    assert aware.count_params() > net.count_params()  # and the ranges


def test_aware_of_shared_depthwise_and_nested_layers():
    keras.utils.set_random_seed(0)
    shared = layers.Conv2D(4, 3, padding="same", activation="relu", name="shared")
    inner = keras.Sequential([keras.Input((8, 8, 4)), layers.DepthwiseConv2D(3, name="deep")])
    inputs = keras.Input((8, 8, 4))
    net = keras.Model(inputs, layers.Flatten()(inner(shared(shared(inputs)))))
    x = np.random.default_rng(0).normal(size=(40, 8, 8, 4)).astype("float32")
    aware = tflite.quantization_aware(net, x)
    expected = net.predict(x, verbose=0)
    assert np.abs(aware.predict(x, verbose=0) - expected).mean() < 0.02 * np.ptp(expected)
    kernel = np.array(aware.get_layer("deep").kernel)[..., 0]
    steps = np.abs(kernel).max((0, 1)) / 127
    np.testing.assert_allclose(kernel / steps, np.round(kernel / steps), atol=1e-3)
    assert tflite.convert(aware, quantize="int8", calibration=x).agreement.holds


def test_large_rows_are_observed_in_small_batches(monkeypatch):
    """All activations of a batch are in memory at once."""
    net = keras.Sequential([keras.Input((6,)), layers.Dense(8, activation="relu"), layers.Dense(1)])
    x = np.random.default_rng(0).normal(size=(40, 6)).astype("float32")
    expected = [np.array(one) for one in tflite.quantization_aware(net, x).weights]
    sizes, observe = [], keras.Model.predict_on_batch
    monkeypatch.setattr("fr_keras.tflite.int8.aware._NUMBERS", 20)
    monkeypatch.setattr(
        keras.Model,
        "predict_on_batch",
        lambda self, rows: sizes.append(len(rows[0])) or observe(self, rows),
    )
    found = tflite.quantization_aware(net, x).weights
    assert max(sizes) == 3
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
