"""The candidate for magnitude pruning."""

import keras
from keras import ops

from fr_bench.candidates._candidate import Candidate, Trained
from fr_bench.training import EpochProgress, fit
from fr_keras import methods
from fr_keras.callbacks.batches import attach


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

    def holders(self, keep):
        return (_Zeros(),)

    def train(self, model, data, regime, progress, title) -> Trained:
        keras.utils.set_random_seed(regime.seed)
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        pruning = methods.MagnitudePruning(regime.keep, regime.truncation_epochs)
        bar = EpochProgress(progress, title, regime.epochs)
        fitted = fit(copy, data, regime, (pruning, bar))
        kept = int(fitted.history["kept"][-1])
        return Trained(copy, kept, fitted.history, fitted.seconds, fitted.rows)


class _Zeros(keras.callbacks.Callback):
    """Keeps the zeros of kernels, also where `MagnitudePruning` does not know the layers."""

    def on_train_begin(self, logs=None):
        kernels = [one for one in self.model.trainable_variables if len(one.shape) > 1]
        self._masks = [(one, ops.cast(ops.not_equal(one, 0), one.dtype)) for one in kernels]

    def on_train_batch_end(self, batch, logs=None):
        attach(self)
        for kernel, mask in self._masks:
            kernel.assign(kernel * mask)
