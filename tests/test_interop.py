import keras
import numpy as np
import pytest
import scipy.fft
from keras import layers as kl
from networks import images, relative_difference

from fr_keras import interop, layers, regularize, zoo
from fr_keras.models.walk import frequency_layers

pytestmark = pytest.mark.usefixtures("stepwise_module")


def network():
    """Every kind of layer that frereg has, with and without bias."""
    inputs = keras.Input((8, 8, 3))
    x = kl.Conv2D(6, 3, padding="same", name="conv")(inputs)
    x = kl.Conv2DTranspose(5, 2, strides=2, use_bias=False, name="up")(x)
    x = kl.GlobalAveragePooling2D()(x)
    return regularize(keras.Model(inputs, kl.Dense(4, name="linear")(x)))


def state(kept=7):
    """A checkpoint in PyTorch's layout, and the spatial kernels it stands for, in Keras'."""
    rng = np.random.default_rng(0)
    found, kernels = {}, {}
    for name, shape in {"c": (6, 3, 3, 3), "u": (6, 5, 2, 2), "l": (4, 5)}.items():
        spectrum = np.zeros(shape, np.float32)
        low = sorted(np.ndindex(shape), key=sum)[:kept]
        spectrum[tuple(np.transpose(low))] = rng.normal(size=len(low))
        found[f"{name}.weight"] = spectrum
        # The reference: scipy's inverse transform in PyTorch's order of the axes.
        kernel = scipy.fft.idctn(spectrum, norm="ortho")
        kernels[name] = kernel.transpose(2, 3, 1, 0) if len(shape) == 4 else kernel.T
        if name != "u":
            found[f"{name}.bias"] = rng.normal(size=shape[0]).astype(np.float32)
    return found, kernels


def test_a_checkpoint_fills_every_kind_of_layer():
    model, (found, kernels) = network(), state()
    interop.load_frereg(model, {**found, "c.ZMAT": np.ones(3), "c.IDROP": np.ones(3)})
    for name, layer in zip("cul", frequency_layers(model), strict=True):
        np.testing.assert_allclose(layer.kernel, kernels[name], atol=1e-5)
        assert 7 <= layer.kept < np.prod(layer.spectrum_shape)
    np.testing.assert_array_equal(model.get_layer("conv").bias, found["c.bias"])
    np.testing.assert_array_equal(model.get_layer("linear").bias, found["l.bias"])


def test_the_paper_unet_in_its_layer_order():
    """The names and the order of the published checkpoint, 33 coefficients a layer."""
    unet = regularize(zoo.unet((32, 32, 3), filters=8))
    rng = np.random.default_rng(0)
    found = {}
    for number, layer in enumerate(frequency_layers(unet)):
        *space, a, b = layer.spectrum_shape
        values = np.zeros((b, a, *space), np.float32)
        low = sorted(np.ndindex(values.shape), key=lambda u: (sum(u), u))[:10]
        values[tuple(np.transpose(low))] = rng.normal(size=len(low))
        found[f"layer{number}.weight"] = values
    assert len(found) == 23
    interop.load_frereg(unet, found)
    for layer, values in zip(frequency_layers(unet), found.values(), strict=True):
        # Ties in the index sum go to the first axis of PyTorch's kernel, which is our last.
        assert layer.kept == 10
        np.testing.assert_array_equal(layer.kept_coefficients().transpose(3, 2, 0, 1), values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("l.bias"), "none for the bias of layer 'linear', of shape"),
        (lambda s: s.update(more=np.ones((2, 2))), r"Received: others, \[\('more', \(2, 2\)\)\]"),
        (
            lambda s: s.update({"u.weight": np.ones((5, 6, 2, 2), np.float32)}),
            r"`state\['u.weight'\]` must fit the kernel of layer 'up': shape \(2, 2, 5, 6\).*"
            r"Received: \(5, 6, 2, 2\), which is \(2, 2, 6, 5\)",
        ),
        (lambda s: s["c.weight"].fill(np.nan), r"`state\['c.weight'\]` must be finite"),
        (lambda s: s.pop("c.weight"), r"`state\['c.bias'\]` must fit the kernel of layer 'conv'"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_loaded_by_half(change, message):
    model, (found, _) = network(), state()
    before = model.get_weights()
    change(found)
    with pytest.raises(ValueError, match=message):
        interop.load_frereg(model, found)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_model_that_keeps_too_few_is_named():
    model, (found, _) = network(), state(kept=20)
    model.get_layer("conv").truncate(10)
    with pytest.raises(ValueError, match="must be zero beyond the 10 coefficients"):
        interop.load_frereg(model, found)


# Statistics


def normalized():
    model = keras.Sequential(
        [
            keras.Input((6,)),
            kl.Dense(5, name="dense"),
            kl.BatchNormalization(name="first", momentum=0.9),
            kl.Dropout(0.5, name="dropout"),
            kl.Dense(4, name="other"),
            kl.BatchNormalization(name="second", trainable=False),
        ]
    )
    model.get_layer("first").moving_mean.assign(np.full(5, 9.0))
    return model


def test_statistics_are_those_over_all_rows():
    model = normalized()
    weights = [weight.numpy() for weight in model.trainable_variables]
    parts = [images(8, (6,), seed=seed) for seed in range(3)]
    with pytest.warns(UserWarning, match="calibration changed the outputs of .*'"):
        interop.calibrate_batch_norm(model, iter(parts))
    inner = keras.Model(model.inputs, model.get_layer("dense").output)
    values = np.concatenate([inner.predict(part, verbose=0) for part in parts])
    first = model.get_layer("first")
    np.testing.assert_allclose(first.moving_mean, values.mean(0), rtol=1e-4)
    np.testing.assert_allclose(first.moving_variance, values.var(0), rtol=1e-3)
    for a, b in zip(weights, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(a, b)
    settings = first.momentum, model.get_layer("dropout").rate, model.get_layer("second").trainable
    assert settings == (0.9, 0.5, False)
    # A frozen normalization gets statistics too.
    assert np.abs(model.get_layer("second").moving_mean).max() > 0


def test_one_array_is_one_batch_and_inference_then_normalizes_like_training():
    model, x = normalized(), images(64, (6,))
    model.get_layer("dropout").rate = 0.0
    model.get_layer("second").trainable = True
    with pytest.warns(UserWarning, match="calibration changed the outputs of .*'"):
        interop.calibrate_batch_norm(model, x)
    assert relative_difference(model(x, training=True), model(x, training=False)) < 1e-4


def test_bad_data_and_models_are_named():
    with pytest.raises(ValueError, match="`model` must have a BatchNormalization layer"):
        interop.calibrate_batch_norm(keras.Sequential([keras.Input((3,)), kl.Dense(2)]), images(2))
    model = normalized()
    with pytest.raises(ValueError, match="`data` must hold at least one batch"):
        interop.calibrate_batch_norm(model, [])
    with pytest.raises(ValueError, match="incompatible"):
        interop.calibrate_batch_norm(model, images(2, (7,)))


def test_frequency_layers_have_no_part_in_it():
    inputs = keras.Input((6, 6, 2))
    x = kl.BatchNormalization()(layers.FRConv2D(4, 3, name="conv")(inputs))
    model = keras.Model(inputs, x)
    before = model.get_layer("conv").get_weights()
    interop.calibrate_batch_norm(model, images(8, (6, 6, 2)))
    for a, b in zip(before, model.get_layer("conv").get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
