"""`MagnitudePruning`: the callback that sets the smallest weights to zero while a model trains."""

import warnings

import keras
import numpy as np

from fr_keras.callbacks import schedules
from fr_keras.callbacks.batches import attach
from fr_keras.callbacks.endings import after_all
from fr_keras.layers import numbers
from fr_keras.methods._pruned import PrunedKernel, prunable
from fr_keras.models.budget import Keep, targets
from fr_keras.models.walk import plain_kernels

_SHARINGS = ("erdos_renyi", "proportional")


class MagnitudePruning(keras.callbacks.Callback):
    """Sets the smallest weights of a plain Keras model to zero, epoch by epoch, down to a target.

    When epoch `e` begins, a kernel of `n` weights with the target `b` keeps its

        b + (n - b) * schedule(e),    by default schedule(e) = (1 - e / (epochs - 1))^3,

    largest ones in magnitude, and never one again that was cut. The others become zero, and become
    zero again after each batch. The target is reached in the last of `epochs`; in later epochs the
    same weights are kept. With `steps_per_execution`, a batch is as many steps.

    Pruned are the kernels and embeddings that `regularize` would convert, also in nested models and
    `TimeDistributed`. Biases and normalizations are not. Files stay as large as they were, but
    compress well.

    The callback remembers what it cut: a further `fit` with it continues. A new one, for a model
    from a file or a backup, takes the place in the schedule from the number of the epoch, that is
    from `initial_epoch` or BackupAndRestore, and finds the zeros again. To go on training a pruned
    model, use the same `keep` with `epochs=1`. List this callback before those that save weights.

    If another callback brings back weights of an epoch that had kept more, they are cut like those
    of the last epoch, with a warning. There also is one if `fit` ends before the target is reached.

    The `logs` of each epoch get `kept`, the number of kernel weights that are not zero.

    Args:
        keep: How many weights the trainable kernels keep in the end: a count for all of them (int),
            a fraction (float), or a dict from layer name to either. Where layers of nested models
            share a name, the dict has their paths, such as `"left/fc"`. The kernels of a layer with
            several have names such as `"separable_pointwise_kernel"` or `"attention_query"`.
            Frozen layers, and layers that a dict leaves out, are not pruned.
        epochs: Number of epochs until the target is reached.
        schedule: The name of a schedule, or a callable `epoch -> fraction`; see
            `fr_keras.schedules`.
        sharing: How a total is divided: `"erdos_renyi"`, in proportion to the sum of a kernel's
            axis lengths, so that small kernels keep more of their weights, where a Dense after a
            Flatten has the axes of the tensor that was flattened; or `"proportional"` to the sizes.

    Raises:
        ValueError: If an argument is out of range; at the start of `fit`, if the model has FR
            layers, no trainable kernel, or one that LoRA adapts, or `keep` does not fit it.

    Example:

    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4, name="dense")])
    >>> model.compile("sgd", "mse")
    >>> x, y = keras.ops.ones((4, 8)), keras.ops.ones((4, 4))
    >>> pruning = MagnitudePruning(keep=0.25, epochs=3)
    >>> model.fit(x, y, epochs=4, verbose=0, callbacks=[pruning]).history["kept"]
    [32, 11, 8, 8]
    >>> int(np.count_nonzero(model.get_layer("dense").get_weights()[0]))
    8

    Source: Zhu and Gupta, "To prune, or not to prune", 2017, arXiv 1710.01878; `"erdos_renyi"`:
    Evci et al., "Rigging the lottery", ICML 2020, arXiv 1911.11134.
    """

    def __init__(
        self,
        keep: Keep,
        epochs: int,
        schedule: str | schedules.Schedule = "cubic",
        sharing: str = "erdos_renyi",
    ):
        super().__init__()
        if sharing not in _SHARINGS:
            raise ValueError(f"`sharing` must be one of {_SHARINGS}. Received: {sharing!r}")
        self.keep = keep
        self.epochs = epochs
        self.schedule = schedules.get(schedule, epochs)
        self.sharing = sharing
        self._pruned: list[PrunedKernel] = []
        self._running = False  # after an exception it stays true

    def on_train_begin(self, logs=None):
        kernels = prunable(self.model, self.keep)
        counts = targets(kernels, self.keep, sharing=self.sharing)
        if not self._running and not all(one.is_cut() for one in self._pruned):
            self._pruned = []  # these weights are of another training
        known = {id(one.kernel): one for one in self._pruned}
        self._pruned = [known.get(id(kernels[n].kernel), kernels[n]) for n in counts]
        for one, target in zip(self._pruned, counts.values(), strict=True):
            one.target = target
        if not any(id(one.kernel) in known for one in self._pruned):
            self._completed = None
        self._running = True
        self._offset = None
        self._came_back = False
        self._looks_again = after_all(self.model, self._check)

    def on_epoch_begin(self, epoch, logs=None):
        if self._offset is None:
            self._offset = 0 if self._completed is None else self._completed - epoch
        position = epoch + self._offset
        fraction = self.schedule(position) if position < self.epochs - 1 else 0.0
        for one in self._pruned:
            one.cut(one.target + round((one.size - one.target) * fraction))
        self._zero()

    def on_train_batch_end(self, batch, logs=None):
        attach(self)
        self._zero()

    def on_epoch_end(self, epoch, logs=None):
        self._completed = epoch + self._offset + 1
        if logs is not None:
            kernels = (numbers(kernel) for _, kernel in plain_kernels(self.model).values())
            logs["kept"] = int(sum(map(np.count_nonzero, kernels)))

    def on_train_end(self, logs=None):
        self._end()
        if not self._looks_again:
            self._check()

    def _zero(self) -> None:
        for one in self._pruned:
            one.zero()

    def _end(self) -> None:
        # An average of weights also holds what was cut, and Keras puts it in place when fit ends.
        optimizer = getattr(self.model, "optimizer", None)
        averages = getattr(getattr(optimizer, "inner_optimizer", optimizer), "use_ema", False)
        self._came_back |= not averages and not all(one.is_cut() for one in self._pruned)
        self._zero()

    def _check(self) -> None:
        """Cuts again after everything that `fit` does, and warns of what was not trained so."""
        self._end()
        self._running = False
        if self._came_back:
            first = max(0, self.epochs - 1 - (self._offset or 0))
            warnings.warn(
                "another callback, such as EarlyStopping(restore_best_weights=True), restored the "
                "weights of an epoch in which more were kept. They are cut like those of the last "
                "epoch, but did not train so. Choose weights only from epochs at the target, for "
                f"example with EarlyStopping(start_from_epoch={first}).",
                stacklevel=2,
            )
        if any(one.kept > one.target for one in self._pruned):
            warnings.warn(
                "fit ended before the pruning did: the pruned kernels keep "
                f"{sum(one.kept for one in self._pruned)} weights instead of "
                f"{sum(one.target for one in self._pruned)}. Train at least epochs = {self.epochs} "
                "epochs. A further fit with the same callback continues from here.",
                stacklevel=2,
            )
