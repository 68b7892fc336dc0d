"""Compression methods beside frequency regularization, each usable alone on plain Keras models."""

from fr_keras.methods._activation import prune_inactive
from fr_keras.methods._adaptive_float import AdaptiveFloat
from fr_keras.methods._elm import elm
from fr_keras.methods._float_bits import adaptive_float
from fr_keras.methods._freqnet import FreqNet
from fr_keras.methods._kbit import KBit
from fr_keras.methods._layer_ranks import LayerRanks
from fr_keras.methods._magnitude import MagnitudePruning
from fr_keras.methods._narrow import narrow
from fr_keras.methods._nest import nest
from fr_keras.methods._nested import Nested
from fr_keras.methods._price_kernels import price_kernels
from fr_keras.methods._quantize_kernels import quantize_kernels
from fr_keras.methods._ranking import CRITERIA, rank
from fr_keras.methods._rate_training import RateTraining
from fr_keras.methods._selection import prune, select
from fr_keras.methods._soft_filters import SoftFilterPruning
from fr_keras.methods._soft_levels import RisingTemperature, SoftLevels
from fr_keras.methods._sparse_low_rank import keep_zeros, sparse_low_rank
from fr_keras.methods._stepwise import prune_stepwise
from fr_keras.methods._ternary import Ternary
from fr_keras.methods._tucker import tucker, tucker_ranks
from fr_keras.methods._whole_steps import WholeSteps

__all__ = [
    "CRITERIA",
    "AdaptiveFloat",
    "FreqNet",
    "KBit",
    "LayerRanks",
    "MagnitudePruning",
    "Nested",
    "RateTraining",
    "RisingTemperature",
    "SoftFilterPruning",
    "SoftLevels",
    "Ternary",
    "WholeSteps",
    "adaptive_float",
    "elm",
    "keep_zeros",
    "narrow",
    "nest",
    "price_kernels",
    "prune",
    "prune_inactive",
    "prune_stepwise",
    "quantize_kernels",
    "rank",
    "select",
    "sparse_low_rank",
    "tucker",
    "tucker_ranks",
]
