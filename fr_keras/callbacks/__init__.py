"""Callbacks for `model.fit` that cut, round and measure coefficients while a model trains."""

from fr_keras.callbacks import schedules
from fr_keras.callbacks._bands import BandEnergy, band_energy
from fr_keras.callbacks._capacity import CapacitySampling
from fr_keras.callbacks._rounding import ArchiveRounding
from fr_keras.callbacks._truncation import TailTruncation

__all__ = [
    "ArchiveRounding",
    "BandEnergy",
    "CapacitySampling",
    "TailTruncation",
    "band_energy",
    "schedules",
]
