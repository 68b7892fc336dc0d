"""`narrow`: the plain network with fewer channels from the start."""

import keras
import numpy as np

from fr_keras.methods._budget import Measure
from fr_keras.methods._selection import select
from fr_keras.models import channels
from fr_keras.models.walk import all_layers, rebuild_by, rebuild_with_twins


def narrow(
    model: keras.Model,
    keep: int | float,
    measure: Measure = "multiply_adds",
    floor: int | float = 1,
) -> keras.Model:
    """Returns an untrained network of the same architecture with fewer channels.

    Every group that can lose channels keeps the same share of them, within one channel: the largest
    one within the budget. Train the network as long as a pruned one and its fine-tuning together.
    It is the baseline that says whether pruning was worth it.

    The layers' initializers give the weights; `keras.utils.set_random_seed` makes them
    reproducible. Layers without trainable weights, as frozen ones and adapted normalizations, keep
    what they have of the channels that are left, for training would not give them other weights.

    Args:
        model: A built functional or sequential model, trained or not. It is not changed.
        keep: The budget, as for `select`.
        measure: What the budget is counted in, as for `select`.
        floor: The fewest channels that a group keeps, as for `select`.

    Returns:
        A plain model that is not compiled.

    Raises:
        ValueError: As `select` does; if no layer has trainable weights.

    Example:

    >>> inputs = keras.Input((4,))
    >>> x = keras.layers.Dense(8, "relu", name="hidden")(inputs)
    >>> model = keras.Model(inputs, keras.layers.Dense(2, name="logits")(x))
    >>> narrow(model, 0.5).get_layer("hidden").units
    4
    """
    found = channels.groups(model)
    if not model.trainable_weights:
        raise ValueError(
            "`model` must have trainable weights, which start anew: set `trainable = True`. "
            f"Received: '{model.name}' without any"
        )
    equal = {name: np.zeros(one.size) for name, one in found.items() if one.removable}
    kept = select(model, equal, keep, measure, "layer", floor)
    return fresh(channels.remove(model, kept))


def fresh(model: keras.Model) -> keras.Model:
    """Returns a copy of a model whose trainable layers have the weights of their initializers."""
    copy, twins = rebuild_with_twins(model, lambda layer: None)
    _, untrained = rebuild_by(model, lambda layer: None, lambda layer, twin: None)
    for layer in all_layers(model):
        if layer.trainable_weights:
            twins[id(layer)].set_weights(untrained[id(layer)].get_weights())
    return copy
