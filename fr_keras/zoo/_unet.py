"""The U-Net of the frequency regularization paper."""

import keras
from keras import layers

_LEVELS = 5


def unet(
    input_shape: tuple[int, int, int] = (128, 128, 3),
    classes: int = 2,
    filters: int = 64,
    classifier_activation: str | None = "softmax",
    name: str = "unet",
) -> keras.Model:
    """Returns a U-Net with batch normalization: 31,024,960 kernel weights in 23 kernels.

    It has five levels of two 3x3 convolutions, with `filters` to `16 * filters` filters, 2x2 max
    pooling on the way down, 2x2 transposed convolutions on the way up, and a 1x1 convolution to
    the classes. There are no biases, and batch normalization has no scale or offset, as in the
    paper.

    Args:
        input_shape: `(height, width, channels)`, both sides multiples of 16.
        classes: Number of classes per pixel.
        filters: Number of filters on the first level.
        classifier_activation: Activation of the last layer; `None` gives logits.
        name: Name of the model.

    Raises:
        ValueError: If a side of the input cannot be halved four times.

    Example:

    >>> unet((64, 64, 1), filters=4).output_shape
    (None, 64, 64, 2)

    Source: Ronneberger et al., "U-Net", MICCAI 2015, in the form of Zhao et al., "Frequency
    Regularization", IEEE Access 2023.
    """
    step = 2 ** (_LEVELS - 1)
    if len(input_shape) != 3 or any(n is None or n % step for n in input_shape[:2]):
        raise ValueError(
            f"`input_shape` must be (height, width, channels) with sides that are multiples of "
            f"{step}. Received: input_shape={input_shape}"
        )
    inputs = x = keras.Input(input_shape, name="image")
    skips = []
    for level in range(_LEVELS):
        if level:
            x = layers.MaxPooling2D(name=f"down{level}_pool")(x)
        x = _double_convolution(x, filters * 2**level, f"down{level}")
        skips.append(x)
    for level in reversed(range(_LEVELS - 1)):
        width = filters * 2**level
        x = layers.Conv2DTranspose(width, 2, strides=2, use_bias=False, name=f"up{level}")(x)
        x = layers.Concatenate(name=f"up{level}_skip")([skips[level], x])
        x = _double_convolution(x, width, f"up{level}")
    outputs = layers.Conv2D(
        classes, 1, use_bias=False, activation=classifier_activation, name="classifier"
    )(x)
    return keras.Model(inputs, outputs, name=name)


def _double_convolution(x, filters: int, name: str):
    for number in (1, 2):
        layer = f"{name}_conv{number}"
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=layer)(x)
        x = layers.BatchNormalization(center=False, scale=False, momentum=0.9, name=f"{layer}_bn")(
            x
        )
        x = layers.ReLU(name=f"{layer}_relu")(x)
    return x
