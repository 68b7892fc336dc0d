"""`ArchiveRounding`: the callback that trains coefficients as an archive will hold them."""

import functools
from collections.abc import Mapping

import keras
import numpy as np
from keras import ops

import fr_archive
from fr_keras.layers import FrequencyKernel
from fr_keras.rebuild import frequency_layers

# Of the steps that an archive knows there are so many to the octave.
_STEPS_AN_OCTAVE = 8


class ArchiveRounding(keras.callbacks.Callback):
    """Trains with the coefficients in whole steps: an archive of coarse steps then costs nothing.

    While `fit` runs, every trainable FR layer computes with its coefficients rounded to the steps
    that `save_archive(step=...)` picks. The gradient passes the rounding as if it were not there
    (straight-through), so that a coefficient can collect what it needs to reach the next step. When
    `fit` ends, the rounded values stay in the coefficients: `save_archive` with the same `step`
    takes them as they are.

    A `rate` above 0 adds an estimate of the archive's bits to the loss, `log2(1 + |c| / step)`
    summed over the coefficients `c` of all layers.

    List this callback last, behind those that change the weights when `fit` ends. Checkpoints that
    are written while it runs hold the coefficients unrounded.

    Args:
        step: The steps of each tensor of coefficients, relative to its Euclidean norm, as in
            `save_archive`; one number, or a dict with one for each trainable FR layer by name.
        rate: What a bit costs in units of the loss; 0 for no penalty.

    Raises:
        ValueError: If `step` or `rate` is out of range; at the start of `fit` if the model has no
            trainable FR layer, or one that `step` leaves out.

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

    def on_train_begin(self, logs=None):
        self._layers = [layer for layer in frequency_layers(self.model) if layer.trainable]
        if not self._layers:
            raise ValueError(
                "`model` has no trainable FR layers, so there is nothing to round. Convert it with "
                "`fr_keras.regularize(model)` before compile and fit."
            )
        steps = [self._step_of(layer) for layer in self._layers]
        self._regularizers = [layer.coefficients.regularizer for layer in self._layers]
        for layer, step, regularizer in zip(self._layers, steps, self._regularizers, strict=True):
            layer.rounding = functools.partial(_rounded, step=step)
            if self.rate:
                layer.coefficients.regularizer = self._with_bits(layer, step, regularizer)
        self._forget_functions()
        # `fit` made its function before the callbacks were asked.
        self.model.make_train_function(force=True)

    def on_train_end(self, logs=None):
        for layer, regularizer in zip(self._layers, self._regularizers, strict=True):
            layer.rounding = None
            layer.coefficients.regularizer = regularizer
            layer.set_coefficients(_on_grid(layer.kept_coefficients(), self._step_of(layer)))
        self._forget_functions()

    def _step_of(self, layer: FrequencyKernel) -> float:
        if not isinstance(self.step, Mapping):
            return self.step
        if layer.name not in self.step:
            raise ValueError(
                "`step` must name every trainable FR layer. Received none for "
                f"'{layer.name}', but for: {', '.join(self.step)}"
            )
        return self.step[layer.name]

    def _forget_functions(self) -> None:
        """Has the model trace anew what it computes; Keras keeps the compiled functions."""
        self.model.train_function = None
        self.model.test_function = None
        self.model.predict_function = None

    def _with_bits(self, layer: FrequencyKernel, step: float, regularizer):
        def penalty(coefficients):
            kept = layer._masked(coefficients)
            sizes = ops.abs(kept) / _whole_step(kept, step)
            bits = self.rate * ops.sum(ops.log2(1 + sizes))
            return bits if regularizer is None else bits + regularizer(coefficients)

        return penalty


def _rounded(coefficients, step: float):
    whole = _whole_step(coefficients, step)
    rounded = ops.round(coefficients / whole) * whole
    return coefficients + ops.stop_gradient(rounded - coefficients)


def _whole_step(coefficients, step: float):
    """The step of an archive that is nearest to what is asked for, as a constant."""
    norm = ops.sqrt(ops.sum(ops.square(coefficients)))
    # Of zeros any step will do.
    number = ops.log2(ops.maximum(step * norm, 1e-12)) * _STEPS_AN_OCTAVE
    return ops.stop_gradient(ops.power(2.0, ops.round(number) / _STEPS_AN_OCTAVE))


def _on_grid(coefficients: np.ndarray, step: float) -> np.ndarray:
    """The coefficients in whole steps, as an archive gives them back."""
    norm = float(np.sqrt(np.sum(np.square(coefficients, dtype=np.float64))))
    number = fr_archive.nearest_step(max(step * norm, 1e-12))
    return fr_archive.quantize(coefficients.ravel(), number).reals().reshape(coefficients.shape)
