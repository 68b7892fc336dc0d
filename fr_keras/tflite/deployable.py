"""What is converted: a model baked, and in float32."""

import keras

from fr_keras.bake import bake
from fr_keras.rebuild import all_layers, frequency_layers, rebuild


def in_half(layer: keras.layers.Layer) -> bool:
    """Whether a layer computes in half precision."""
    return layer.compute_dtype in ("float16", "bfloat16")


def deployable(model: keras.Model, form: str) -> keras.Model:
    """Returns a model baked, and in float32: TFLite has no kernels for half precision."""
    if frequency_layers(model):
        model = bake(model, form)
    if not any(map(in_half, all_layers(model))):
        return model

    def in_float32(layer):
        config = {**layer.get_config(), "dtype": "float32"}
        return type(layer).from_config(config) if in_half(layer) else None

    return rebuild(model, in_float32)
