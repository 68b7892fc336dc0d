"""ResNet-20 for CIFAR images."""

import keras
from keras import layers


def resnet20(
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    classifier_activation: str | None = "softmax",
    name: str = "resnet20",
) -> keras.Model:
    """Returns the ResNet-20 of the CIFAR experiments: 270,896 kernel weights on 32x32x3.

    Three stages of three blocks with 16, 32 and 64 filters. A block that halves the image has a
    1x1 convolution on its shortcut.

    Args:
        input_shape: `(height, width, channels)`, at least 8x8.
        classes: Number of classes.
        classifier_activation: Activation of the last layer; `None` gives logits.
        name: Name of the model.

    Raises:
        ValueError: If the input is too small to be halved twice.

    Example:

    >>> resnet20().output_shape
    (None, 10)

    Source: He et al., "Deep residual learning for image recognition", CVPR 2016, section 4.2.
    """
    if len(input_shape) != 3 or min(input_shape[:2]) < 8:
        raise ValueError(
            "`input_shape` must be (height, width, channels) with sides of at least 8. "
            f"Received: input_shape={input_shape}"
        )
    inputs = keras.Input(input_shape, name="image")
    x = _convolution(inputs, 16, 3, 1, "stem")
    x = layers.ReLU(name="stem_relu")(x)
    for stage, filters in enumerate((16, 32, 64), start=1):
        for block in range(1, 4):
            strides = 2 if block == 1 and stage > 1 else 1
            x = _block(x, filters, strides, f"stage{stage}_block{block}")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    outputs = layers.Dense(classes, activation=classifier_activation, name="classifier")(x)
    return keras.Model(inputs, outputs, name=name)


def _block(x, filters: int, strides: int, name: str):
    y = _convolution(x, filters, 3, strides, f"{name}_conv1")
    y = layers.ReLU(name=f"{name}_relu1")(y)
    y = _convolution(y, filters, 3, 1, f"{name}_conv2")
    if strides > 1:
        x = _convolution(x, filters, 1, strides, f"{name}_shortcut")
    return layers.ReLU(name=f"{name}_relu2")(layers.Add(name=f"{name}_add")([x, y]))


def _convolution(x, filters: int, size: int, strides: int, name: str):
    x = layers.Conv2D(
        filters,
        size,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    return layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
