"""`CapacitySampling`: the callback that trains every prefix of the coefficients at once."""

import math

import keras
import numpy as np

from fr_keras.callbacks.batches import attach
from fr_keras.models.walk import frequency_layers

# The part of the batches that the whole network computes.
_WHOLE = 0.3


class CapacitySampling(keras.callbacks.Callback):
    """Trains a network that also works, at a lower capacity, with only its first coefficients.

    Before each batch a capacity `c` is drawn, and each trainable FR layer computes with the first
    `ceil(c * kept)` of its coefficients. The other coefficients are not lost. They get no gradient
    from this batch, though an optimizer with momentum keeps moving them. The whole network computes
    three batches in ten; for the others, `log(c)` is uniform from `log(least)` to 0. Afterwards
    `load_archive(path, capacity=c)` reads a trained network for every `c` from `least` to 1.

    After each batch the whole network is back, so it is the one that validation sees and that
    callbacks save after an epoch. The training loss in the logs is the loss of the networks drawn.
    With `steps_per_execution=n`, Keras calls no callback between the `n` batches of an execution,
    so they share one capacity.

    Together with `TailTruncation`, in either order, a capacity is a fraction of the coefficients
    kept in that epoch. List this callback before callbacks that save the model within an epoch.
    After an exception within a batch, the layers keep computing with the capacity drawn until you
    call `restore()` or start the next `fit` with this callback.

    The moving averages of a batch normalization mix the statistics of all capacities, and an
    archive holds only one set of them. Use networks without batch normalization, or measure the
    statistics with `interop.calibrate_batch_norm` for each capacity that you load.

    Args:
        least: The smallest capacity that is drawn, above 0 and below 1.
        seed: Seed of the random capacities.

    Raises:
        ValueError: If an argument is out of range; at the start of `fit`, if no FR layer is
            trainable.

    Example:

    >>> from fr_keras import regularize
    >>> plain = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    >>> model = regularize(plain)
    >>> model.compile("sgd", "mse")
    >>> x, y = np.ones((4, 8)), np.ones((4, 4))
    >>> history = model.fit(x, y, epochs=3, verbose=0, callbacks=[CapacitySampling(least=0.2)])
    >>> model.layers[0].kept
    32

    Source: Rippel et al., "Learning Ordered Representations with Nested Dropout", ICML 2014,
    arXiv 1402.0915; Yu et al., "Slimmable Neural Networks", ICLR 2019, arXiv 1812.08928.
    """

    def __init__(self, least: float = 0.1, seed: int = 0):
        super().__init__()
        if isinstance(least, bool) or not isinstance(least, (int, float)) or not 0 < least < 1:
            raise ValueError(
                "`least` must be a fraction above 0 and below 1: to train only the whole network, "
                f"leave this callback out. Received: {least!r}"
            )
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise ValueError(f"`seed` must be a whole number, at least 0. Received: {seed!r}")
        self.least = least
        self.seed = seed
        self._layers = []

    def on_train_begin(self, logs=None):
        self._layers = [layer for layer in frequency_layers(self.model) if layer.trainable]
        if not self._layers:
            raise ValueError(
                "`model` has no trainable FR layers, so there is no capacity to draw. Convert it "
                "with `fr_keras.regularize(model)` before compile and fit."
            )
        self.restore()

    def on_epoch_begin(self, epoch, logs=None):
        # Seeded by epoch, so that a resumed training draws the capacities it would have drawn.
        self._random = np.random.default_rng((self.seed, epoch))

    def on_train_batch_begin(self, batch, logs=None):
        attach(self)
        capacity = self._draw()
        for layer in self._layers:
            layer.limit(math.ceil(capacity * layer.kept))

    def on_train_batch_end(self, batch, logs=None):
        attach(self)
        self.restore()

    # A data set of unknown length ends after a batch has begun; that batch never ends.
    def on_test_begin(self, logs=None):
        self.restore()

    def on_epoch_end(self, epoch, logs=None):
        self.restore()

    def restore(self) -> None:
        """Makes the layers compute with all their kept coefficients again."""
        for layer in self._layers:
            layer.limit()

    def _draw(self) -> float:
        whole, position = self._random.random(2)
        return 1.0 if whole < _WHOLE else self.least**position
