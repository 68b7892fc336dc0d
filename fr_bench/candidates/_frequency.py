"""The candidates for frequency regularization."""

import dataclasses
import time

import keras

from fr_bench.candidates._candidate import Candidate, Need, Trained
from fr_bench.training import EpochProgress, fit, truncation
from fr_keras import order_channels
from fr_keras.models.summaries import summary
from fr_keras.models.twins import regularize


class FrequencyRegularization(Candidate):
    """Trains the network's FR twin under `TailTruncation`."""

    description = (
        "High frequencies of all kernels are cut while the network trains "
        "(Zhao et al. 2023, arXiv 2304.07973)."
    )

    def train(self, model, data, regime, progress, title) -> Trained:
        keras.utils.set_random_seed(regime.seed)
        twin = regularize(model)
        bar = EpochProgress(progress, title, regime.epochs)
        fitted = fit(twin, data, regime, (truncation(regime), bar), model)
        return Trained(twin, summary(twin).kept, fitted.history, fitted.seconds, fitted.rows)


class OrderedFrequency(FrequencyRegularization):
    """Orders the channels of a trained network before its FR twin trains."""

    description = (
        "The channels of a trained network are ordered by likeness, so that low frequencies hold "
        "more of it; then as FR."
    )
    needs = (Need.DATA, Need.LABELS, Need.TRAINED)

    def train(self, model, data, regime, progress, title) -> Trained:
        begin = time.perf_counter()
        ordered = order_channels(model)
        searched = time.perf_counter() - begin
        trained = super().train(ordered, data, regime, progress, title)
        return dataclasses.replace(trained, seconds=trained.seconds + searched)
