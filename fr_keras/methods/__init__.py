"""Compression methods beside frequency regularization, each usable alone."""

from fr_keras.methods._activation import prune_inactive
from fr_keras.methods._narrow import narrow
from fr_keras.methods._selection import prune, select
from fr_keras.methods._soft_filters import SoftFilterPruning
from fr_keras.methods._stepwise import prune_stepwise

__all__ = [
    "SoftFilterPruning",
    "narrow",
    "prune",
    "prune_inactive",
    "prune_stepwise",
    "select",
]
