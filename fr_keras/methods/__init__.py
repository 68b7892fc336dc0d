"""Compression methods beside frequency regularization, each usable alone on plain Keras models."""

from fr_keras.methods._magnitude import MagnitudePruning

__all__ = ["MagnitudePruning"]
