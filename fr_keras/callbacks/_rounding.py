"""`ArchiveRounding`: the callback that trains coefficients as an archive will hold them."""

from collections.abc import Callable, Mapping

import keras
import numpy as np
from keras import ops

import fr_archive
from fr_keras.layers import FrequencyKernel, Quantizing
from fr_keras.models.walk import named_kernels


class ArchiveRounding(keras.callbacks.Callback):
    """Trains with coefficients in whole steps, so that storing them in coarse steps costs nothing.

    In the batches of `fit`, and in its validation, every trainable FR layer computes with its
    coefficients rounded to the steps that `save_archive(step=...)` chooses. The gradient ignores
    the rounding (straight-through), so small changes of a coefficient add up until it reaches the
    next step. When `fit` ends, the coefficients are set to their rounded values, and
    `save_archive` with the same `step` stores them unchanged.

    A `rate` above 0 adds an estimate of the archive's bits to the loss: `log2(1 + |c| / step)`,
    summed over the coefficients `c` of all layers.

    Between batches nothing is rounded, so other callbacks see and save the unrounded weights. An
    exception also ends the rounding and leaves the trained weights unrounded. Only if a callback
    that is listed after this one raises it at the beginning of a batch, the rounding stays on until
    you call `restore()` or start the next `fit` with an `ArchiveRounding`. List this callback last,
    after callbacks that change the weights when `fit` ends.

    Args:
        step: Step of each coefficient tensor, relative to its Euclidean norm, as in
            `save_archive`: one number, or a dict with one number for each trainable FR layer by its
            name, or by its path, such as `left/fc`, where layers of nested models share a name.
        rate: Cost of one bit in units of the loss; 0 adds no penalty.

    Raises:
        ValueError: If `step` or `rate` is out of range; at the start of `fit`, if the model has no
            trainable FR layer, or if `step` leaves one out or names a layer that is not there.

    Example:

    >>> from fr_keras import regularize
    >>> model = regularize(keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)]), start=9)
    >>> model.compile("sgd", "mse")
    >>> x, y = np.ones((4, 8)), np.ones((4, 4))
    >>> history = model.fit(x, y, verbose=0, callbacks=[ArchiveRounding(step=0.25)])
    >>> len(np.unique(model.layers[0].kept_coefficients())) <= 9
    True

    Source: Bengio et al., "Estimating or Propagating Gradients Through Stochastic Neurons",
    arXiv 1308.3432.
    """

    def __init__(self, step: float | Mapping[str, float], rate: float = 0.0):
        super().__init__()
        for one in step.values() if isinstance(step, Mapping) else [step]:
            if isinstance(one, bool) or not isinstance(one, (int, float)) or not 1e-6 <= one <= 1:
                raise ValueError(
                    f"`step` must be a number from 1e-06 to 1. Received: step={step!r}"
                )
        if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate < np.inf:
            raise ValueError(f"`rate` must be a finite number, 0 or more. Received: rate={rate!r}")
        self.step = step
        self.rate = rate
        self._active = _Switch()

    def on_train_begin(self, logs=None):
        named = named_kernels(self.model)
        if not any(layer.trainable for layer in named.values()):
            raise ValueError(
                "`model` has no trainable FR layers, so there is nothing to round. Convert it with "
                "`fr_keras.regularize(model)` before compile and fit."
            )
        priced = [name for name, layer in named.items() if isinstance(layer, Quantizing)]
        if priced:
            raise ValueError(
                "`model` must not have quantized coefficients, whose steps are trained: train it "
                f"with `fr_keras.methods.RateTraining`. Received: quantized layers {priced}"
            )
        self._steps = self._steps_of(named)
        self.restore()
        for layer, step in self._steps:
            _leave(layer)
            layer.rounding = _Rounding(step, self._active)
            if self.rate:
                before = layer.coefficients.regularizer
                layer.coefficients.regularizer = _Bits(layer, self.rate, before)
        self._forget_functions()
        # `fit` made its functions before it called the callbacks.
        self.model.train_function = self._that_ends("train_function")
        self.model.test_function = self._that_ends("test_function")

    def on_train_batch_begin(self, batch, logs=None):
        self._active.on = True

    def on_test_batch_begin(self, batch, logs=None):
        self._active.on = True

    def on_train_end(self, logs=None):
        self.restore()
        for layer, step in self._steps:
            _leave(layer)
            layer.set_coefficients(_on_grid(layer.kept_coefficients(), step))
        self._forget_functions()

    def restore(self) -> None:
        """Makes the layers compute with unrounded coefficients again."""
        self._active.on = False

    def _that_ends(self, name: str) -> Callable:
        """The function of a batch, changed to end the rounding however the batch ends.

        It is traced once with and once without rounding.
        """
        functions = {}
        for rounds in (False, True):
            getattr(self.model, f"make_{name}")(force=True)
            functions[rounds] = getattr(self.model, name)

        def call(*args):
            try:
                return functions[self._active.on](*args)
            finally:
                self.restore()

        return call

    def _steps_of(self, named: Mapping[str, FrequencyKernel]) -> list:
        """The trainable FR layers, each with its step."""
        trainable = {name: layer for name, layer in named.items() if layer.trainable}
        steps = self.step
        if not isinstance(steps, Mapping):
            steps = dict.fromkeys(trainable, steps)
        if not trainable.keys() <= steps.keys() <= named.keys():
            raise ValueError(
                f"`step` must name every trainable FR layer, {sorted(trainable)}, and only FR "
                f"layers of the model. Received: {sorted(steps)}"
            )
        return [(layer, steps[name]) for name, layer in trainable.items()]

    def _forget_functions(self) -> None:
        """Makes the model trace its functions again, because Keras keeps the compiled ones."""
        self.model.train_function = None
        self.model.test_function = None
        self.model.predict_function = None


