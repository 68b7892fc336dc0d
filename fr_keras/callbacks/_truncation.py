"""`TailTruncation`: the callback that cuts the high-frequency tail while a model trains."""

import math
import warnings
from collections.abc import Mapping

import keras
import numpy as np

from fr_keras.callbacks import schedules
from fr_keras.callbacks.endings import after_all
from fr_keras.layers import FrequencyKernel
from fr_keras.models.budget import Keep, targets, usable
from fr_keras.models.walk import frequency_layers, named_kernels


class TailTruncation(keras.callbacks.Callback):
    """Lowers the number of kept coefficients, epoch by epoch, to a target.

    In epoch `e`, a layer that starts with `a` coefficients and has the target `b` keeps
    `b + (a - b) * schedule(e - warmup)`. The target is reached in the last of `epochs`; in later
    epochs of `fit`, the final phase, the layers keep exactly their targets.

    Targets and completed epochs are stored in the layers' weights. A model that was saved midway
    continues where it stopped, with or without `initial_epoch`. List this callback before
    ModelCheckpoint and BackupAndRestore, so that they save the completed epoch.

    The best epoch by some metric may come before the target is reached. If a callback chooses
    weights by a metric, let it begin in the final phase:
    `EarlyStopping(start_from_epoch=warmup + epochs)`. There is a warning if the layers keep more
    than their targets when `fit` ends, because it stopped early or because another callback
    restored an earlier epoch. A further `fit` with this callback continues from there. So does one
    from a checkpoint of an earlier epoch, such as that of `ModelCheckpoint` with `save_best_only`,
    which holds the coefficients kept in that epoch.

    The `logs` of each epoch get `kept`, the number of coefficients kept in all layers, and
    `energy_cut`, the fraction of their energy that the cut of this epoch removed.

    Args:
        keep: How many coefficients the trainable FR layers keep in the end: a count for all of
            them (int), a fraction (float), or a dict from layer name to either. Where layers of
            nested models share a name, the dict has their paths, such as `"left/fc"`. Frozen
            layers, and layers that a dict leaves out, are not cut.
        epochs: Number of epochs, after the warm-up, until the target is reached.
        schedule: `"geometric"`, `"linear"`, `"cosine"`, `"cubic"`, `"step"`, `"constant"`, or a
            callable `epoch -> fraction`; see `fr_keras.schedules`.
        start: Fraction of a layer's coefficients that is kept at the start.
        warmup: Number of epochs at the start fraction before the schedule begins.
        floors: The fewest coefficients that a layer gets from a total, or `"frereg"` for the
            floors of that package.
        sharing: How a total is divided: `"proportional"` to the layers' sizes; `"bandwidth"`, so
            that every layer keeps frequencies up to one common limit; or `"erdos_renyi"`; see
            `fr_keras.models.budget`.

    Raises:
        ValueError: If an argument is out of range; at the start of `fit`, if `keep` does not fit
            the model.

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
            raise ValueError(
                f"`start` must be a fraction above 0 and at most 1. Received: {start!r}"
            )
        if isinstance(warmup, bool) or not isinstance(warmup, int) or warmup < 0:
            raise ValueError(
                f"`warmup` must be a whole number of epochs, 0 or more. Received: {warmup!r}"
            )
        self.keep = keep
        self.epochs = epochs
        self.schedule = schedules.get(schedule, epochs)
        self.start = start
        self.warmup = warmup
        self.floors = floors
        self.sharing = sharing

    def on_train_begin(self, logs=None):
        named = {n: layer for n, layer in named_kernels(self.model).items() if layer.trainable}
        if not named:
            raise ValueError(
                "`model` has no trainable FR layers, so there is no tail to cut. Convert it with "
                "`fr_keras.regularize(model)` before compile and fit."
            )
        counts = targets(named, self.keep, self.floors, self.sharing)
        pairs = [(named[name], target) for name, target in counts.items()]
        if any(layer.truncation["target"] != target for layer, target in pairs):
            self._plan({name: named[name] for name in counts}, counts)
            if not isinstance(self.keep, Mapping):
                _warn_of_single(pairs)
        self._pairs = pairs
        self._offset = None
        self._completed = 0
        self._looks_again = after_all(self.model, self._check)

    def _plan(self, named: Mapping[str, FrequencyKernel], counts: Mapping[str, int]) -> None:
        starts = {}
        for name, layer in named.items():
            size = math.prod(layer.spectrum_shape)
            starts[name] = min(layer.kept, max(1, round(self.start * size)))
            if counts[name] > starts[name]:
                raise ValueError(
                    "`keep` must not be above the start, from which coefficients are only cut: "
                    f"layer '{name}' starts with {starts[name]}. Received: {counts[name]}"
                )
        for name, layer in named.items():
            layer.plan(starts[name], counts[name])

    def on_epoch_begin(self, epoch, logs=None):
        if self._offset is None:
            # The layers know how far the schedule is, whatever epoch this fit begins with.
            states = [layer.truncation for layer, _ in self._pairs]
            self._offset = states[0]["epochs"] - epoch
            self._starts = [state["start"] for state in states]
        position = epoch + self._offset - self.warmup
        fraction = self.schedule(max(position, 0)) if position < self.epochs - 1 else 0.0
        before = after = 0.0
        for (layer, target), start in zip(self._pairs, self._starts, strict=True):
            kept = target + round((start - target) * fraction)
            before += _energy(layer)
            layer.truncate(min(kept, layer.kept))
            after += _energy(layer)
        self._energy_cut = 1.0 - after / before if before else 0.0

    def on_epoch_end(self, epoch, logs=None):
        self._completed = epoch + self._offset + 1
        for (layer, target), start in zip(self._pairs, self._starts, strict=True):
            layer.plan(start, target, self._completed)
        if logs is not None:
            logs["kept"] = sum(layer.kept for layer in frequency_layers(self.model))
            logs["energy_cut"] = self._energy_cut

    def on_train_end(self, logs=None):
        self._zero()
        if not self._looks_again:
            self._check()

    def _zero(self) -> None:
        """Sets cut coefficients to zero: momentum has moved them, and zeros compress well."""
        for layer, _ in self._pairs:
            layer.truncate(layer.kept)

    def _check(self) -> None:
        """Warns if layers keep more than their targets after everything that `fit` does."""
        self._zero()
        above = [layer for layer, target in self._pairs if layer.kept > target]
        if not above:
            return
        epochs = min(layer.truncation["epochs"] for layer in above)
        what = (
            "fit ended before the truncation did"
            if epochs == self._completed
            else f"after {self._completed} epochs of the truncation another callback, such as "
            f"EarlyStopping(restore_best_weights=True), restored the weights of epoch {epochs}"
        )
        warnings.warn(
            f"{what}: {len(above)} layers keep more than their targets, and all layers together "
            f"keep {sum(layer.kept for layer, _ in self._pairs)} coefficients instead of "
            f"{sum(target for _, target in self._pairs)}. Train at least warmup + epochs = "
            f"{self.warmup + self.epochs} epochs, and choose weights only from later ones, for "
            f"example with EarlyStopping(start_from_epoch={self.warmup + self.epochs}). A further "
            "fit with the same callback continues from here.",
            stacklevel=2,
        )


def _warn_of_single(pairs: list[tuple[FrequencyKernel, int]]) -> None:
    """Warns of layers that are to keep one coefficient, so that all kernel weights are equal."""
    single = [layer for layer, target in pairs if target == 1 < math.prod(layer.spectrum_shape)]
    if single:
        warnings.warn(
            f"`keep` is so small that {len(single)} of {len(pairs)} layers will keep a single "
            "coefficient. Such a layer gives all its inputs the same weight, and all its outputs "
            f"are equal. A sensible minimum is about {sum(usable(layer) for layer, _ in pairs)}, "
            "which keeps the coefficients with an index sum of at most 2. Keep more, set "
            "`floors=`, or give `keep` as a dict. "
            f"Received: {sum(target for _, target in pairs)} coefficients for all layers",
            stacklevel=2,
        )


def _energy(layer: FrequencyKernel) -> float:
    return float(np.sum(np.square(layer.kept_coefficients(), dtype=np.float64)))
