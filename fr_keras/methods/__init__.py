"""Compression methods beside frequency regularization, each usable alone on plain Keras models."""

from fr_keras.methods._magnitude import MagnitudePruning
from fr_keras.methods._narrow import narrow
from fr_keras.methods._ranking import CRITERIA, rank
from fr_keras.methods._selection import prune, select

__all__ = ["CRITERIA", "MagnitudePruning", "narrow", "prune", "rank", "select"]
