"""The candidate that trains as FreqNet does."""

import keras

from fr_bench.candidates._candidate import Candidate, Trained
from fr_bench.training import EpochProgress, fit
from fr_keras import methods
from fr_keras.models.summaries import summary


class FreqNet(Candidate):
    """Trains the network under `fr_keras.methods.FreqNet` and cuts it to the narrow one."""

    description = (
        "The last channels of each layer are cut while the network trains, which is what a FreqNet "
        "does (Zhao, Dong and Basu 2024, arXiv 2410.04342)."
    )

    def train(self, model, data, regime, progress, title) -> Trained:
        keras.utils.set_random_seed(regime.seed)
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        cutting = methods.FreqNet(
            regime.keep, regime.truncation_epochs, regime.schedule, measure="weights"
        )
        bar = EpochProgress(progress, title, regime.epochs)
        fitted = fit(copy, data, regime, (cutting, bar), model)
        kept, whole = fitted.history["kept"][-1], summary(model).to_dict()["kernel_weights"]
        small = methods.FreqNet.cut(copy) if kept < whole else copy
        kept = summary(small).to_dict()["kernel_weights"]
        return Trained(small, kept, fitted.history, fitted.seconds, fitted.rows)
