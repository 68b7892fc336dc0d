"""Prepares a model for conversion: bakes it, and changes it to float32."""

import dataclasses
from collections.abc import Iterator

import keras

from fr_keras._keras_internals import graph, inner_layers
from fr_keras.layers import FrequencyTwin, QuantizedKernel
from fr_keras.layers.forms import Chooser
from fr_keras.models.baking import baked
from fr_keras.models.origins import Baked, Origin
from fr_keras.models.walk import all_layers, copied, rebuild_with_twins

_HALF = ("float16", "bfloat16")
# Types that are changed to float32, as a dtype or as the name of a dtype policy.
_BROUGHT = (*_HALF, "float64", "mixed_float16", "mixed_bfloat16")


def in_half(model: keras.Model) -> bool:
    """Whether a layer or operator of a model computes in half precision."""
    return any(not _types(operation).isdisjoint(_HALF) for operation in _operations(model))


def deployable(model: keras.Model, choose: Chooser) -> Baked:
    """Returns a model baked and in float32, because TFLite has no kernels for other floats.

    A model that needs neither change is not copied.
    """
    before = {id(layer): layer for layer in all_layers(model)}
    if any(map(_in_another_float, _operations(model))):
        model, twins = rebuild_with_twins(model, _in_float32)
        before = {id(twins[old]): layer for old, layer in before.items()}
    if not any(isinstance(one, (FrequencyTwin, QuantizedKernel)) for one in all_layers(model)):
        return Baked(model, {new: Origin(layer) for new, layer in before.items()})
    plain = baked(model, choose)
    origins = {
        new: dataclasses.replace(origin, layer=before[id(origin.layer)])
        for new, origin in plain.origins.items()
    }
    return Baked(plain.model, origins)


def _operations(model: keras.Model) -> Iterator[keras.Operation]:
    """Every layer and operator, including those in nested models and in other layers."""
    # A sequential model has its graph of operations once it is built.
    for operation in graph(model).operations:
        inside = operation
        yield operation
        if isinstance(operation, keras.layers.TimeDistributed):
            inside = operation.layer
        if isinstance(inside, keras.Model) and getattr(inside, "inputs", None):
            yield from _operations(inside)
        elif isinstance(operation, keras.layers.Layer):
            yield from (one for one in inner_layers(operation) if one is not operation)


def _in_another_float(operation: keras.Operation) -> bool:
    return not _types(operation).isdisjoint(_BROUGHT)


def _types(operation: keras.Operation) -> set[str | None]:
    """The types in which a layer stores and computes, or that an operator was given."""
    return {getattr(operation, name, None) for name in ("dtype", "compute_dtype")}


def _in_float32(operation: keras.Operation) -> keras.Operation | None:
    inside = inner_layers(operation) if isinstance(operation, keras.layers.Layer) else []
    if any(map(_in_another_float, [operation, *inside])):
        return copied(operation, _config_in_float32(operation.get_config()))
    return None


def _config_in_float32(config):
    """A config with float32 in place of other floats, also in configs inside it."""
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy":
            return "float32" if config["config"]["name"] in _BROUGHT else config
        return {
            key: "float32" if key == "dtype" and value in _BROUGHT else _config_in_float32(value)
            for key, value in config.items()
        }
    if isinstance(config, (list, tuple)):
        kind = list if isinstance(config, list) else tuple
        return kind(map(_config_in_float32, config))
    return config
