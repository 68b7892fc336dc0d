"""What is converted: a model baked, and in float32."""

import dataclasses

import keras

from fr_keras.bake import baked
from fr_keras.forms import Baked, Origin
from fr_keras.rebuild import all_layers, frequency_layers, rebuild_with_twins


def in_half(layer: keras.layers.Layer) -> bool:
    """Whether a layer computes in half precision."""
    return layer.compute_dtype in ("float16", "bfloat16")


def deployable(model: keras.Model, form: str) -> Baked:
    """Returns a model baked, and in float32: TFLite has no kernels for half precision.

    A model that needs neither is not copied.
    """

    def in_float32(layer):
        config = {**layer.get_config(), "dtype": "float32"}
        return type(layer).from_config(config) if in_half(layer) else None

    before = {id(layer): layer for layer in all_layers(model)}
    if any(map(in_half, before.values())):
        copy, twins = rebuild_with_twins(model, in_float32)
        before = {id(twins[old]): layer for old, layer in before.items() if old in twins}
        model = copy
    if not frequency_layers(model):
        return Baked(model, {new: Origin(layer) for new, layer in before.items()})
    plain = baked(model, form)
    origins = {
        new: dataclasses.replace(origin, layer=before[id(origin.layer)])
        for new, origin in plain.origins.items()
    }
    return Baked(plain.model, origins)
