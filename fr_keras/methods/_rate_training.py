"""`RateTraining`: the callback that sets the price of a bit while a model trains."""

import math
import warnings

import keras
import numpy as np
from keras import ops

from fr_keras.layers import Quantizing
from fr_keras.methods._whole_steps import WholeSteps
from fr_keras.models.walk import named_layers

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
_STEPS_AN_OCTAVE = 8
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
            start of `fit`, if no layer of the model has a price, or `bytes` is less than its
            kernels take with the coarsest steps.

    Warns when `fit` ends, if the steps had to be made coarser for `bytes`, or if a kernel is down
    to one number.

    Example:

    >>> from fr_keras.methods import price_kernels
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    >>> model = price_kernels(model)
    >>> model.compile("adam", "mse")
    >>> x, y = np.ones((4, 8)), np.ones((4, 4))
    >>> history = model.fit(x, y, verbose=0, callbacks=[RateTraining(rate=1e-5)]).history
    >>> 5 < history["bytes"][0] < 30, np.round(history["price"][0], 6)
    (True, np.float64(1e-05))

    Source: Oktay et al., "Scalable Model Compression by Entropy Penalized Reparameterization",
    ICLR 2020, arXiv 1906.06624; Girish et al., "LilNetX", ICLR 2023, arXiv 2204.02965. Both work in
    space; in the DCT domain it is new here.
    """

    def __init__(self, bytes: float | None = None, rate: float | None = None):  # noqa: A002
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
        self._kernels = _priced(self.model)
        if not self._kernels:
            raise ValueError(
                "`RateTraining` needs a model whose kernels have a price: train the one that "
                f"`fr_keras.methods.price_kernels(model)` returns. Received: '{self.model.name}'"
            )
        if self.rate is not None:
            self._set_price(self.rate)
            return
        least = self._with_steps_raised(2 * _MOST_RAISES)
        if self.bytes < least:
            raise ValueError(
                f"`bytes` must be at least {math.ceil(least)}: this model takes as many with one "
                "number other than 0 in each kernel. Raise it, or keep fewer numbers, with "
                f"`regularize(model, start=...)`. Received: bytes={self.bytes}"
            )
        self._set_price(self._price() or _FIRST_SHARE / (8 * self._estimate()))
        batches = (self.params.get("steps") or _USUAL_BATCHES) * self.params.get("epochs", 1)
        self._share = min(1.0, _EVERY / batches)
        self._done = self._excess = 0.0
        self._first = max(self._estimate(), self.bytes)

    def on_train_batch_end(self, batch, logs=None):
        if self.bytes is not None and batch % _EVERY == _EVERY - 1:
            self._follow(self._estimate())

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs["bytes"] = self._estimate()
            logs["price"] = self._price()

    def on_train_end(self, logs=None):
        raises = 0
        while self.bytes is not None and self._with_steps_raised(raises) > self.bytes:
            raises += 1
            if raises > _MOST_RAISES:
                break
        if raises:
            self._raise_steps(raises)
            _warn_of_raise(raises, self._estimate(), self.bytes)
        for layer, name in self._kernels.values():
            _settle(layer, name)
        _warn_of_nothing(self._kernels)

    def _estimate(self) -> float:
        """The bytes of all kernels in an archive."""
        return sum(_bits(layer, name) for layer, name in self._kernels.values()) / 8

    def _follow(self, estimate: float) -> None:
        """Changes the price by how far the estimate is above the budget of this batch."""
        self._done = min(1.0, self._done + self._share / _PATH)
        budget = self._first * (self.bytes / self._first) ** self._done
        excess = min(max(math.log(estimate / budget), -_MOST_EXCESS), _MOST_EXCESS)
        change = _GAIN * self._share * excess + _DAMPING * (excess - self._excess)
        self._excess = excess
        self._set_price(self._price() * math.exp(change))

    def _with_steps_raised(self, number: int) -> float:
        """The estimate if all steps were coarser by so many steps of the archive's scale."""
        self._raise_steps(number)
        try:
            return self._estimate()
        finally:
            self._raise_steps(-number)

    def _raise_steps(self, number: int) -> None:
        for layer, name in self._kernels.values():
            step = layer.state_of(name)["log2_step"]
            step.assign(step + number / _STEPS_AN_OCTAVE)

    def _price(self) -> float:
        layer, name = next(iter(self._kernels.values()))
        return float(ops.convert_to_numpy(layer.state_of(name)["price"]))

    def _set_price(self, price: float) -> None:
        for layer, name in self._kernels.values():
            layer.state_of(name)["price"].assign(price)


def _is_number(value) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def _priced(model: keras.Model) -> dict[str, tuple[Quantizing, str]]:
    """The kernels that have a price: their layers and their names in these, by a name for users."""
    return {
        name if len(layer.kernel_names) == 1 else f"{name}/{kernel}": (layer, kernel)
        for name, layer in named_layers(model).items()
        if isinstance(layer, Quantizing) and isinstance(layer.quantizer, WholeSteps)
        for kernel in layer.kernel_names
    }


def _bits(layer: Quantizing, name: str) -> float:
    bits = layer.quantizer.bits(*layer.numbers_of(name), layer.state_of(name))
    return float(ops.convert_to_numpy(bits))


def _settle(layer: Quantizing, name: str) -> None:
    """Sets a kernel to the rounded one, and its step to the one that it was rounded with."""
    values, _ = layer.numbers_of(name)
    state = layer.state_of(name)
    step = ops.log2(layer.quantizer.step_of(values, state))
    layer.exact_kernel(name).assign(layer.quantized(name))
    state["log2_step"].assign(step)


def _warn_of_raise(raises: int, estimate: float, budget: float) -> None:
    met = estimate <= budget
    warnings.warn(
        f"The kernels took more than `bytes` when the training ended, so their steps were made "
        f"coarser by a factor of {2 ** (raises / _STEPS_AN_OCTAVE):.3g}; that is "
        f"{'enough' if met else 'not enough: the coarsest steps still take more'}. "
        f"Received: bytes={budget} for an estimate of {estimate:.0f} now. The network was not "
        "trained with these steps: train for more epochs, or raise `bytes`.",
        stacklevel=3,
    )


def _warn_of_nothing(kernels: dict[str, tuple[Quantizing, str]]) -> None:
    few = []
    for key, (layer, name) in kernels.items():
        kernel = layer.quantized(name)
        if math.prod(kernel.shape) > 1 and int(ops.count_nonzero(kernel)) <= 1:
            few.append(key)
    if few:
        warnings.warn(
            f"The kernels of {few} are down to one number, which is kept so that they do not "
            "vanish: at this price they hardly pay. Lower the price, or remove these layers or "
            "leave them out with `exclude`.",
            stacklevel=3,
        )
