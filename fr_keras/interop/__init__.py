"""Networks that other packages trained: `frereg` and FreqNet, and batch-norm statistics."""

from fr_keras.interop._freqnet import load_freqnet
from fr_keras.interop._frereg import load_frereg
from fr_keras.models.calibration import Calibration, calibrate_batch_norm

__all__ = ["Calibration", "calibrate_batch_norm", "load_freqnet", "load_frereg"]
