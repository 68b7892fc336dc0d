"""Networks as plain functions that return plain Keras models."""

from fr_keras.zoo.lenet5 import lenet5

__all__ = ["lenet5"]