class _Switch:
    """Whether the layers round now."""

    on = False


class _Rounding:
    """Rounds coefficients to whole steps during a batch; the gradient ignores it."""

    def __init__(self, step: float, active: _Switch):
        self.step, self.active = step, active

    def __call__(self, coefficients):
        if not self.active.on:
            return coefficients
        whole = _whole_step(coefficients, self.step)
        rounded = ops.round(coefficients / whole) * whole
        return coefficients + ops.stop_gradient(rounded - coefficients)


class _Bits:
    """The penalty on a rounded layer's coefficients during a batch, added to the one before."""

    def __init__(self, layer: FrequencyKernel, rate: float, before: Callable | None):
        self.layer, self.rate, self.before = layer, rate, before

    def __call__(self, coefficients):
        others = ops.zeros(()) if self.before is None else self.before(coefficients)
        if not self.layer.rounding.active.on:
            return others
        kept = self.layer._masked(coefficients)
        sizes = ops.abs(kept) / _whole_step(kept, self.layer.rounding.step)
        return self.rate * ops.sum(ops.log2(1 + sizes)) + others


def _leave(layer: FrequencyKernel) -> None:
    """Removes the rounding and the penalty of this `fit`, or of one that an exception ended."""
    layer.rounding = None
    if isinstance(layer.coefficients.regularizer, _Bits):
        layer.coefficients.regularizer = layer.coefficients.regularizer.before


def _whole_step(coefficients, step: float):
    """The step of an archive that is nearest to the requested one, as a constant."""
    norm = ops.sqrt(ops.sum(ops.square(coefficients)))
    # For zeros any step will do.
    number = ops.log2(ops.maximum(step * norm, 1e-12)) * fr_archive.STEPS_AN_OCTAVE
    return ops.stop_gradient(ops.power(2.0, ops.round(number) / fr_archive.STEPS_AN_OCTAVE))


def _on_grid(coefficients: np.ndarray, step: float) -> np.ndarray:
    """The coefficients in whole steps, as an archive gives them back."""
    norm = float(np.sqrt(np.sum(np.square(coefficients, dtype=np.float64))))
    number = fr_archive.nearest_step(max(step * norm, 1e-12))
    return fr_archive.quantize(coefficients.ravel(), number).reals().reshape(coefficients.shape)
