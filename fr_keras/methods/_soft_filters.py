"""`SoftFilterPruning`: filters that go to zero after each epoch, and may come back."""

import warnings

import keras
import numpy as np

from fr_keras.callbacks.endings import after_all
from fr_keras.methods._budget import Measure, share_or_number
from fr_keras.methods._zeroing import (
    clear,
    energy,
    made,
    offsets,
    refuse_without_scale,
    within,
    without_zeros,
)
from fr_keras.models import channels


class SoftFilterPruning(keras.callbacks.Callback):
    """Sets the weakest filters of each group to zero after each epoch.

    The filters of a group are compared by their L2 norm; where an addition joins channels, by that
    of all filters that make a channel, which go to zero together. The zeros are trained on, so that
    the weakest filters of the next epoch may be others. Behind a ReLU nothing flows back to a
    filter that is exactly zero, so it comes back through the momentum of the optimizer: use one
    that has it, such as Adam.

    Every group keeps the same share of its filters, the largest within the budget. Their numbers
    stay the same, and nothing is kept between epochs: a model that was saved midway continues
    wherever it is. Groups made by frozen layers stay whole.

    With a filter, its biases and the offsets and moving means of its batch normalizations go to
    zero, so that what follows reads zeros. In validation the filters already are zero: its metrics
    are those of the pruned network. List this callback before ModelCheckpoint and
    BackupAndRestore, so that they save the zeros. When `fit` ends, after all other callbacks, the
    weights that read the zero filters go to zero, too: whatever lies between, even a sigmoid, the
    network then computes what the one of `cut` does.

    The `logs` of each epoch get `energy_cut`, the fraction of the squared filters that went to
    zero.

    Args:
        keep: The budget, as for `select`.
        measure: What the budget is counted in, as for `select`.
        floor: The fewest filters that a group keeps, as for `select`.

    Raises:
        ValueError: If an argument is out of range; at the start of `fit`, as `select` does, and if
            a batch normalization without scale is behind filters: their norm has no effect then.

    Example:

    >>> inputs = keras.Input((4,))
    >>> x = keras.layers.Dense(8, "relu", name="hidden")(inputs)
    >>> model = keras.Model(inputs, keras.layers.Dense(2, name="logits")(x))
    >>> model.compile("adam", "mse")
    >>> x, y = np.ones((4, 4)), np.ones((4, 2))
    >>> soft = SoftFilterPruning(keep=0.5)
    >>> history = model.fit(x, y, epochs=3, verbose=0, callbacks=[soft])
    >>> SoftFilterPruning.cut(model).get_layer("hidden").units
    4

    Source: He et al., "Soft Filter Pruning for Accelerating Deep Convolutional Neural Networks",
    IJCAI 2018, arXiv 1808.06866.
    """

    def __init__(
        self, keep: int | float, measure: Measure = "multiply_adds", floor: int | float = 1
    ):
        super().__init__()
        self.keep = share_or_number(keep)
        self.measure = measure
        self.floor = floor
        self._kept: list[tuple[channels.Group, int]] | None = None

    @staticmethod
    def cut(model: keras.Model) -> keras.Model:
        """Returns a copy of a trained model without its zero filters.

        Args:
            model: A model that was trained with this callback, here or in another process.

        Raises:
            ValueError: If no filter is zero.
        """
        return without_zeros(model, "SoftFilterPruning")

    def on_train_begin(self, logs=None):
        found = channels.groups(self.model)
        self._kept = within(self.model, found, self.keep, self.measure, self.floor)
        refuse_without_scale(found, [group for group, _ in self._kept])
        self._energy_cut = 0.0
        self._runs_last = after_all(self.model, self._end)

    def on_epoch_begin(self, epoch, logs=None):
        self._energy_cut = 0.0

    def on_test_begin(self, logs=None):
        if self._kept is not None:  # within a fit
            self._zero()

    def on_epoch_end(self, epoch, logs=None):
        self._zero()
        if logs is not None:
            logs["energy_cut"] = self._energy_cut

    def on_train_end(self, logs=None):
        if not self._runs_last:
            self._end()

    def _zero(self) -> list[tuple[channels.Group, np.ndarray]]:
        """Sets the weakest filters to zero; returns their numbers by group."""
        gone, lost, total = [], 0.0, 0.0
        for group, kept in self._kept:
            squares = energy(group)
            weakest = np.argsort(squares, kind="stable")[: group.size - kept]
            lost, total = lost + squares[weakest].sum(), total + squares.sum()
            gone.append((group, weakest))
            for axis in (*made(group), *offsets(group)):
                clear(axis, weakest)
        self._energy_cut = max(self._energy_cut, float(lost / total) if total else 0.0)
        return gone

    def _end(self) -> None:
        """The last zeroing, after everything that `fit` does."""
        self._energy_cut = 0.0
        for group, weakest in self._zero():
            for axis in group.axes:
                if axis.role == "reads":
                    clear(axis, weakest)
        self._kept = None
        if self._energy_cut:
            warnings.warn(
                "another callback put weights back that are not those after an epoch: the filters "
                f"that had to go to zero held {self._energy_cut:.1%} of the squared weights, and "
                "the metrics are those from before. List SoftFilterPruning before callbacks such "
                "as EarlyStopping(restore_best_weights=True).",
                stacklevel=2,
            )
