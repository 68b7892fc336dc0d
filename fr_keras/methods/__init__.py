"""Compression methods beside frequency regularization, each usable alone."""

from fr_keras.methods._ranking import rank

__all__ = ["rank"]
