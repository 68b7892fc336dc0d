"""`TailTruncation`: the callback that cuts the high-frequency tail while a model trains."""

import math
import warnings

import keras
import numpy as np

from fr_keras import schedules
from fr_keras.layers import FrequencyKernel
from fr_keras.rebuild import frequency_layers
from fr_keras.sharing import Keep, targets


class TailTruncation(keras.callbacks.Callback):
    """Lowers the number of kept coefficients, epoch by epoch, to a target.

    In epoch `e` a layer with `a` coefficients at the start and the target `b` keeps
    `b + (a - b) * schedule(e - warmup)`. The target is reached in the last of `epochs`; what
    `fit` trains beyond is the final phase at constant kept.

    Targets and completed epochs are stored in the layers' weights. A model that was saved in the
    middle continues where it stopped, with `initial_epoch` or without. List this callback before
    ModelCheckpoint and BackupAndRestore, so that they save the completed epoch.

    The best epoch by any metric may lie before the target. Where weights are chosen by a metric,
    let the choice begin in the final phase: `EarlyStopping(start_from_epoch=warmup + epochs)`.

    Each epoch's `logs` get `kept`, the coefficients kept in all layers, and `energy_cut`, the
    fraction of the energy that this epoch's cut removed from them.

    Args:
        keep: What the trainable FR layers keep in the end: a count for all of them (int), a
            fraction (float), or a dict from layer name to either. Layers that a dict leaves out
            and frozen layers are not touched.
        epochs: Number of epochs, after the warm-up, in which the target is reached.
        schedule: `"geometric"`, `"linear"`, `"cosine"`, `"step"`, `"constant"`, or a callable
            `epoch -> fraction`; see `fr_keras.schedules`.
        start: Fraction of a layer's coefficients that is kept at the start.
        warmup: Epochs at the start fraction before the schedule begins.
        floors: The least a layer gets from a total, or `"frereg"`.
        sharing: How a total is shared: `"proportional"` to the layers' sizes, `"bandwidth"`, the
            same highest frequency in every layer, or `"erdos_renyi"`; see `fr_keras.sharing`.

    Raises:
        ValueError: For an argument out of range; at the start of `fit` for a `keep` that does
            not fit the model.

    Example:

    >>> from fr_keras import regularize
    >>> plain = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    >>> model = regularize(plain)
    >>> model.compile("sgd", "mse")
    >>> x, y = np.ones((4, 8)), np.ones((4, 4))
    >>> history = model.fit(x, y, epochs=3, verbose=0, callbacks=[TailTruncation(5, epochs=3)])
    >>> history.history["kept"]
    [32, 6, 5]

    Source: Zhao et al., "Frequency Regularization", IEEE Access 2023, arXiv 2304.07973.
    """

    def __init__(
        self,
        keep: Keep,
        epochs: int,
        schedule: str | schedules.Schedule = "geometric",
        start: float = 1.0,
        warmup: int = 0,
        floors: int | str = 1,
        sharing: str = "bandwidth",
    ):
        super().__init__()
        if not isinstance(start, (int, float)) or isinstance(start, bool) or not 0 < start <= 1:
            raise ValueError(f"`start` must be a fraction above 0, at most 1. Received: {start!r}")
        if isinstance(warmup, bool) or not isinstance(warmup, int) or warmup < 0:
            raise ValueError(f"`warmup` must be a whole number of epochs. Received: {warmup!r}")
        self.keep = keep
        self.epochs = epochs
        self.schedule = schedules.get(schedule, epochs)
        self.start = start
        self.warmup = warmup
        self.floors = floors
        self.sharing = sharing

    def on_train_begin(self, logs=None):
        layers = [layer for layer in frequency_layers(self.model) if layer.trainable]
        if not layers:
            raise ValueError(
                "`model` has no trainable FR layers, so there is no tail to cut. Convert it with "
                "`fr_keras.regularize(model)` before compile and fit."
            )
        pairs = targets(layers, self.keep, self.floors, self.sharing)
        self._layers = [layer for layer, _ in pairs]
        if any(layer.truncation["target"] != target for layer, target in pairs):
            self._plan(pairs)
        self._offset = None

    def _plan(self, pairs: list[tuple[FrequencyKernel, int]]) -> None:
        starts = []
        for layer, target in pairs:
            size = math.prod(layer.spectrum_shape)
            starts.append(min(layer.kept, max(1, round(self.start * size))))
            if target > starts[-1]:
                raise ValueError(
                    f"`keep` must not be above the start: layer '{layer.name}' starts with "
                    f"{starts[-1]} coefficients. Received: {target}"
                )
        for (layer, target), start in zip(pairs, starts, strict=True):
            layer.plan(start, target)

    def on_epoch_begin(self, epoch, logs=None):
        if self._offset is None:
            # The layers know how far the schedule is, whatever number this fit begins with.
            self._offset = self._layers[0].truncation["epochs"] - epoch
        position = epoch + self._offset - self.warmup
        fraction = self.schedule(max(position, 0)) if position < self.epochs - 1 else 0.0
        before = after = 0.0
        for layer in self._layers:
            state = layer.truncation
            kept = state["target"] + round((state["start"] - state["target"]) * fraction)
            before += _energy(layer)
            layer.truncate(min(kept, state["kept"]))
            after += _energy(layer)
        self._energy_cut = 1.0 - after / before if before else 0.0

    def on_epoch_end(self, epoch, logs=None):
        for layer in self._layers:
            state = layer.truncation
            layer.plan(state["start"], state["target"], epoch + self._offset + 1)
        if logs is not None:
            logs["kept"] = sum(layer.kept for layer in frequency_layers(self.model))
            logs["energy_cut"] = self._energy_cut

    def on_train_end(self, logs=None):
        for layer in self._layers:
            state = layer.truncation
            # Momentum moved what was cut; zeros say what the network is, and compress.
            layer.truncate(state["kept"])
            if state["kept"] > state["target"]:
                warnings.warn(
                    f"fit ended before the truncation did: layer '{layer.name}' keeps "
                    f"{state['kept']} coefficients, its target is {state['target']}. Train at "
                    f"least warmup + epochs = {self.warmup + self.epochs} epochs; a further fit "
                    "with the same callback continues.",
                    stacklevel=2,
                )


def _energy(layer: FrequencyKernel) -> float:
    return float(np.sum(np.square(layer.kept_coefficients(), dtype=np.float64)))
