"""LeNet-5 in the Caffe variant, which compression papers use."""

import keras
from keras import layers


def lenet5(
    input_shape: tuple[int, int, int] = (28, 28, 1),
    classes: int = 10,
    batch_norm: bool = False,
    classifier_activation: str | None = "softmax",
    name: str = "lenet5",
) -> keras.Model:
    """Returns the Caffe LeNet-5: 430,500 kernel weights on 28x28x1.

    Two 5x5 convolutions of 20 and 50 filters, each with ReLU and 2x2 max pooling, 500 hidden
    units, and the classifier.

    Args:
        input_shape: `(height, width, channels)`, at least 16x16.
        classes: Number of classes.
        batch_norm: Whether a batch normalization without scale or offset, with momentum 0.9,
            follows each hidden layer, and no layer has a bias, as in frequency regularization.
        classifier_activation: Activation of the last layer; `None` gives logits.
        name: Name of the model.

    Raises:
        ValueError: If the input is too small for the two convolutions.

    Example:

    >>> lenet5().output_shape
    (None, 10)

    Source: LeCun et al., "Gradient-based learning applied to document recognition", Proceedings
    of the IEEE 1998, in the sizes of the Caffe example.
    """
    if len(input_shape) != 3 or min(input_shape[:2]) < 16:
        raise ValueError(
            "`input_shape` must be (height, width, channels) with sides of at least 16. "
            f"Received: input_shape={input_shape}"
        )

    def hidden(x, layer):
        x = layer(x)
        if batch_norm:
            x = layers.BatchNormalization(
                center=False, scale=False, momentum=0.9, name=f"{layer.name}_bn"
            )(x)
        return layers.Activation("relu", name=f"{layer.name}_relu")(x)

    bias = not batch_norm
    inputs = x = keras.Input(input_shape, name="image")
    x = hidden(x, layers.Conv2D(20, 5, use_bias=bias, name="conv1"))
    x = layers.MaxPooling2D(name="pool1")(x)
    x = hidden(x, layers.Conv2D(50, 5, use_bias=bias, name="conv2"))
    x = layers.MaxPooling2D(name="pool2")(x)
    x = layers.Flatten(name="flatten")(x)
    x = hidden(x, layers.Dense(500, use_bias=bias, name="hidden"))
    outputs = layers.Dense(
        classes, activation=classifier_activation, use_bias=bias, name="classifier"
    )(x)
    return keras.Model(inputs, outputs, name=name)
