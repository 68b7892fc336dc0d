"""Adds channels to a network whose other channels stay exactly as they are."""

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence

import keras
import numpy as np
from keras import ops

from fr_keras._keras_internals import inner_layers
from fr_keras.callbacks.batches import attach
from fr_keras.methods._added import added
from fr_keras.models.observing import replaced
from fr_keras.models.walk import named_layers


@dataclasses.dataclass(frozen=True, eq=False)
class Held:
    """The numbers of a weight that stay.

    Attributes:
        weight: The weight.
        places: Which of its numbers stay, a bool array of its shape.
        values: The weight with these numbers, a tensor.
    """

    weight: keras.Variable
    places: np.ndarray
    values: object

    def restore(self) -> None:
        """Gives the numbers that stay their values back."""
        # `where` makes a new tensor: under JAX, training destroys the one that was assigned.
        self.weight.assign(ops.where(self.places, self.values, self.weight.value))


def grow(
    model: keras.Model,
    smaller: keras.Model,
    counts: Mapping[str, int],
    own: Collection[str],
) -> list[Held]:
    """Gives the first channels of a model the weights of a smaller one, and nothing else to read.

    New inputs of old channels become zero, so that old channels compute what they did. What makes
    new channels, and what the layers of `own` read from them, stays as it is in the model.

    Args:
        model: The larger model.
        smaller: The same model with only the first channels of some groups.
        counts: How many channels the smaller one has in each of these groups.
        own: The names of the heads.

    Returns:
        What has to stay as it is when the model is trained.
    """
    new, before = added(model, counts), named_layers(smaller)
    held = []
    for name, layer in named_layers(model).items():
        for weight, old in zip(layer.weights, before[name].weights, strict=True):
            along = new.get(id(weight), {})
            values = np.array(ops.convert_to_numpy(weight))
            places = [np.arange(length) for length in weight.shape]
            for axis, one in along.items():
                places[axis] = np.flatnonzero(~one.positions)
            values[np.ix_(*places)] = ops.convert_to_numpy(old)
            if name not in own:
                stays = ~_either(weight, along, False)
                values[stays & _either(weight, along, True)] = 0
                if stays.any():
                    held.append(Held(weight, stays, ops.convert_to_tensor(values, weight.dtype)))
            weight.assign(values)
    return held


def _either(weight: keras.Variable, along: Mapping, reading: bool) -> np.ndarray:
    """Which numbers of a weight are new along any of the axes that it reads, or of the others."""
    found = np.zeros(tuple(weight.shape), bool)
    for axis, one in along.items():
        if one.is_read == reading:
            found |= np.expand_dims(one.positions, [n for n in range(found.ndim) if n != axis])
    return found


class _Freezing(keras.callbacks.Callback):
    """Gives numbers that stay their values back after each batch, whatever moved them."""

    def __init__(self, held: Sequence[Held]):
        super().__init__()
        self._held = held
        self.was_used = False

    def on_train_begin(self, logs=None):
        self.was_used = True

    def on_train_batch_end(self, batch, logs=None):
        attach(self)
        self.restore()

    def restore(self) -> None:
        """Gives the numbers their values back."""
        for one in self._held:
            one.restore()


def train_rest(model: keras.Model, held: Sequence[Held], tune: Callable) -> None:
    """Trains a model, but not the numbers that stay.

    Raises:
        ValueError: If `tune` does not give its callbacks to `fit`.
    """
    freezing = _Freezing(held)
    with _old_statistics(model, held):
        tune(model, [freezing])
    model.train_function = None  # it was traced with the normalizations of the training
    if not freezing.was_used:
        raise ValueError(
            "`tune` must give the callbacks that it gets to `fit`, or else frozen weights move: "
            "`lambda model, callbacks: model.fit(x, y, callbacks=callbacks)`. Received: a function "
            "that did not"
        )
    freezing.restore()


def _old_statistics(model: keras.Model, held: Sequence[Held]):
    """Lets old channels be normalized as at inference, by the statistics that they keep."""
    places = {id(one.weight): one.places for one in held}
    norms = [one for one in inner_layers(model) if isinstance(one, keras.layers.BatchNormalization)]
    old = {one: places[id(one.moving_mean)] for one in norms if id(one.moving_mean) in places}

    def wrap(norm, call):
        def normalized(inputs, training=None, mask=None):
            still = call(inputs, training=False, mask=mask)
            if not training or old[norm].all():
                return still
            shape = [1] * len(inputs.shape)
            shape[norm.axis] = -1
            return ops.where(old[norm].reshape(shape), still, call(inputs, training, mask))

        return normalized

    return replaced(old, wrap)
