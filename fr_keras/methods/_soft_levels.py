"""`SoftLevels`: quantization by sums of sigmoids, and the callback that sharpens them."""

import dataclasses
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from fr_keras.layers import QuantizedKernel, Quantizer, State
from fr_keras.models.walk import all_layers

_PER_EPOCH = 20.0
_ROUNDS = 100


@keras.saving.register_keras_serializable(package="fr_keras")
@dataclasses.dataclass(frozen=True)
class SoftLevels(Quantizer):
    """Levels that a sum of sigmoids approaches while the model trains.

        y(w) = alpha * (sum_i s_i sigmoid(T (beta w - b_i)) - sum_i s_i / 2)

    where `s_i` is the gap between level i and the next one. Training computes with `y` and its
    gradient, while the callback `RisingTemperature` raises the temperature `T`; at inference a step
    is in the place of each sigmoid, so the result is `alpha` times one of `levels`. `alpha` and
    `beta` are trained. The borders `b_i` stay where k-means put them: in the middle between two
    neighbouring clusters of `beta w`.

        beta = 5 max(levels) / (4 max |w|),    alpha = 1 / beta,    T = 20    at first

    With two levels the gradient is that of `T = 1`, times `T`, as in the authors' code.

    Args:
        levels: At least two rising numbers, as far below 0 as above.

    Raises:
        ValueError: If `levels` break these rules.

    Example:

    >>> soft = SoftLevels((-1, 0, 1))
    >>> w = np.array([-0.8, -0.7, -0.1, 0.1, 0.7, 0.8], "float32")
    >>> state = soft.first(w)
    >>> soft(ops.array(w), state, training=False).numpy().round(2)
    array([-0.64, -0.64,  0.  ,  0.  ,  0.64,  0.64], dtype=float32)
    >>> soft(ops.array(w), {**state, "temperature": 4.0}, training=True).numpy().round(2)
    array([-0.6 , -0.57, -0.07,  0.07,  0.57,  0.6 ], dtype=float32)

    Source: Yang et al., "Quantization Networks", CVPR 2019, arXiv 1911.09464.
    """

    levels: Sequence[float] = (-1, 0, 1)

    def __post_init__(self):
        object.__setattr__(self, "levels", tuple(self.levels))
        gaps = np.diff(self.levels)
        if len(gaps) < 1 or not (gaps > 0).all() or self.levels[0] != -self.levels[-1]:
            raise ValueError(
                "`levels` must be at least two rising numbers, as far below 0 as above, such as "
                f"(-1, 0, 1). Received: {self.levels}"
            )

    @property
    def state(self) -> tuple[State, ...]:
        return (
            State("alpha"),
            State("beta"),
            State("borders", (len(self.levels) - 1,), trainable=False),
            State("temperature", trainable=False),
        )

    @property
    def most_levels(self) -> int:
        return len(self.levels)

    def first(self, kernel):
        beta = 5 * self.levels[-1] / (4 * np.abs(kernel).max() or 1)
        centres = _clusters(kernel * beta, len(self.levels))
        return {
            "alpha": kernel.dtype.type(1 / beta),
            "beta": kernel.dtype.type(beta),
            "borders": ((centres[:-1] + centres[1:]) / 2).astype(kernel.dtype),
            "temperature": kernel.dtype.type(_PER_EPOCH),
        }

    def refusal(self, kernel):
        values = len(np.unique(kernel))
        if values < len(self.levels):
            return f"it holds only {values} different values for {len(self.levels)} levels"
        return None

    def __call__(self, kernel, state, training):
        scaled, heat = state["beta"] * kernel, state["temperature"]
        total = 0.0
        for number, gap in enumerate(np.diff(self.levels)):
            past = scaled - state["borders"][number]
            step = ops.cast(past > 0, kernel.dtype)
            total = total + float(gap) * (self._sigmoid(past, heat) if training else step)
        return state["alpha"] * (total - self.levels[-1])

    def _sigmoid(self, values, heat):
        if len(self.levels) > 2:
            return ops.sigmoid(heat * values)
        gentle = ops.sigmoid(values)
        slope = heat * (gentle - ops.stop_gradient(gentle))
        return ops.stop_gradient(ops.sigmoid(heat * values)) + slope


class RisingTemperature(keras.callbacks.Callback):
    """Raises the temperature of all `SoftLevels` of a model when an epoch begins.

        T = min(per_epoch * (epoch + 1), highest)

    The epoch is that of `fit`, which counts from `initial_epoch`, so a training that is taken up
    again goes on where it was. The `logs` of each epoch get `temperature`.

    Args:
        per_epoch: Above 0. Raise it for a training of few epochs.
        highest: The temperature is never above it.

    Raises:
        ValueError: If an argument is not above 0; at the start of `fit`, if no layer of the model
            has `SoftLevels`.

    Example:

    >>> from fr_keras.methods import quantize_kernels
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    >>> model = quantize_kernels(model, SoftLevels(), exclude=[])
    >>> model.compile("sgd", "mse")
    >>> x, y = ops.ones((4, 8)), ops.ones((4, 4))
    >>> rising = RisingTemperature(per_epoch=100)
    >>> model.fit(x, y, epochs=2, verbose=0, callbacks=[rising]).history["temperature"]
    [100.0, 200.0]

    Source: as `SoftLevels`, whose authors train for 35 epochs.
    """

    def __init__(self, per_epoch: float = _PER_EPOCH, highest: float = 2000.0):
        super().__init__()
        for name, value in (("per_epoch", per_epoch), ("highest", highest)):
            if not value > 0:
                raise ValueError(f"`{name}` must be above 0. Received: {value}")
        self.per_epoch = per_epoch
        self.highest = highest

    def on_train_begin(self, logs=None):
        soft = [
            layer
            for layer in all_layers(self.model)
            if isinstance(layer, QuantizedKernel) and isinstance(layer.quantizer, SoftLevels)
        ]
        if not soft:
            raise ValueError(
                "`RisingTemperature` needs a model with SoftLevels: train the one that "
                "`fr_keras.methods.quantize_kernels(model, SoftLevels())` returns. Received: "
                f"'{self.model.name}'"
            )
        self._temperatures = [
            layer.state_of(name)["temperature"] for layer in soft for name in layer.kernel_names
        ]

    def on_epoch_begin(self, epoch, logs=None):
        for one in self._temperatures:
            one.assign(self._at(epoch))

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs["temperature"] = self._at(epoch)

    def _at(self, epoch: int) -> float:
        return float(min(self.per_epoch * (epoch + 1), self.highest))


def _clusters(values: np.ndarray, number: int) -> np.ndarray:
    """The centres of k-means on numbers, in rising order."""
    ordered = np.sort(values, axis=None).astype("float64")
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    # Begun at different values, so that no two centres are the same.
    centres = np.quantile(np.unique(ordered), (np.arange(number) + 0.5) / number)
    for _ in range(_ROUNDS):
        ends = np.searchsorted(ordered, (centres[:-1] + centres[1:]) / 2)
        ends = np.concatenate([[0], ends, [ordered.size]])
        counts = np.diff(ends)
        moved = np.where(counts > 0, np.diff(sums[ends]) / np.maximum(counts, 1), centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres
