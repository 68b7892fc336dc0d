"""The network as it is: what every other method must beat."""

import keras

from fr_keras.baselines._method import Method, Trained
from fr_keras.regularize import regularize
from fr_keras.summary import summary
from fr_keras.training import EpochProgress, fit


class Plain(Method):
    """Trains the network without making it smaller."""

    has_budget = False

    def train(self, model, data, recipe, progress, title) -> Trained:
        keras.utils.set_random_seed(recipe.seed)
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        history = fit(copy, data, recipe, (EpochProgress(progress, title, recipe.epochs),))
        return Trained(copy, summary(regularize(model)).kept, history)
