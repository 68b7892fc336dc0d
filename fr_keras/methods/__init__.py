"""Compression methods beside frequency regularization, each usable alone."""

from fr_keras.methods._narrow import narrow
from fr_keras.methods._selection import prune, select

__all__ = ["narrow", "prune", "select"]
