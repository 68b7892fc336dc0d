"""The classifiers of the FR paper's appendix, for 32x32 images of ten classes.

The kernels that FR holds have as many weights as the appendix lists for each network, but for ViT:
its list also has the positions and a class token, which here are plain and left out. AlexNet needs
224x224 pixels, so the images are enlarged in the network.
"""

from collections.abc import Callable

import keras
from keras import layers

IMAGE, CLASSES = (32, 32, 3), 10


def alexnet() -> keras.Model:
    inputs = keras.Input(IMAGE, name="image")
    x = layers.UpSampling2D(7, interpolation="bilinear", name="enlarge")(inputs)
    x = layers.ZeroPadding2D(2, name="pad")(x)
    filters = ((64, 11, 4, True), (192, 5, 1, True), (384, 3, 1, False), (256, 3, 1, False),
               (256, 3, 1, True))  # fmt: skip
    for number, (count, size, strides, pools) in enumerate(filters, 1):
        padding = "valid" if number == 1 else "same"
        x = layers.Conv2D(
            count, size, strides, padding, activation="relu", kernel_initializer="he_normal",
            name=f"conv{number}",
        )(x)  # fmt: skip
        if pools:
            x = layers.MaxPooling2D(3, 2, name=f"pool{number}")(x)
    x = layers.Flatten(name="flatten")(x)
    for number in (6, 7):
        x = layers.Dropout(0.5, name=f"dropout{number}")(x)
        x = layers.Dense(
            4096, activation="relu", kernel_initializer="he_normal", name=f"dense{number}"
        )(x)
    return keras.Model(inputs, _classifier(x), name="alexnet")


def vgg() -> keras.Model:
    """The network that the appendix calls VGG16: it has 16 convolutions, those of VGG-19."""
    inputs = x = keras.Input(IMAGE, name="image")
    for stage, (filters, count) in enumerate(((64, 2), (128, 2), (256, 4), (512, 4), (512, 4)), 1):
        for number in range(1, count + 1):
            x = _relu(_convolution(x, filters, 3, 1, f"conv{stage}_{number}"))
        x = layers.MaxPooling2D(name=f"pool{stage}")(x)
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(inputs, _classifier(x), name="vgg")


def resnet18() -> keras.Model:
    inputs = keras.Input(IMAGE, name="image")
    x = _relu(_convolution(inputs, 64, 3, 1, "stem"))
    for stage, filters in enumerate((64, 128, 256, 512), 1):
        for block in (1, 2):
            strides = 2 if block == 1 and stage > 1 else 1
            name = f"stage{stage}_block{block}"
            y = _relu(_convolution(x, filters, 3, strides, f"{name}_conv1"))
            y = _convolution(y, filters, 3, 1, f"{name}_conv2")
            if strides > 1:
                x = _convolution(x, filters, 1, strides, f"{name}_shortcut")
            x = _relu(layers.Add(name=f"{name}_add")([x, y]))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, _classifier(x), name="resnet18")


def vit() -> keras.Model:
    """Six blocks of width 512 with eight heads, and patches of 4x4 pixels."""
    inputs = keras.Input(IMAGE, name="image")
    x = layers.Conv2D(512, 4, 4, name="patches")(inputs)
    x = layers.Reshape((64, 512), name="tokens")(x)
    x = Positions(name="positions")(x)
    for block in range(1, 7):
        y = layers.LayerNormalization(name=f"block{block}_norm1")(x)
        y = layers.MultiHeadAttention(8, 64, use_bias=False, name=f"block{block}_attention")(y, y)
        x = layers.Add(name=f"block{block}_add1")([x, y])
        y = layers.LayerNormalization(name=f"block{block}_norm2")(x)
        y = layers.Dense(512, activation="gelu", name=f"block{block}_dense1")(y)
        y = layers.Dense(512, name=f"block{block}_dense2")(y)
        x = layers.Add(name=f"block{block}_add2")([x, y])
    x = layers.LayerNormalization(name="norm")(x)
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(inputs, _classifier(x), name="vit")


@keras.saving.register_keras_serializable("paper_networks")
class Positions(layers.Layer):
    """Adds a learnt vector to each token."""

    def build(self, input_shape):
        self.table = self.add_weight(
            name="table", shape=input_shape[1:], initializer=keras.initializers.RandomNormal(0.02)
        )

    def call(self, inputs):
        return inputs + self.table


def _convolution(x, filters: int, size: int, strides: int, name: str):
    x = layers.Conv2D(
        filters, size, strides, "same", use_bias=False, kernel_initializer="he_normal", name=name
    )(x)
    return layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)


def _relu(x):
    return layers.ReLU()(x)


def _classifier(x):
    # In float32 also where the rest computes in half precision.
    return layers.Dense(CLASSES, activation="softmax", dtype="float32", name="classifier")(x)


NETWORKS: dict[str, Callable[[], keras.Model]] = {
    "vgg": vgg, "resnet18": resnet18, "vit": vit, "alexnet": alexnet,
}  # fmt: skip
#: Layers that the appendix does not list, which stay plain.
EXCLUDED = {"vgg": None, "resnet18": "stem", "vit": None, "alexnet": None}
