"""What is converted: a model baked, and in float32."""

from collections.abc import Iterator

import keras

from fr_keras.bake import bake
from fr_keras.rebuild import copied, frequency_layers, rebuild

_HALF = ("float16", "bfloat16")
# Of a layer or operator, or by the name of its dtype policy.
_BROUGHT = (*_HALF, "float64", "mixed_float16", "mixed_bfloat16")


def in_half(model: keras.Model) -> bool:
    """Whether a layer or operator of a model computes in half precision."""
    return any(not _types(operation).isdisjoint(_HALF) for operation in _operations(model))


def deployable(model: keras.Model, form: str) -> keras.Model:
    """Returns a model baked, and in float32: TFLite has no kernels for other floats."""
    if frequency_layers(model):
        model = bake(model, form)
    if not any(map(_in_another_float, _operations(model))):
        return model
    return rebuild(model, _in_float32)


def _operations(model: keras.Model) -> Iterator[keras.Operation]:
    """Every layer and operator, with those in nested models and in other layers."""
    # A sequential model has its graph of operations once it is built.
    for operation in getattr(model, "_functional", model).operations:
        inside = operation
        yield operation
        if isinstance(operation, keras.layers.TimeDistributed):
            inside = operation.layer
        if isinstance(inside, keras.Model) and getattr(inside, "inputs", None):
            yield from _operations(inside)
        elif isinstance(operation, keras.layers.Layer):
            yield from (one for one in operation._flatten_layers() if one is not operation)


def _in_another_float(operation: keras.Operation) -> bool:
    return not _types(operation).isdisjoint(_BROUGHT)


def _types(operation: keras.Operation) -> set[str | None]:
    """What a layer stores and computes in, or an operator is told to."""
    return {getattr(operation, name, None) for name in ("dtype", "compute_dtype")}


def _in_float32(operation: keras.Operation) -> keras.Operation | None:
    inside = operation._flatten_layers() if isinstance(operation, keras.layers.Layer) else []
    if any(map(_in_another_float, [operation, *inside])):
        return copied(operation, _config_in_float32(operation.get_config()))
    return None


def _config_in_float32(config):
    """A config with float32 in the place of other floats, in what it holds as well."""
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
