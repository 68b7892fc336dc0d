import numpy as np
import pytest
from networks import assert_same_function, images, live, relative_difference

from fr_keras import bake, regularize, summary, zoo


def test_resnet20():
    plain = zoo.resnet20(classifier_activation=None)
    assert summary(plain).total("kernel_weights") == 270_896
    convolutions = [
        layer for layer in plain.layers if "conv" in layer.name and "bn" not in layer.name
    ]
    assert len(convolutions) == 18
    live(plain, images(32, (32, 32, 3)))
    assert_same_function(plain, regularize(plain), images(16, (32, 32, 3), seed=5))


def test_unet_is_the_papers():
    rows = [row for row in summary(zoo.unet()).rows if row.kernel_weights]
    assert len(rows) == 23
    assert sum(row.kernel_weights for row in rows) == 31_024_960
    assert not any(
        layer.use_bias for layer in zoo.unet(filters=4).layers if hasattr(layer, "kernel")
    )


def test_a_small_unet_and_its_twin():
    shape = (32, 48, 1)
    plain = zoo.unet(shape, filters=4, classifier_activation=None)
    assert plain.output_shape == (None, 32, 48, 2)
    live(plain, images(16, shape))
    x = images(4, shape, seed=5)
    twin = regularize(plain)
    expected = plain(x)
    assert relative_difference(expected, twin(x)) < 1e-3
    for layer in twin.layers:
        if hasattr(layer, "truncate"):
            layer.truncate(min(33, layer.kept))
    assert sum(row.kept for row in summary(twin).rows if row.converted) <= 23 * 33
    expected = twin(x)
    assert relative_difference(expected, bake(twin)(x)) < 1e-3
    up = twin.get_layer("up0")
    up.set_kernel(np.asarray(up.kernel) * 0.5)
    assert relative_difference(expected, twin(x)) > 1e-3


@pytest.mark.parametrize(
    "make",
    [
        lambda: zoo.resnet20((4, 32, 3)),
        lambda: zoo.unet((100, 128, 3)),
        lambda: zoo.unet((None, None, 3)),
        lambda: zoo.lenet5((28, 28)),
    ],
)
def test_unfit_inputs_are_named(make):
    with pytest.raises(ValueError, match="`input_shape`"):
        make()
