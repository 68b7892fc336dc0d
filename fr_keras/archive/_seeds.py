"""Kernels in space that are still what `SeededSigns` made of a seed."""

import keras
import numpy as np

from fr_archive import Signs
from fr_keras._keras_internals import inner_layers
from fr_keras.layers import SeededSigns
from fr_keras.models.vectors import Weight


def signs_of(weight: Weight) -> Signs | None:
    """Returns a kernel as signs of the seed in its layer's initializer.

    Returns:
        The signs; `None` if the kernel has another initializer, or a single other number.
    """
    made = getattr(*_initializer(weight), None)
    if not isinstance(made, SeededSigns):
        return None
    found = Signs(made.seed, made.scale, weight.size, weight.columns)
    return found if np.array_equal(found.reals(), weight.values()) else None


def keep_seed(weight: Weight, signs: Signs) -> None:
    """Has the initializer of a kernel's layer say the seed, so that `signs_of` finds it again."""
    holder, name = _initializer(weight)
    if hasattr(holder, name):
        setattr(holder, name, SeededSigns(signs.seed, signs.scale))


def _initializer(weight: Weight) -> tuple[keras.layers.Layer, str]:
    """The innermost layer that has a kernel, and the name of its attribute, by Keras' rules."""
    found = [one for one in inner_layers(weight.layer) if _has(one, weight.variable)]
    holder = found[-1]  # a layer comes before those inside it
    name = f"{weight.variable.name.removesuffix('_kernel')}_initializer"
    if not hasattr(holder, name):
        name = "depthwise_initializer"  # that of the one kernel of a depthwise convolution
    return holder, name


def _has(layer: keras.layers.Layer, variable: keras.Variable) -> bool:
    return any(one is variable for one in layer.weights)
