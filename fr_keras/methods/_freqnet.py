"""`FreqNet`: a plain network that trains as FreqNet does, and becomes the narrow one it ends as."""

import warnings

import keras
import numpy as np
from keras import ops

from fr_keras.callbacks import schedules
from fr_keras.callbacks.batches import attach
from fr_keras.callbacks.endings import after_all
from fr_keras.layers import numbers
from fr_keras.methods._budget import Measure, share_or_number
from fr_keras.methods._zeroing import made, offsets, within, without_zeros
from fr_keras.models import channels
from fr_keras.models.walk import plain_kernels


class FreqNet(keras.callbacks.Callback):
    """Cuts the last channels of each group while a plain model trains: FreqNet without transforms.

    FreqNet holds kernels `C` in the DCT domain of the channels, and normalizes and activates the
    transformed outputs. With orthonormal transforms `B`, two layers compute

        a(B2 (B2^T C2 B1) B1^T a(B1 (B1^T C1 x))) = a(C2 a(C1 x)),

    because the transforms cancel; `a` is the normalization with the activation, `x` the input. So a
    FreqNet *is* the plain network whose kernels are its coefficients and whose channels are its
    frequencies, and to cut high frequencies is to cut the last channels. What is left of the method
    is how it trains: from all channels, which fall away in a fixed order, to the narrow network of
    `cut`. The network of `narrow` has the same shape and is trained so from the start: compare with
    it.

    A trained network can begin as it is, because its channels are the frequencies of a FreqNet that
    computes the same. To transform its kernels first would be wrong: the activations would act
    on other numbers, so that not even the whole network would compute what it had learnt. Their
    order has no meaning; `models.channels.order` puts first what should stay.

    When epoch `e` begins, a group of `n` channels with the target `b` keeps its first
    `b + (n - b) * schedule(e)`. All weights that make, shift or read the others are zero, and
    become zero again after each batch. Every group has the same share as its target, the largest
    within the budget; groups made by frozen layers stay whole. In the network of FreqNet, a channel
    that was cut still gives a constant, the offset of its normalization. Here it gives zero, and
    what the next layer needs of the constant its bias has to learn.

    The place in the schedule is the number of the epoch, so with BackupAndRestore or
    `initial_epoch` it goes on where it was. The `logs` of each epoch get `kept`, the number of
    kernel weights that are not zero. Of a `keras.distillation.Distiller`, the student is cut.

    Args:
        keep: The budget, as for `select`.
        epochs: Number of epochs until the target is reached.
        schedule: The name of a schedule, or a callable `epoch -> fraction`; see
            `fr_keras.schedules`.
        measure: What the budget is counted in, as for `select`.
        floor: The fewest channels that a group keeps, as for `select`.

    Raises:
        ValueError: If an argument is out of range; at the start of `fit`, as `select` does.

    Example:

    >>> inputs = keras.Input((4,))
    >>> x = keras.layers.Dense(8, "relu", name="hidden")(inputs)
    >>> model = keras.Model(inputs, keras.layers.Dense(2, name="logits")(x))
    >>> model.compile("adam", "mse")
    >>> x, y = np.ones((4, 4)), np.ones((4, 2))
    >>> freqnet = FreqNet(keep=0.5, epochs=2)
    >>> model.fit(x, y, epochs=3, verbose=0, callbacks=[freqnet]).history["kept"]
    [48, 24, 24]
    >>> FreqNet.cut(model).get_layer("hidden").units
    4

    Source: Zhao, Dong and Basu, "Accelerating Inference of Networks in the Frequency Domain", 2024,
    arXiv 2410.04342.
    """

    def __init__(
        self,
        keep: int | float,
        epochs: int,
        schedule: str | schedules.Schedule = "geometric",
        measure: Measure = "multiply_adds",
        floor: int | float = 1,
    ):
        super().__init__()
        self.keep = share_or_number(keep)
        self.epochs = epochs
        self.schedule = schedules.get(schedule, epochs)
        self.measure = measure
        self.floor = floor

    @staticmethod
    def cut(model: keras.Model) -> keras.Model:
        """Returns the narrow network that a trained model computes.

        Args:
            model: A model that was trained with this callback, here or in another process.

        Raises:
            ValueError: If no channel is zero.
        """
        return without_zeros(model, "FreqNet")

    def on_train_begin(self, logs=None):
        distils = isinstance(self.model, keras.distillation.Distiller)
        self._network = self.model.student if distils else self.model
        found = channels.groups(self._network)
        self._targets = within(self._network, found, self.keep, self.measure, self.floor)
        self._masks: list[tuple[keras.Variable, object]] = []
        self._reached = False
        self._runs_last = after_all(self.model, self._end)

    def on_epoch_begin(self, epoch, logs=None):
        fraction = self.schedule(epoch) if epoch < self.epochs - 1 else 0.0
        self._reached = fraction == 0.0
        masks: dict[int, tuple[keras.Variable, np.ndarray]] = {}
        for group, target in self._targets:
            gone = np.arange(target + round((group.size - target) * fraction), group.size)
            reads = (axis for axis in group.axes if axis.role == "reads")
            for axis in (*made(group), *offsets(group), *reads):
                weight = axis.weight
                _, mask = masks.setdefault(id(weight), (weight, np.ones(weight.shape, bool)))
                np.moveaxis(mask, axis.axis, 0)[axis.positions[gone].ravel()] = False
        self._masks = [(one, ops.convert_to_tensor(mask)) for one, mask in masks.values()]
        self._zero()

    def on_train_batch_end(self, batch, logs=None):
        attach(self)
        self._zero()

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            kernels = (numbers(kernel) for _, kernel in plain_kernels(self._network).values())
            logs["kept"] = int(sum(map(np.count_nonzero, kernels)))

    def on_train_end(self, logs=None):
        if not self._runs_last:
            self._end()

    def _zero(self) -> None:
        for weight, mask in self._masks:
            weight.assign(ops.where(mask, ops.convert_to_tensor(weight), 0))

    def _end(self) -> None:
        """The last zeros, after everything that `fit` does."""
        others = [ops.any(ops.where(mask, False, ops.not_equal(w, 0))) for w, mask in self._masks]
        self._zero()
        if any(map(bool, others)):
            warnings.warn(
                "an average of weights, or another callback such as EarlyStopping("
                "restore_best_weights=True), put weights back of channels that were cut. They are "
                "zero again, but the others did not train so. Choose weights only from epochs at "
                f"the target, for example with EarlyStopping(start_from_epoch={self.epochs - 1}).",
                stacklevel=2,
            )
        if not self._reached:
            warnings.warn(
                "fit ended before the channels were cut to the target. Train at least epochs = "
                f"{self.epochs} epochs; `initial_epoch` goes on from here.",
                stacklevel=2,
            )
