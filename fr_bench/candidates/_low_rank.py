"""The candidate for low rank."""

import time

import keras

from fr_bench.candidates._candidate import Candidate, Need, Trained
from fr_bench.training import EpochProgress, fit
from fr_keras import methods
from fr_keras.models.summaries import summary

_SEEN = 256  # rows on which the outputs of the layers are fitted


class Tucker(Candidate):
    """Factors the kernels of a trained network, and trains on."""

    description = (
        "The kernels of a trained network become chains of smaller ones with nearly the same "
        "outputs, which then train on (Kim et al. 2016, arXiv 1511.06530)."
    )
    needs = (Need.DATA, Need.LABELS, Need.TRAINED)

    def train(self, model, data, regime, progress, title) -> Trained:
        keras.utils.set_random_seed(regime.seed)
        rows, begin = data.train.sample(_SEEN), time.perf_counter()
        small = methods.tucker(model, regime.keep, rows)
        searched = time.perf_counter() - begin
        bar = EpochProgress(progress, title, regime.epochs)
        fitted = fit(small, data, regime, (bar,), model)
        kept = summary(small).to_dict()["kernel_weights"]
        seconds, seen = fitted.seconds + searched, fitted.rows + len(rows)
        return Trained(small, kept, fitted.history, seconds, seen)
