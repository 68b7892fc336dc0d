"""Networks for tests of "same function": live statistics, logits, inputs in range."""

import os

import keras
import numpy as np
import pytest
from keras import layers

from fr_keras import regularize

#: For a parameter of a test: TensorFlow asks the processor for bfloat16, and then oneDNN for the
#: op; with less allowed there than the processor has, the op fails or ends the process.
bfloat16 = pytest.mark.skipif(
    "ONEDNN_MAX_CPU_ISA" in os.environ, reason="ONEDNN_MAX_CPU_ISA may take bfloat16 away"
)


def small_convnet() -> keras.Model:
    """A functional network with a residual, batch norm and a Dense behind a Flatten."""
    inputs = keras.Input((12, 12, 3), name="image")
    x = layers.Conv2D(8, 3, padding="same", name="conv")(inputs)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.ReLU(name="relu")(x)
    y = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.Add(name="add")([x, y])
    x = layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False, name="down")(x)
    x = layers.BatchNormalization(name="down_bn")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(0.1, name="dropout")(x)
    x = layers.Dense(16, activation="relu", name="hidden")(x)
    return keras.Model(inputs, layers.Dense(5, name="logits")(x), name="small")


def images(rows: int = 16, shape=(12, 12, 3), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((rows, *shape), np.float32)


def colours(rows: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Images whose class is their colour: what any processor learns at any truncation."""
    y = np.arange(rows) % 5
    palette = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1]], np.float32)
    return 0.2 * images(rows) + palette[y][:, None, None], y


def live(model: keras.Model, x: np.ndarray) -> keras.Model:
    """Random gamma and beta, and moving statistics that are, but for a 256th, those of `x`."""
    rng = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            if layer.scale:
                layer.gamma.assign(rng.uniform(0.5, 1.5, layer.gamma.shape))
            if layer.center:
                layer.beta.assign(rng.normal(0, 0.5, layer.beta.shape))
            layer.momentum = 1 / 256  # the rest keeps a variance of nothing away from 0
    model(x, training=True)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.5
    return model


def halved(model: keras.Model, name: str) -> keras.Model:
    """A copy of a plain model with one kernel halved: every "same function" test must notice."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    kernel = copy.get_layer(name).kernel
    kernel.assign(kernel * 0.5)
    return copy


def relative_difference(a, b) -> float:
    a, b = (keras.ops.convert_to_numpy(one).astype(np.float64) for one in (a, b))
    return float(np.abs(a - b).max() / np.abs(a).max())


def assert_same_function(plain: keras.Model, other: keras.Model, x: np.ndarray) -> None:
    """Logits to 1e-3 relative, kernels to 1e-6, and the check is shown to see a halved kernel."""
    expected = plain(x)
    assert relative_difference(expected, other(x)) < 1e-3
    for layer in plain.layers:
        if hasattr(layer, "kernel"):
            difference = np.abs(np.asarray(other.get_layer(layer.name).kernel) - layer.kernel)
            assert np.max(difference) < 1e-6, layer.name
            kernel = np.array(layer.kernel)
            layer.kernel.assign(kernel * 0.5)
            assert relative_difference(expected, plain(x)) > 1e-3, layer.name
            layer.kernel.assign(kernel)


def truncated_twin(plain: keras.Model, fraction: float) -> keras.Model:
    twin = regularize(plain)
    for layer in twin.layers:
        if hasattr(layer, "truncate"):
            layer.truncate(max(1, round(fraction * layer.kept)))
    return twin
