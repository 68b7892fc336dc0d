"""The candidate with fewer channels from the start."""

import keras

from fr_bench.candidates._candidate import Candidate, Trained
from fr_bench.training import EpochProgress, fit
from fr_keras import methods
from fr_keras.models.summaries import summary


class Narrow(Candidate):
    """Trains the plain network of `fr_keras.methods.narrow`: the simplest way to a small file."""

    description = (
        "The same network with fewer channels in each layer, trained from the start: what a "
        "method must beat to be worth its trouble."
    )

    def train(self, model, data, regime, progress, title) -> Trained:
        keras.utils.set_random_seed(regime.seed)
        small = methods.narrow(model, regime.keep, "weights")
        bar = EpochProgress(progress, title, regime.epochs)
        fitted = fit(small, data, regime, (bar,), model)
        kept = summary(small).to_dict()["kernel_weights"]
        return Trained(small, kept, fitted.history, fitted.seconds, fitted.rows)
