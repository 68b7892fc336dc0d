"""The plain network, which every other candidate must beat."""

import keras

from fr_bench.candidates._candidate import Candidate, Trained
from fr_bench.training import EpochProgress, fit
from fr_keras.models.summaries import summary


class Plain(Candidate):
    """Trains the network without making it smaller."""

    description = "The network is trained and keeps its size; the other methods must beat it."
    has_budget = False

    def train(self, model, data, regime, progress, title) -> Trained:
        keras.utils.set_random_seed(regime.seed)
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        fitted = fit(copy, data, regime, (EpochProgress(progress, title, regime.epochs),), model)
        kept = summary(model).to_dict()["kernel_weights"]
        return Trained(copy, kept, fitted.history, fitted.seconds, fitted.rows)
