"""Networks to try fr_keras on: functions that return plain Keras models."""

from fr_keras.zoo._lenet5 import lenet5
from fr_keras.zoo._resnet20 import resnet20
from fr_keras.zoo._unet import unet

__all__ = ["lenet5", "resnet20", "unet"]
