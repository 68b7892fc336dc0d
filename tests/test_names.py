"""What layers are called changes nothing: results are those of the same network, plainly named."""

import functools

import keras
import numpy as np
import pytest
from examples import telling
from keras import layers
from networks import images
from rich.console import Console

from fr_bench.forms import table
from fr_keras import bake, regularize, save_archive, summary, tflite
from fr_keras.models.walk import all_layers, frequency_layers

# Of each network: plain names, and names that look like those that `bake`, Keras, TensorFlow or
# this package give.
NAMES = {
    "like a chain": ("head", "head_core", "head_out"),
    "like an input stage": ("head", "head_in", "head_core"),
    "like a part": ("head", "head_in_0", "head_in_1"),
    "like a second layer": ("head", "head_1", "head_2"),
    "like a scope": ("model", "layer0", "layer1_1"),
    "like a range": ("a", "a_range", "a_range_1"),
}


def network(names) -> keras.Model:
    """A user's own models before and behind concatenations that chains read."""
    keras.utils.set_random_seed(0)
    outer, first, second = names
    inputs = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name=f"{outer}_stem")(inputs)
    small = layers.AveragePooling2D(2, name="small")(x)
    inner = [
        layers.Conv2D(16, 3, padding="same", activation="relu", name=first),
        layers.Conv2D(12, 1, bias_initializer="random_normal", name=second),
    ]
    up = layers.Conv2DTranspose(10, 2, strides=2, name=second)
    for layer in (*inner, up):
        layer.its_own = True
    parts = [
        keras.Sequential(inner, name=outer)(x),
        keras.Sequential([up], name=f"{outer}_up")(small),
        x,
    ]
    both = layers.Concatenate(name="both")(parts)
    x = layers.Conv2D(24, 3, padding="same", name=f"{first}_reader")(both)
    x = layers.BatchNormalization(name=f"{second}_norm")(x)
    again = layers.Concatenate(name="again")([x, layers.ReLU(name=f"{outer}_relu")(x)])
    x = keras.Sequential([layers.Conv2D(9, 1, name=f"{outer}_x_in")], name=f"{outer}_x")(again)
    return keras.Model(inputs, layers.Dense(5, name=f"{outer}_logits")(x), name=f"{outer}_net")


PLAIN = ("encoder", "one", "two")


def truncated(names) -> keras.Model:
    """With chains around the user's own models, which stay plain."""
    model = regularize(network(names), exclude=lambda layer: hasattr(layer, "its_own"))
    for layer in frequency_layers(model):
        layer.truncate(min(12, layer.kept))
    return model


# What the plainly named network gives, once for all names.


@functools.cache
def plain_kinds(form: str) -> list[type]:
    return [type(one) for one in all_layers(bake(truncated(PLAIN), form))]


@functools.cache
def plain_file() -> tflite.Conversion:
    return tflite.convert(truncated(PLAIN), quantize="int8", calibration=images(10, (8, 8, 3)))


@functools.cache
def plainly_aware() -> tuple[keras.Model, bytes]:
    x = images(10, (8, 8, 3))
    aware = tflite.quantization_aware(network(PLAIN), x)
    return aware, tflite.convert(aware, quantize="int8", calibration=x).content


@functools.cache
def plainly_sensitive() -> tuple[list, bytes]:
    """How sensitive its layers are, and its file with the worst in float."""
    x, model = images(10, (8, 8, 3)), network(PLAIN)
    found = tflite.sensitivity(model, x, verbose=0)
    worst = [next(iter(found))]
    file = tflite.convert(model, quantize="int8", calibration=x, float_layers=worst)
    return [*found.values()], file.content


def each(*fast):
    return pytest.mark.parametrize(
        "names", telling(NAMES.values(), *(NAMES[one] for one in fast)), ids=NAMES
    )


@pytest.mark.parametrize("form", ["factored", pytest.param("auto", marks=pytest.mark.slow)])
@each("like a chain", "like a second layer")
def test_baking(names, form):
    x = images(4, (8, 8, 3))
    for model in (truncated(names), network(names)):
        expected = np.asarray(model(x))
        baked = bake(model, form)
        np.testing.assert_allclose(baked(x), expected, atol=1e-5 * np.abs(expected).max())
        if frequency_layers(model):
            assert [type(one) for one in all_layers(baked)] == plain_kinds(form)


