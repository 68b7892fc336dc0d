"""`FRBatchNormalization` is the plain layer, from the bottleneck before it."""

import keras
import numpy as np
import pytest
from backends import not_under
from networks import bfloat16, relative_difference

from fr_keras import bake, layers, regularize
from fr_keras.models.walk import frequency_layers

_CONV = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D, 3: keras.layers.Conv3D}


def network(rank: int = 2, bias: bool = True, norm: dict | None = None, **conv) -> keras.Model:
    inputs = keras.Input((8,) * rank + (12,))
    options = {"padding": "same", "use_bias": bias, "bias_initializer": "random_normal", **conv}
    x = _CONV[rank](24, 3, name="conv", **options)(inputs)
    x = keras.layers.BatchNormalization(name="norm", **(norm or {}))(x)
    return keras.Model(inputs, keras.layers.ReLU()(x))


def on_corners(plain: keras.Model) -> keras.Model:
    return regularize(plain, start={"conv": 30})


def the_plain_way(model: keras.Model) -> keras.Model:
    """The reference: the same FR layers, and Keras' own batch normalization."""

    def plain(layer):
        is_norm = isinstance(layer, layers.FRBatchNormalization)
        return (layer.plain() if is_norm else type(layer)).from_config(layer.get_config())

    copy = keras.models.clone_model(model, clone_function=plain)
    copy.set_weights(model.get_weights())
    return copy


def inputs(model: keras.Model) -> np.ndarray:
    return np.random.default_rng(0).normal(1, 2, (6, *model.input_shape[1:])).astype("float32")


def step(model: keras.Model, x) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """Outputs in training mode, gradients, and all weights after it."""
    before = model.get_weights()
    y, after = keras.ops.convert_to_numpy(model(x, training=True)), model.get_weights()
    model.set_weights(before)
    model.compile(keras.optimizers.SGD(1.0), lambda _, y: (y - keras.ops.cos(y)) ** 2)
    model.run_eagerly = True
    start = [one.numpy() for one in model.trainable_variables]
    model.train_on_batch(x, np.zeros(y.shape, "float32"))
    gradients = [a - b.numpy() for a, b in zip(start, model.trainable_variables, strict=True)]
    model.set_weights(after)
    return y, gradients, after


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("norm", [{}, {"center": False, "scale": False, "epsilon": 0.1}], ids=str)
def test_same_outputs_gradients_and_statistics(rank, bias, norm, monkeypatch):
    model = on_corners(network(rank, bias, norm))
    if not norm:
        model.get_layer("norm").gamma.assign(np.linspace(0.5, 2, 24))
        model.get_layer("norm").beta.assign(np.linspace(-1, 1, 24))
    other = the_plain_way(model)
    x = inputs(model)
    expected = step(other, x)
    inferred = keras.ops.convert_to_numpy(other(x))
    refuse_the_wide_way(monkeypatch)
    y, gradients, weights = step(model, x)
    assert relative_difference(expected[0], y) < 1e-5
    assert relative_difference(inferred, model(x)) < 1e-5
    largest = max(np.abs(one).max() for one in expected[1])
    for one, reference in zip(gradients, expected[1], strict=True):
        # The gradient of a bias is zero but for rounding.
        np.testing.assert_allclose(one, reference, atol=1e-4 * largest)
    for one, reference in zip(weights, expected[2], strict=True):
        np.testing.assert_allclose(one, reference, rtol=1e-4, atol=1e-5)


def refuse_the_wide_way(monkeypatch) -> None:
    def call(self, inputs, training=None, mask=None):
        raise AssertionError("reads the wide tensor")

    monkeypatch.setattr(keras.layers.BatchNormalization, "call", call)


@pytest.mark.parametrize(
    ("conv", "norm"),
    [
        ({"activation": "tanh"}, {}),
        ({"groups": 2}, {}),
        ({}, {"axis": 1}),
        ({}, {"renorm": True}),
    ],
    ids=["activation", "groups", "axis", "renorm"],
)
def test_elsewhere_it_is_the_plain_layer(conv, norm):
    model = on_corners(network(norm=norm, **conv))
    x = inputs(model)
    expected, found = step(the_plain_way(model), x), step(model, x)
    np.testing.assert_array_equal(found[0], expected[0])


def test_channels_that_never_change_divide_by_nothing():
    model = on_corners(network(bias=False, norm={"epsilon": 1e-3}))
    y, gradients, _ = step(model, np.zeros_like(inputs(model)))
    assert not y.any()
    assert all(np.isfinite(one).all() for one in gradients)


@not_under("torch", "the plain layer gives NaN")
def test_a_large_mean_does_not_drown_the_variance():
    """The covariance is taken of what is left after the mean, not as a difference of squares."""
    model = on_corners(network(bias=False, padding="valid"))
    x = 1000 + inputs(model)
    # The plain layer sums wide numbers of 1000s in float32 itself.
    assert relative_difference(step(the_plain_way(model), x)[0], step(model, x)[0]) < 2e-3


@pytest.mark.parametrize(
    "policy", ["mixed_float16", "float16", pytest.param("bfloat16", marks=bfloat16)]
)
def test_half_precision(policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = on_corners(network())
        other = the_plain_way(model)
    finally:
        keras.config.set_dtype_policy("float32")
    x = inputs(model)
    expected, found = step(other, x), step(model, x)
    assert found[0].dtype == expected[0].dtype
    assert model.get_layer("norm").moving_mean.dtype == other.get_layer("norm").moving_mean.dtype
    digits = 3e-2 if policy == "bfloat16" else 1e-2  # 2 and 3 of them
    assert relative_difference(expected[0], found[0]) < digits


def test_statistics_follow_in_fit_and_survive_saving(tmp_path):
    model = on_corners(network(norm={"momentum": 0.5}))
    other = the_plain_way(model)
    x = inputs(model)
    for one in (model, other):
        one.compile(keras.optimizers.SGD(0.01), "mse")
        one.fit(x, np.ones((6, 8, 8, 24)), epochs=3, verbose=0)
    for name in ("moving_mean", "moving_variance"):
        found, expected = (getattr(one.get_layer("norm"), name) for one in (model, other))
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert type(loaded.get_layer("norm")) is layers.FRBatchNormalization
    np.testing.assert_array_equal(loaded(x), model(x))
    baked = bake(loaded)
    assert type(baked.get_layer("norm")) is keras.layers.BatchNormalization
    assert relative_difference(model(x), baked(x)) < 1e-4


def test_only_networks_on_corners_get_it():
    whole = regularize(network())
    assert type(whole.get_layer("norm")) is keras.layers.BatchNormalization
    assert len(frequency_layers(on_corners(network()))) == 1
