"""The candidate for structured pruning."""

import time

import keras

from fr_bench.candidates._candidate import Candidate, Need, Trained
from fr_bench.training import EpochProgress, fit
from fr_keras import methods
from fr_keras.models.summaries import summary

_RANKED = 1_000  # rows that the ranking sees


class ChannelPruning(Candidate):
    """Removes the channels of a trained network that matter least, and trains on."""

    description = (
        "The channels that tell least about the classes are removed from a trained network, which "
        "then trains on (information gain, as in EasiEdge)."
    )
    needs = (Need.DATA, Need.LABELS, Need.TRAINED)

    def train(self, model, data, regime, progress, title) -> Trained:
        keras.utils.set_random_seed(regime.seed)
        rows, begin = data.train.sample(_RANKED), time.perf_counter()
        scores = methods.rank(model, rows, "information")
        small = methods.prune(model, scores, regime.keep, "weights")
        searched = time.perf_counter() - begin
        bar = EpochProgress(progress, title, regime.epochs)
        fitted = fit(small, data, regime, (bar,))
        kept = summary(small).to_dict()["kernel_weights"]
        seconds, seen = fitted.seconds + searched, fitted.rows + len(rows)
        return Trained(small, kept, fitted.history, seconds, seen)
