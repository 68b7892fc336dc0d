"""Frequency regularization: this package's own method."""

import keras

from fr_bench.candidates._method import Method, Trained
from fr_bench.training import EpochProgress, fit, truncation
from fr_keras.models.summaries import summary
from fr_keras.models.twins import regularize


class FrequencyRegularization(Method):
    """Trains the network's FR twin under `TailTruncation`."""

    def train(self, model, data, recipe, progress, title) -> Trained:
        keras.utils.set_random_seed(recipe.seed)
        twin = regularize(model)
        bar = EpochProgress(progress, title, recipe.epochs)
        history = fit(twin, data, recipe, (truncation(recipe), bar))
        return Trained(twin, summary(twin).kept, history)
