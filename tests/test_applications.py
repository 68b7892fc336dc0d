"""`regularize` and `bake` on `keras.applications` with random weights and live batch norm."""

import keras
import numpy as np
import pytest
from networks import halved, images, live, relative_difference

from fr_keras import bake, regularize
from fr_keras.models.walk import all_layers, frequency_layers

NETWORKS = {
    "MobileNetV2": 96,
    "MobileNetV3Small": 96,
    "EfficientNetB0": 32,
    "ResNet50": 64,
    "DenseNet121": 64,
    "VGG16": 32,
    "Xception": 96,
    "ConvNeXtTiny": 32,
    "NASNetMobile": 224,
    "InceptionV3": 96,
}
#: Between them: both normalizations, depthwise convolutions, gates, residuals, layer scales, and
#: preprocessing layers. The others are for `make test-all`.
QUICK = {"EfficientNetB0"}
# Types that have no kernel to hold, or one number a channel.
WITHOUT_TWIN = {"BatchNormalization", "LayerNormalization", "Normalization", "LayerScale"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.slow]) for n in NETWORKS],
)
def test_the_twin_and_its_bake_are_the_same_function(name):
    shape = (NETWORKS[name], NETWORKS[name], 3)
    plain = getattr(keras.applications, name)(
        weights=None, input_shape=shape, classes=10, classifier_activation=None
    )
    x = images(4, shape) * 255
    live(plain, x)
    expected = plain(x)
    twin = regularize(plain)
    left = {type(layer).__name__ for layer in all_layers(twin) if layer.weights}
    assert {kind for kind in left if not kind.startswith("FR")} <= WITHOUT_TWIN
    assert relative_difference(expected, twin(x)) < 1e-3
    for layer, other in zip(all_layers(plain), all_layers(twin), strict=True):
        if hasattr(layer, "kernel"):
            assert np.abs(np.asarray(other.kernel) - np.asarray(layer.kernel)).max() < 1e-6
    baked = bake(twin)
    assert not frequency_layers(baked)
    assert relative_difference(expected, baked(x)) < 1e-3
    last = next(layer.name for layer in reversed(plain.layers) if hasattr(layer, "kernel"))
    assert relative_difference(expected, halved(baked, last)(x)) > 1e-2
