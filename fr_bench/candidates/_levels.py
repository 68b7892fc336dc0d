"""The candidate that trains kernels of three levels."""

import keras

from fr_bench.candidates._candidate import Candidate, Trained
from fr_bench.training import EpochProgress, fit
from fr_keras import bake, methods
from fr_keras.models.walk import plain_kernels


class Ternary(Candidate):
    """Trains the network with `fr_keras.methods.Ternary`, but for its first and last layer.

    All weights get one of three values, so there is no budget of numbers. The files of `compare`
    do not know levels: only the download, which is compressed, gets smaller than that of int8.
    """

    description = (
        "Each kernel but the first and last is trained to three values, of which one is 0 "
        "(Zhu et al. 2017, arXiv 1612.01064)."
    )
    has_budget = False

    def holders(self, keep):
        return None  # the weights would leave their levels

    def train(self, model, data, regime, progress, title) -> Trained:
        keras.utils.set_random_seed(regime.seed)
        few = methods.quantize_kernels(model, methods.Ternary())
        bar = EpochProgress(progress, title, regime.epochs)
        fitted = fit(few, data, regime, (bar,), model)
        plain = bake(few)
        kernels = [kernel for _, kernel in plain_kernels(plain).values()]
        kept = sum(int(keras.ops.count_nonzero(kernel)) for kernel in kernels)
        return Trained(plain, kept, fitted.history, fitted.seconds, fitted.rows)
