"""The candidate for frequency regularization."""

import keras

from fr_bench.candidates._candidate import Candidate, Trained
from fr_bench.training import EpochProgress, fit, truncation
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
        fitted = fit(twin, data, regime, (truncation(regime), bar))
        return Trained(twin, summary(twin).kept, fitted.history, fitted.seconds, fitted.rows)
