"""Puts chains in place of layers."""

from collections.abc import Mapping

import keras
import numpy as np

from fr_keras.layers import FrequencyTwin, numbers
from fr_keras.methods._linear import Stage
from fr_keras.models.baking import chain
from fr_keras.models.joins import joined
from fr_keras.models.origins import Baked, Origin
from fr_keras.models.walk import carry, input_shapes, named_layers, rebuild_by


def chained(
    model: keras.Model,
    stages: Mapping[str, list[Stage]],
    shifts: Mapping[str, np.ndarray | None],
) -> keras.Model:
    """Returns a copy of a model with chains in place of some layers.

    Args:
        model: The model.
        stages: The chains of these layers, by name.
        shifts: What is added to the biases of layers.
    """
    shapes, layers = input_shapes(model), named_layers(model)
    stages = {id(layers[name]): found for name, found in stages.items()}
    shift = {id(layers[name]): one for name, one in shifts.items() if one is not None}

    def exchange(layer):
        if id(layer) not in stages:
            return None
        return chain(layer, [one for _, one, _ in stages[id(layer)]], shapes[id(layer)])

    def fill(layer, twin):
        if id(layer) not in stages:
            return carry(layer, twin, FrequencyTwin.fill_plain)
        _fill(layer, stages[id(layer)], shift.get(id(layer), 0))

    plain, _ = rebuild_by(model, exchange, fill)
    origins = {}
    for layer in layers.values():
        chain_of = stages.get(id(layer), [])
        roles = tuple(role for role, _, _ in chain_of if role)
        for role, stage, _ in chain_of:
            origins[id(stage)] = Origin(layer, roles, (role,) if role else ())
    return joined(Baked(plain, origins)).model


def _fill(layer: keras.layers.Layer, stages: list[Stage], shift) -> None:
    for _, stage, kernel in stages:
        if kernel is not None:
            stage.kernel.assign(kernel)
    if layer.bias is not None:
        stages[-1][1].bias.assign(numbers(layer.bias) + shift)