@each("like a chain")
def test_conversion(names):
    x = images(10, (8, 8, 3))
    one, two = tflite.convert(truncated(names), quantize="int8", calibration=x), plain_file()
    assert one.recipes == two.recipes
    np.testing.assert_array_equal(tflite.run(one.content, x), tflite.run(two.content, x))


# `test_two_encoders_of_one_function` has the same of names that come twice.
@pytest.mark.slow
@pytest.mark.parametrize("names", [NAMES["like a chain"], NAMES["like a range"]])
def test_quantization_aware_training(names):
    x = images(10, (8, 8, 3))
    aware, (other, file) = tflite.quantization_aware(network(names), x), plainly_aware()
    assert [w.shape for w in aware.trainable_weights] == [w.shape for w in other.trainable_weights]
    np.testing.assert_array_equal(aware(x), other(x))
    found = tflite.convert(aware, quantize="int8", calibration=x).content
    np.testing.assert_array_equal(tflite.run(found, x), tflite.run(file, x))


@pytest.mark.slow
@pytest.mark.parametrize("names", [NAMES["like a chain"], NAMES["like a second layer"]])
def test_sensitivity_and_float_layers(names):
    x = images(10, (8, 8, 3))
    model, (plainly, other) = network(names), plainly_sensitive()
    found = tflite.sensitivity(model, x, verbose=0)
    assert [*found.values()] == plainly
    worst = [next(iter(found))]
    file = tflite.convert(model, quantize="int8", calibration=x, float_layers=worst).content
    np.testing.assert_array_equal(tflite.run(file, x), tflite.run(other, x))


def test_two_encoders_of_one_function():
    def encoder(name):
        inside = [layers.Dense(6, activation="relu", name="fc"), layers.Dense(3, name="out")]
        return keras.Sequential([keras.Input((8,)), *inside], name=name)

    left, right = keras.Input((8,), name="u"), keras.Input((8,), name="v")
    both = layers.Concatenate()([encoder("left")(left), encoder("right")(right)])
    model = keras.Model([left, right], layers.Dense(2, name="fc")(both))
    x = [images(40, (8,)), images(40, (8,), seed=1)]
    found = tflite.sensitivity(model, x, verbose=0)
    assert {*found} == {"left/fc", "left/out", "right/fc", "right/out", "fc"}
    aware = tflite.quantization_aware(model, x)
    assert tflite.convert(aware, quantize="int8", calibration=x).agreement.holds
    with pytest.raises(ValueError, match="left/fc"):
        tflite.convert(model, quantize="int8", calibration=x, float_layers=["fc2"])
    file = tflite.convert(model, quantize="int8", calibration=x, float_layers=["right/fc"])
    kinds = tflite.inspect(file.content).to_dict()["ops"]
    assert kinds["DEQUANTIZE"] == kinds["QUANTIZE"] == 1


def test_every_op_of_a_layer_stays_in_float():
    """Of a layer that is called often, also the call whose output is the model's; a softmax too."""
    inputs = keras.Input((8, 8, 3))
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    probabilities = layers.Dense(4, activation="softmax", name="probabilities")
    outputs = [shared(shared(shared(inputs))), probabilities(layers.Flatten(name="flat")(inputs))]
    model, x = keras.Model(inputs, outputs), images(10, (8, 8, 3))
    assert {*tflite.sensitivity(model, x, verbose=0)} == {"shared", "probabilities"}
    names = ["shared", "probabilities", "flat"]
    file = tflite.convert(model, quantize="int8", calibration=x, float_io=True, float_layers=names)
    # Nothing is left that int8 could change.
    for one in file.agreements.values():
        assert one.largest < 1e-5 * one.range


def test_a_name_that_looks_like_markup_is_shown_as_it_is(tmp_path):
    names = "m[bold]", "a[bold]b", "[red]c"
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, name=names[1])(inputs)
    model = keras.Model(inputs, layers.Dense(3, name=names[2])(x), name=names[0])
    packing = save_archive(regularize(model), tmp_path / "m.fr", calibration=np.ones((2, 6, 6, 2)))
    title = table(names[0], [])
    console = Console(width=120, color_system=None)
    with console.capture() as capture:
        console.print(title)
    for shown in (str(summary(regularize(model))), str(packing)):
        assert all(name in shown for name in names)
    assert names[0] in capture.get()
