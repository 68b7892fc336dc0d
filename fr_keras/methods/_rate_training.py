"""`RateTraining`: the callback that sets the price of a bit while a model trains."""

import bisect
import math
import warnings

import keras
import numpy as np

import fr_archive
from fr_keras.callbacks.batches import attach
from fr_keras.methods._priced import priced_kernels, warn_of_nothing

# With a budget, the price changes every so many batches.
_EVERY = 10
# The budget of a batch falls to `bytes` along this share of the training.
_PATH = 0.6
# A tenth too much for a tenth of the training makes the price grow by e^0.4.
_GAIN = 40.0
# The price also answers a change of the excess at once, or it would swing.
_DAMPING = 2.0
_MOST_EXCESS = 1.0
# The first price makes the loss grow by so much.
_FIRST_SHARE = 0.01
# An epoch has as many where Keras does not know.
_USUAL_BATCHES = 1000
_MOST_RAISES = 1024


class RateTraining(keras.callbacks.Callback):
    """Trains a model of `price_kernels` so that its kernels take few bytes in an archive.

        loss + price * bits,    price = rate,    or    price <- price * (bits / budget)^g

    Each number costs what it takes in the archive, by an estimate. So the training makes numbers
    smaller, steps coarser, and numbers that do not pay for their bits 0: how many are left follows
    from the data. The forward pass has the rounded numbers, in training as in validation.

    With `bytes`, the price follows the estimate: every 10 batches it rises if the estimate is above
    a budget, and falls if it is below. The budget falls from the first estimate to `bytes` in the
    first 60 % of the training. At the end of `fit` the steps are made coarser, all alike, if the
    estimate is still above `bytes`; there is a warning if that was needed.

    When `fit` ends, the weights are set to the rounded ones, which changes no output. The `logs` of
    each epoch get `bytes`, the estimate, and `price`. The price is saved with the weights of the
    model, so a training with `bytes` that is taken up again goes on with it.

    List this callback last, after callbacks that change the weights when `fit` ends. Prefer an
    optimizer such as Adam, whose steps do not depend on the size of gradients: the price of a
    single number is small.

    Args:
        bytes: How many bytes the kernels of the layers with a price may take in an archive, by the
            estimate. The rest of an archive comes on top: biases, statistics, and the names and
            sizes of layers. `save_archive` says how much that is.
        rate: The price of one bit in units of the loss, 0 or more, in place of `bytes`. At 1e-5, a
            kilobyte costs 0.08.

    Raises:
        ValueError: If not exactly one of the arguments is given, or it is out of range; at the
            start of `fit`, if no trainable layer of the model has a price, or `bytes` is less than
            its kernels take with the coarsest steps.

    Warns when `fit` ends, if the steps had to be made coarser for `bytes`, or if a kernel is down
    to one number.

    Example:

    >>> from fr_keras.methods import price_kernels
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    >>> model = price_kernels(model)
    >>> model.compile("adam", "mse")
    >>> x, y = np.ones((4, 8)), np.ones((4, 4))
    >>> history = model.fit(x, y, verbose=0, callbacks=[RateTraining(rate=1e-5)]).history
    >>> 5 < history["bytes"][0] < 30
    True
    >>> f"{history['price'][0]:.0e}"
    '1e-05'

    Source: Oktay et al., "Scalable Model Compression by Entropy Penalized Reparameterization",
    ICLR 2020, arXiv 1906.06624; Girish et al., "LilNetX", ICLR 2023, arXiv 2204.02965. Both work in
    space; in the DCT domain it is new here.
    """

    def __init__(self, bytes: float | None = None, rate: float | None = None):
        super().__init__()
        if (bytes is None) == (rate is None):
            raise ValueError(
                f"Give either `bytes` or `rate`. Received: bytes={bytes!r}, rate={rate!r}"
            )
        if bytes is not None and not (_is_number(bytes) and 0 < bytes < math.inf):
            raise ValueError(f"`bytes` must be a number above 0. Received: bytes={bytes!r}")
        if rate is not None and not (_is_number(rate) and 0 <= rate < math.inf):
            raise ValueError(f"`rate` must be a finite number, 0 or more. Received: rate={rate!r}")
        self.bytes = bytes
        self.rate = rate

    def on_train_begin(self, logs=None):
        self._kernels = priced_kernels(self.model)
        if not self._kernels:
            raise ValueError(
                "`RateTraining` needs a model whose kernels have a price, in trainable layers: "
                "train the one that `fr_keras.methods.price_kernels(model)` returns. "
                f"Received: '{self.model.name}'"
            )
        if self.rate is not None:
            self._set_price(self.rate)
            return
        least = self._with_steps_raised(_MOST_RAISES)
        if self.bytes < least:
            raise ValueError(
                f"`bytes` must be at least {math.ceil(least)}: this model takes as many with one "
                "number other than 0 in each kernel. Raise it, or keep fewer numbers, with "
                f"`regularize(model, start=...)`. Received: bytes={self.bytes}"
            )
        self._set_price(self._price() or _FIRST_SHARE / (8 * self._estimate()))
        self._batches = None
        self._passed = 0  # batches since the price was changed
        self._done = self._excess = 0.0
        self._first = max(self._estimate(), self.bytes)

    def on_epoch_begin(self, epoch, logs=None):
        self._last = -1
        if self.bytes is not None and self._batches is None:
            epochs = self.params.get("epochs", 1) - epoch  # `fit` counts from `initial_epoch`
            self._batches = epochs * (self.params.get("steps") or _USUAL_BATCHES)

    def on_train_batch_end(self, batch, logs=None):
        if self.bytes is None:
            return
        # With `steps_per_execution`, only the last one of several batches is told.
        self._passed, self._last = self._passed + batch - self._last, batch
        if self._passed >= _EVERY or self._passed == self._batches:
            attach(self)
            self._follow(self._estimate(), min(1.0, self._passed / self._batches))
            self._passed = 0

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs["bytes"] = self._estimate()
            logs["price"] = self._price()

    def on_train_end(self, logs=None):
        if self.bytes is not None and self._estimate() > self.bytes:
            self._coarsen()
        for kernel in self._kernels:
            kernel.settle()
        warn_of_nothing(self._kernels)

    def _estimate(self) -> float:
        """The bytes of all kernels in an archive."""
        return sum(kernel.bits() for kernel in self._kernels) / 8

    def _follow(self, estimate: float, share: float) -> None:
        """Changes the price by how far the estimate is above the budget of this batch.

        Args:
            estimate: The bytes of all kernels.
            share: The part of the training that has passed since the last change.
        """
        self._done = min(1.0, self._done + share / _PATH)
        budget = self._first * (self.bytes / self._first) ** self._done
        excess = min(max(math.log(estimate / budget), -_MOST_EXCESS), _MOST_EXCESS)
        change = _GAIN * share * excess + _DAMPING * (excess - self._excess)
        self._excess = excess
        self._set_price(self._price() * math.exp(change))

    def _with_steps_raised(self, number: int) -> float:
        """The estimate if all steps were coarser by so many steps of the archive's scale."""
        steps = [kernel.state["log2_step"] for kernel in self._kernels]
        before = [keras.ops.convert_to_numpy(step) for step in steps]
        self._raise_steps(number)
        try:
            return self._estimate()
        finally:
            for step, value in zip(steps, before, strict=True):
                step.assign(value)

    def _raise_steps(self, number: int) -> None:
        for kernel in self._kernels:
            step = kernel.state["log2_step"]
            step.assign(step + number / fr_archive.STEPS_AN_OCTAVE)

    def _coarsen(self) -> None:
        """Makes all steps coarser, alike and by as little as the budget needs."""
        few = bisect.bisect_left(
            range(_MOST_RAISES), True, key=lambda n: self._with_steps_raised(n) <= self.bytes
        )
        self._raise_steps(few)
        _warn_of_raise(few, self._estimate(), self.bytes)

    def _price(self) -> float:
        return float(keras.ops.convert_to_numpy(self._kernels[0].state["price"]))

    def _set_price(self, price: float) -> None:
        for kernel in self._kernels:
            kernel.state["price"].assign(price)


def _is_number(value) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def _warn_of_raise(raises: int, estimate: float, budget: float) -> None:
    met = estimate <= budget
    warnings.warn(
        f"The kernels took more than `bytes` when the training ended, so their steps were made "
        f"coarser by a factor of {2 ** (raises / fr_archive.STEPS_AN_OCTAVE):.3g}; that is "
        f"{'enough' if met else 'not enough: the coarsest steps still take more'}. "
        f"Received: bytes={budget} for an estimate of {estimate:.0f} now. The network was not "
        "trained with these steps: train for more epochs, or raise `bytes`.",
        stacklevel=3,
    )
