"""The network as it is: what every other method must beat."""

import keras

from fr_bench.candidates._method import Method, Trained
from fr_bench.training import EpochProgress, fit
from fr_keras.models.summaries import summary
from fr_keras.models.twins import regularize


class Plain(Method):
    """Trains the network without making it smaller."""

    has_budget = False

    def train(self, model, data, recipe, progress, title) -> Trained:
        keras.utils.set_random_seed(recipe.seed)
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        history = fit(copy, data, recipe, (EpochProgress(progress, title, recipe.epochs),))
        return Trained(copy, summary(regularize(model)).kept, history)
