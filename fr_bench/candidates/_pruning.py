"""The candidate for magnitude pruning."""

import keras

from fr_bench.candidates._candidate import Candidate, Trained
from fr_bench.training import EpochProgress, fit
from fr_keras import methods


class MagnitudePruning(Candidate):
    """Trains the network under `fr_keras.methods.MagnitudePruning`.

    Pruning has the regime's `truncation_epochs` and its own schedule, and keeps as many kernel
    weights as FR keeps coefficients. They are divided among the layers by the rule
    `"erdos_renyi"`, because one sparsity for all layers would leave only a handful to a first
    convolution.
    """

    description = (
        "The smallest weights are set to zero while the network trains "
        "(Zhu and Gupta 2017, arXiv 1710.01878)."
    )

    def train(self, model, data, regime, progress, title) -> Trained:
        keras.utils.set_random_seed(regime.seed)
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        pruning = methods.MagnitudePruning(regime.keep, regime.truncation_epochs)
        bar = EpochProgress(progress, title, regime.epochs)
        fitted = fit(copy, data, regime, (pruning, bar))
        kept = int(fitted.history["kept"][-1])
        return Trained(copy, kept, fitted.history, fitted.seconds, fitted.rows)
